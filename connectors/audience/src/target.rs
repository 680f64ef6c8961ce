//! What the sink asks of a service, and what the service's answers mean: delivered, later, never, stop. Texts name host and status;
//! what a service says is shown only with the address taken out.

use std::time::{Duration, Instant};

use serde_json::Value;
use wharf_sdk::http::{Request, Response};
use wharf_sdk::{Error, Rejection, Result};

use crate::config::Config;
use crate::entry::{Address, Entry};

/// The longest answer that is read.
const LONGEST: usize = 32 << 20;
/// The longest that a call may take, less than what the host allows it (`call-deadline`, 120 s).
pub const LONGEST_CALL: Duration = Duration::from_secs(110);
/// How often refused credentials are tried again.
const TRIES: u32 = 2;
/// Characters of a service's own words that are shown.
const SHOWN: usize = 200;

/// What a member is to be on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Subscribed,
    Unsubscribed,
}

/// What became of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Done,
    /// The service itself knows of a withdrawal at the same time or later: nothing was sent.
    Withheld,
    /// Not certain: this member is to be sent again.
    Later,
    /// For good.
    Refused(Rejection),
}

/// The time of one call of the sink.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    pub began: Instant,
    /// For so long requests are begun.
    pub patience: Duration,
    /// After so long they have ended.
    pub end: Duration,
}

impl Clock {
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.began.elapsed() >= self.end
    }
}

/// A service with lists.
pub trait Target: std::fmt::Debug {
    /// A call of the sink begins, or goes on by another clock. Requests after its patience are answered by `retry`.
    fn begin(&mut self, clock: Clock);

    /// Most members of one call of [`Target::put`].
    fn most(&self) -> usize;

    /// Brings each member to its status; no member twice. Answers one verdict each.
    ///
    /// # Errors
    /// `retry` where nothing is certain, so that all of it is to be sent again; `fatal` where nothing can be sent.
    fn put(&mut self, members: &[(&Entry, Status)]) -> Result<Vec<Verdict>>;

    /// Takes a member from the list; `erase`: the service is to forget it.
    ///
    /// # Errors
    /// As for [`Target::put`].
    fn remove(&mut self, member: &Entry, erase: bool) -> Result<Verdict>;
}

/// The connection to one service.
#[derive(Debug)]
pub struct Client {
    root: String,
    host: String,
    timeout: Duration,
    clock: Option<Clock>,
    refused: u32,
}

/// An answer that has come whole.
#[derive(Debug)]
pub enum Answer {
    /// 2xx, with its status.
    Done(u16, Vec<u8>),
    /// Any other status that is about what was sent, and its `Retry-After`.
    Refused(u16, Vec<u8>, Option<Duration>),
}

impl Client {
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let (root, host) = (config.root().to_owned(), config.host().to_owned());
        Self { root, host, timeout: config.timeout, clock: None, refused: 0 }
    }

    /// As [`Target::begin`].
    pub fn begin(&mut self, clock: Clock) {
        self.clock = Some(clock);
    }

    /// How long an answer may be waited for now.
    ///
    /// # Errors
    /// `retry` where the time of the call is over.
    pub fn timeout(&self) -> Result<Duration> {
        let Some(Clock { began, patience, end }) = self.clock else { return Ok(self.timeout) };
        let gone = began.elapsed();
        if gone >= patience {
            return Err(Error::retry(format!(
                "{} answers too slowly for all records of this call: the time of the call is over, the rest comes again",
                self.host
            )));
        }
        // For the head of the answer, and once within its body.
        Ok(self.timeout.min(end.saturating_sub(gone)).min(LONGEST_CALL.saturating_sub(gone) / 2))
    }

    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.root)
    }

    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Sends a request.
    ///
    /// # Errors
    /// `retry` where no whole answer came, for 408, 409, 423, 425, 429, 5xx (not 501 and 505), and twice for 401, 403 and 407; then `fatal`, as for
    /// redirects, 501 and 505.
    pub fn send(&mut self, request: Request) -> Result<Answer> {
        let response = request.header("accept", "application/json").timeout(self.timeout()?).send().map_err(without_member)?;
        self.judge(response, &[])
    }

    /// What an answer means, where `statuses` too are about what was sent.
    ///
    /// # Errors
    /// As for [`Client::send`], without these statuses.
    pub fn judge(&mut self, response: Response, statuses: &[u16]) -> Result<Answer> {
        let (status, host) = (response.status, self.host.clone());
        match status {
            401 | 403 | 407 if !statuses.contains(&status) => {
                self.refused += 1;
                Err(self.denied_again(status, self.refused))
            }
            408 | 409 | 423 | 425 | 429 | 500 | 502..=504 | 506.. if !statuses.contains(&status) => {
                let error = Error::retry(format!("{host} answers {status}"));
                Err(match response.retry_after() {
                    Some(pause) => error.after(pause),
                    None => error,
                })
            }
            501 | 505 => Err(Error::fatal(format!("{host} answers {status}: see `config.url`"))),
            300..=399 => {
                let to = response.header("location").and_then(|url| url.split("://").nth(1)?.split(['/', '?']).next());
                let to = to.map_or_else(String::new, |host| format!(" to {host}"));
                Err(Error::fatal(format!("{host} redirects{to} ({status}): give the API's own URL in `config.url`")))
            }
            _ => {
                self.refused = 0;
                let after = response.retry_after();
                let body = response.bytes_up_to(LONGEST).map_err(without_member)?;
                Ok(if (200..300).contains(&status) { Answer::Done(status, body) } else { Answer::Refused(status, body, after) })
            }
        }
    }

    /// What is to be looked at where the account is refused.
    #[must_use]
    pub fn denied(&self, status: u16) -> String {
        let host = &self.host;
        format!(
            "{host} answers {status}: check the credentials in `[sink.auth.\"{host}\"]`, and that the account may write to the list"
        )
    }

    /// Refused so many times in a row: the account may be mended meanwhile.
    #[must_use]
    pub fn denied_again(&self, status: u16, times: u32) -> Error {
        let text = self.denied(status);
        if times > TRIES { Error::fatal(text) } else { Error::retry(text) }
    }

    /// An answer that says well, and does not say what the API says then: a page of something between, or of another service.
    #[must_use]
    pub fn strange(&self, status: u16, expected: &str) -> Error {
        Error::retry(format!("{} answers {status}, but not with {expected}: nothing is certain", self.host))
    }

    /// An answer that cannot be read, so that nothing is certain.
    #[must_use]
    pub fn unreadable(&self, error: &serde_json::Error) -> Error {
        let how = if error.is_data() { "has not the documented shape" } else { "is no JSON, or was cut off," };
        Error::retry(format!("the answer of {} {how} at line {}, column {}", self.host, error.line(), error.column()))
    }
}

