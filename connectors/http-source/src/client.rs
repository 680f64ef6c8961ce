//! Sends a request, and says what its answer means: records, the end, try again, stop. Knows no cursor and no pages.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use wharf_http_rules::answer::start;
use wharf_http_rules::headers::host;
use wharf_sdk::http::{Request, Response};
use wharf_sdk::{Error, Result};

use crate::config::Config;
use crate::page::Page;
use crate::url::next_link;

/// The longest answer that is read.
const LONGEST: usize = 32 << 20;
/// How often refused credentials are tried again.
const TRIES: u32 = 2;

/// What is remembered over requests.
#[derive(Debug, Default)]
pub struct Client {
    /// Answers in a row by which the credentials were refused.
    refused: u32,
}

/// What came.
#[derive(Debug)]
pub enum Fetched {
    /// Records.
    Page(Answer),
    /// There are no more.
    End,
    /// The API does not take the page that it was asked for.
    Lost(Error),
}

/// An answer with records.
#[derive(Debug)]
pub struct Answer {
    pub page: Page,
    /// Where the header `Link` says that the next ones are.
    pub link: Option<String>,
    /// When it was asked for by the API's clock: by the header `Date`, less what it took.
    pub date: Option<Timestamp>,
}

/// The meaning of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Records,
    End,
    Later,
    /// It is about the credentials.
    Refused,
    /// It is about the address: redirects are not followed.
    Elsewhere,
    Stop,
}

impl Client {
    /// # Errors
    /// `retry` where the same request may work later, `fatal` where it will not. Both name the host and what it said.
    pub fn fetch(&mut self, config: &Config, request: &Request) -> Result<Fetched> {
        let host = host(&request.url).to_owned();
        let asked = Instant::now();
        let response = request.send()?;
        let took = Duration::from_secs(asked.elapsed().as_secs());
        let status = response.status;
        let meaning = meaning(config, status);
        if meaning != Meaning::Refused {
            self.refused = 0;
        }
        match meaning {
            Meaning::End => Ok(Fetched::End),
            Meaning::Records if status == 204 => Ok(Fetched::End),
            Meaning::Records => {
                let links = response.headers.iter().filter(|(name, _)| name == "link").map(|(_, value)| value.as_str());
                let link = next_link(links).map(ToOwned::to_owned);
                let date = response.header("date").and_then(date).and_then(|at| at.checked_sub(took).ok());
                let body = body(&host, response)?;
                let page = Page::read(config, body).map_err(|bad| Error::retry(format!("{host} answers {status}: {bad}")))?;
                Ok(Fetched::Page(Answer { page, link, date }))
            }
            Meaning::Later => {
                let after = response.retry_after();
                let error = Error::retry(format!("{host} answers {status}: {}", start(response)));
                Err(after.into_iter().fold(error, Error::after))
            }
            Meaning::Refused => {
                self.refused += 1;
                let text = format!("{host} answers {status}: check the credentials in `[source.auth.\"{host}\"]`");
                Err(if self.refused > TRIES { Error::fatal(text) } else { Error::retry(text) })
            }
            Meaning::Elsewhere => {
                let to = response.header("location").map(|to| wharf_http_rules::headers::host(to).to_owned());
                let to = to.filter(|to| !to.is_empty()).map_or_else(String::new, |to| format!(" to {to}"));
                Err(Error::fatal(format!("{host} redirects{to} ({status}): give the address itself in `config.url`")))
            }
            Meaning::Stop => {
                let error = Error::fatal(format!("{host} answers {status}: {}", start(response)));
                // What the operator says stops the source does so.
                if matches!(status, 400 | 404 | 410 | 422) && !config.stop.has(status) {
                    Ok(Fetched::Lost(error))
                } else {
                    Err(error)
                }
            }
        }
    }
}

/// What the operator lists goes first, in the order accept, end, stop, retry.
fn meaning(config: &Config, status: u16) -> Meaning {
    match status {
        _ if config.accept.has(status) && !config.end.has(status) => Meaning::Records,
        _ if config.end.has(status) => Meaning::End,
        _ if config.stop.has(status) => Meaning::Stop,
        _ if config.retry.has(status) => Meaning::Later,
        401 | 403 => Meaning::Refused,
        300..=399 => Meaning::Elsewhere,
        400..=499 | 501 => Meaning::Stop,
        _ => Meaning::Later,
    }
}

/// As mails have it, which is the one form that is sent today (RFC 9110, 5.6.7).
fn date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

fn body(host: &str, response: Response) -> Result<Vec<u8>> {
    match response.bytes_up_to(LONGEST) {
        Err(Error::Fatal(_)) => {
            Err(Error::fatal(format!("an answer of {host} is longer than {} MiB: ask for smaller pages", LONGEST >> 20)))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_an_answer_is_read() {
        assert_eq!(date("Sun, 06 Nov 1994 08:49:37 GMT").map(Timestamp::as_second), Some(784_111_777));
        assert_eq!(date("yesterday"), None);
    }

    #[test]
    fn statuses_mean_what_http_means_by_them_and_what_the_operator_lists_goes_first() {
        let by_default: Config = serde_json::from_str(r#"{"url": "https://h"}"#).unwrap();
        for (status, expected) in [
            (200, Meaning::Records),
            (204, Meaning::Records),
            (304, Meaning::Elsewhere),
            (401, Meaning::Refused),
            (404, Meaning::Stop),
            (429, Meaning::Later),
            (501, Meaning::Stop),
            (503, Meaning::Later),
        ] {
            assert_eq!(meaning(&by_default, status), expected, "{status}");
        }
        let listed =
            r#"{"url": "https://h", "accept": [200, 203], "end": [203, 404], "stop": [503], "retry": [403, "500..599"]}"#;
        let listed: Config = serde_json::from_str(listed).unwrap();
        for (status, expected) in [
            (200, Meaning::Records),
            (203, Meaning::End),
            (404, Meaning::End),
            (403, Meaning::Later),
            (501, Meaning::Later),
            (503, Meaning::Stop),
            (400, Meaning::Stop),
        ] {
            assert_eq!(meaning(&listed, status), expected, "{status}");
        }
    }
}
