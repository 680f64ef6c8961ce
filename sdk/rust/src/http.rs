//! A small blocking HTTP client over `wasi:http/outgoing-handler`. TLS, credentials, rate limits, redirects and the
//! retries of connections are the host's; what a status means is the guest's.
//!
//! ```
//! use wharf_sdk::http::{Request, Response};
//! use wharf_sdk::{Batch, Context, Error, Outcomes, Rejection, Result, Sink, testing};
//!
//! struct Poster;
//!
//! impl Sink for Poster {
//!     fn open(_: &Context) -> Result<Self> {
//!         Ok(Self)
//!     }
//!
//!     fn write(&mut self, records: &Batch) -> Result<Outcomes> {
//!         let mut outcomes = Outcomes::accepted();
//!         for record in records {
//!             let request = Request::post("https://api.example.com/v1/orders")
//!                 .header("idempotency-key", record.idempotency_key().to_string())
//!                 .body(record.value.unwrap_or(b"null"));
//!             // No answer: `?` makes the whole call come again.
//!             match request.send()?.success() {
//!                 Ok(_) => {}
//!                 // This record can never be taken. 429 and 5xx are `Retry`, 401 and 403 are `Fatal`: not the record's fault.
//!                 Err(Error::Reject(why)) => outcomes.push(record.index, Rejection::new("orders.refused", why)),
//!                 Err(other) => return Err(other),
//!             }
//!         }
//!         Ok(outcomes)
//!     }
//! }
//!
//! testing::http(|request| Ok(Response::new(if request.body == b"bad" { 422 } else { 200 }, "")));
//! let batch = testing::batch("orders", [(None, Some("good")), (None, Some("bad"))]);
//! assert_eq!(Poster.write(&batch)?.len(), 1);
//! # Ok::<(), Error>(())
//! ```

use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

mod body;
mod in_flight;
mod retry_after;
mod url;
#[cfg(target_arch = "wasm32")]
mod wasi;

pub use body::Body;
pub use in_flight::InFlight;
use in_flight::Waiting;
pub use url::{authority, check_root, encode};

/// Longest body that [`Response::bytes`] and [`Response::json`] read.
pub const DEFAULT_LIMIT: usize = 32 << 20;
/// Part of an error's body that is shown.
const SHOWN: usize = 400;

/// A request to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// `https://host[:port]/path?query`.
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub timeout: Option<Duration>,
}

impl Request {
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self { method: method.into(), url: url.into(), headers: Vec::new(), body: Vec::new(), timeout: None }
    }

    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    pub fn put(url: impl Into<String>) -> Self {
        Self::new("PUT", url)
    }

    pub fn patch(url: impl Into<String>) -> Self {
        Self::new("PATCH", url)
    }

    pub fn delete(url: impl Into<String>) -> Self {
        Self::new("DELETE", url)
    }

    /// Adds a header. Credentials are not set here: the host puts them on.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Appends a parameter to the query, percent-encoded.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        let mark = if self.url.contains('?') { '&' } else { '?' };
        self.url = format!("{}{mark}{}={}", self.url, encode(name), encode(value));
        self
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// A JSON body with its content type.
    ///
    /// # Errors
    /// [`Error::Fatal`] where the value has no JSON form.
    pub fn json(mut self, value: &impl Serialize) -> Result<Self> {
        self.body = serde_json::to_vec(value).map_err(|e| Error::fatal(format!("the request has no JSON form: {e}")))?;
        Ok(self.header("content-type", "application/json"))
    }

    /// Longest wait for the first byte of the answer, and between two bytes; without it the host's own.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends the request and waits for the head of the answer. Every status is an answer; see [`Response::success`].
    ///
    /// # Errors
    /// [`Error::Retry`] where no answer came, [`Error::Fatal`] for a host that is not allowed or a URL that is none.
    pub fn send(&self) -> Result<Response> {
        let ((), answer) = Waiting::start((), self).answer();
        answer
    }

    /// Method and URL without its query, which may hold personal data.
    fn place(&self) -> String {
        format!("{} {}", self.method, self.url.split(['?', '#']).next().unwrap_or_default())
    }
}

/// An answer whose head has come.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    body: Body,
    place: String,
}

impl Response {
    /// An answer for tests.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: Body::from(body.into()), place: String::new() }
    }

    /// Adds a header, for tests.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// The first header of this name, given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// How long the service wants to be left alone: `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3). 0 where the date
    /// is over, at most a day; `None` where the header is missing or holds anything else.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.header("retry-after").and_then(|value| retry_after::retry_after(value, SystemTime::now()))
    }

    /// The answer where its status is 2xx; otherwise an error with the start of the body, which is: `retry` for 408, 425, 429
    /// and 5xx (after [`Response::retry_after`], where given), `fatal` for 401 and 403, `reject` for the rest.
    ///
    /// # Errors
    /// As said.
    pub fn success(self) -> Result<Self> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let (status, place) = (self.status, self.place.clone());
        let wait = self.retry_after();
        let shown = self.body.start(SHOWN).map_or_else(|_| String::new(), |body| String::from_utf8_lossy(&body).into_owned());
        let shown = shown.trim();
        let message =
            if shown.is_empty() { format!("{place}: status {status}") } else { format!("{place}: status {status}: {shown}") };
        Err(match status {
            408 | 425 | 429 | 500.. => Error::Retry { message, after: wait },
            401 | 403 => Error::fatal(message),
            _ => Error::reject(message),
        })
    }

    /// The body, to read as it comes.
    #[must_use]
    pub fn into_body(self) -> Body {
        self.body
    }

    /// The whole body, at most [`DEFAULT_LIMIT`].
    ///
    /// # Errors
    /// [`Error::Retry`] where the connection broke, [`Error::Fatal`] where the body is longer.
    pub fn bytes(self) -> Result<Vec<u8>> {
        self.bytes_up_to(DEFAULT_LIMIT)
    }

    /// The whole body, at most `limit` bytes.
    ///
    /// # Errors
    /// As for [`Response::bytes`].
    pub fn bytes_up_to(self, limit: usize) -> Result<Vec<u8>> {
        self.body.all(limit).map_err(|error| error.context(self.place))
    }

    /// The whole body, read as JSON.
    ///
    /// # Errors
    /// As for [`Response::bytes`]; [`Error::Retry`] where it ends in the middle, as one without a length does whose connection broke;
    /// [`Error::Reject`] where it does not fit `T` or is empty.
    pub fn json<T: DeserializeOwned>(self) -> Result<T> {
        let place = self.place.clone();
        let bytes = self.bytes()?;
        serde_json::from_slice(&bytes).map_err(|e| {
            if e.is_eof() && !bytes.is_empty() {
                Error::retry(format!("{place}: the answer broke off after {} bytes: {e}", bytes.len()))
            } else {
                Error::reject(format!("{place}: the answer cannot be read as JSON: {e}"))
            }
        })
    }
}

#[cfg(test)]
mod tests;
