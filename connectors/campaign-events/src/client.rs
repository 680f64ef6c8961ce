//! Requests to the service, and what its answers mean: go on, try again, stop. Knows no service's rows. Texts name service and
//! status, never a row.

use jiff::Timestamp;
use serde_json::Value;
use wharf_sdk::http::{Request, Response, authority};
use wharf_sdk::{Error, Result};

use crate::config::Config;

/// The longest answer that is read.
const LONGEST: usize = 32 << 20;
/// How often refused credentials are tried again.
const TRIES: u32 = 2;
/// Odoo's 404 where a row was found and is gone when it is read: the table is there.
const WENT: &str = "odoo.exceptions.MissingError";
/// Characters of a service's own words that are shown.
const SHOWN: usize = 200;

/// The connection to one service.
#[derive(Debug)]
pub struct Client {
    root: String,
    timeout: std::time::Duration,
    refused: u32,
}

/// An answer of status 2xx.
#[derive(Debug)]
pub struct Answer {
    pub body: Vec<u8>,
    /// The service's own clock, microseconds since 1970 (`Date`, RFC 9110, 6.6.1); ours where it tells none.
    pub at: i64,
}

impl Client {
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self { root: config.root().to_owned(), timeout: config.timeout, refused: 0 }
    }

    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.root)
    }

    /// Sends it. `what` names what is read, for messages. `None`: there is no such thing (404, 410).
    ///
    /// # Errors
    /// `retry` where the same request may work later (no answer, 408, 409, 423, 425, 429, 5xx, a cut-off answer, Odoo's answer that a row
    /// went while it was read; 401 and 403 twice), `fatal` where it will not.
    pub fn send(&mut self, request: Request, what: &str) -> Result<Option<Answer>> {
        let response = request.header("accept", "application/json").timeout(self.timeout).send()?;
        self.judge(response, what)
    }

    /// An answer. `None`: there is no such thing (404, 410).
    ///
    /// # Errors
    /// As for [`Client::send`].
    pub fn judge(&mut self, response: Response, what: &str) -> Result<Option<Answer>> {
        if matches!(response.status, 404 | 410) {
            self.refused = 0;
            let status = response.status;
            let name = response.bytes_up_to(64 << 10).ok().and_then(|body| words(&body));
            if name.as_deref() == Some(WENT) {
                return Err(Error::retry(format!("{} answers {status} for {what}: a row went while it was read", self.root)));
            }
            return Ok(None);
        }
        if !(200..300).contains(&response.status) {
            return Err(self.failure(response, what));
        }
        self.refused = 0;
        let date = response.header("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        let at = date.map_or_else(now, |date| date.timestamp().as_microsecond());
        let body = response.bytes_up_to(LONGEST).map_err(|error| match error {
            Error::Fatal(_) => {
                let most = LONGEST >> 20;
                Error::fatal(format!("an answer of {} for {what} is longer than {most} MiB: lower `config.page-size`", self.root))
            }
            other => other,
        })?;
        Ok(Some(Answer { body, at }))
    }

    /// An answer that cannot be read: cut off, or a page of something between.
    #[must_use]
    pub fn unreadable(&self, what: &str, error: &serde_json::Error) -> Error {
        let how = if error.is_data() { "has not the documented shape" } else { "is no JSON, or was cut off," };
        Error::retry(format!("the answer of {} for {what} {how} at line {}, column {}", self.root, error.line(), error.column()))
    }

    fn failure(&mut self, response: Response, what: &str) -> Error {
        let (status, root) = (response.status, &self.root);
        let pause = response.retry_after();
        let location = response.header("location").map(|url| authority(url).to_owned());
        let said = response.bytes_up_to(64 << 10).ok().and_then(|body| words(&body));
        let said = said.map_or_else(String::new, |text| format!(": {text}"));
        match status {
            401 | 403 => {
                self.refused += 1;
                let host = authority(root);
                let text = format!(
                    "{root} answers {status} for {what}: check the credentials in `[source.auth.\"{host}\"]`, and that the account may read it{said}"
                );
                if self.refused > TRIES { Error::fatal(text) } else { Error::retry(text) }
            }
            501 | 505 => Error::fatal(format!("{root} answers {status} for {what}{said}")),
            408 | 409 | 423 | 425 | 429 | 500.. => {
                let error = Error::retry(format!("{root} answers {status} for {what}{said}"));
                match pause {
                    Some(pause) => error.after(pause),
                    None => error,
                }
            }
            300..=399 => {
                let to = location.map_or_else(String::new, |host| format!(" to {host}"));
                Error::fatal(format!("{root} redirects{to} ({status}): give the API's own URL in `config.url`"))
            }
            _ => Error::fatal(format!("{root} answers {status} for {what}{said}")),
        }
    }
}

/// Our clock, microseconds since 1970.
#[must_use]
pub fn now() -> i64 {
    Timestamp::now().as_microsecond()
}

/// What a service says of an error: Mailchimp's `title` (RFC 7807; its `detail` may quote an address), Odoo's `name` (of the
/// exception; its `message` may quote a value).
fn words(body: &[u8]) -> Option<String> {
    let json: Value = serde_json::from_slice(body).ok()?;
    let text = json.get("title").or_else(|| json.get("name"))?.as_str()?;
    Some(text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect())
}