/// An error whose text names the request's URL, without the hash in it: who knows an address can compute that of Mailchimp's members.
fn without_member(error: Error) -> Error {
    const BEFORE: &str = "/members/";
    let Some((head, tail)) = error.message().split_once(BEFORE) else { return error };
    let tail = tail.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    let text = format!("{head}{BEFORE}…{tail}");
    match error {
        Error::Retry { after, .. } => Error::Retry { message: text, after },
        Error::Reject(_) => Error::Reject(text),
        Error::Fatal(_) => Error::Fatal(text),
    }
}

/// What a service says of a member, without the address, the part before its @ and its domain, on one line.
#[must_use]
pub fn without_address(text: &str, address: &Address) -> String {
    let address = address.text();
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let mut out = text.to_lowercase();
    // A text whose length changes with its case is shown in lower case; nothing depends on its letters.
    for part in [address, local, domain] {
        if part.len() < 3 && out.contains(part) {
            return "(its words would show the address)".to_owned();
        }
        if !part.is_empty() {
            out = out.replace(part, "…");
        }
    }
    out.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect()
}

/// Title and fields of a problem in the form of RFC 7807, as Mailchimp gives it; `detail` may quote an address and is left out.
#[must_use]
pub fn problem(body: &[u8]) -> String {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let text =
        |value: &Value| value.as_str().map(|text| text.chars().filter(|c| !c.is_control()).take(SHOWN).collect::<String>());
    let title = json.get("title").and_then(text).unwrap_or_default();
    let fields = json.get("errors").and_then(Value::as_array).into_iter().flatten();
    let fields: Vec<_> = fields.filter_map(|error| text(error.get("field")?)).filter(|field| !field.is_empty()).collect();
    if fields.is_empty() { title } else { format!("{title} (at {})", fields.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_a_request_s_url_without_the_hash_of_a_member() {
        let pause = Duration::from_secs(1);
        for (url, shown) in [
            ("https://a/3.0/lists/l1/members/0bc83cb571cd1c50ba6f3e8a78ef1346", "https://a/3.0/lists/l1/members/…"),
            ("https://a/lists/l1/members/0bc8/actions/delete-permanent", "https://a/lists/l1/members/…/actions/delete-permanent"),
            ("https://a/3.0/lists/l1", "https://a/3.0/lists/l1"),
        ] {
            let error = Error::retry("the connection broke").after(pause).context(format!("PUT {url}"));
            let expected = Error::retry(format!("PUT {shown}: the connection broke")).after(pause);
            assert_eq!(without_member(error), expected);
        }
    }

    #[test]
    fn what_a_service_says_is_shown_without_the_address() {
        let address = Address::read("Ada.Lovelace@Example.com").unwrap();
        for (said, expected) in [
            ("ada.lovelace@example.com looks fake or invalid", "… looks fake or invalid"),
            ("the portion after the @: example.com", "the portion after the @: …"),
            ("Hello Ada.Lovelace", "hello …"),
        ] {
            assert_eq!(without_address(said, &address), expected);
        }
        let short = Address::read("a@example.com").unwrap();
        assert!(!without_address("the portion before the @: a", &short).contains(": a"));
    }
}
