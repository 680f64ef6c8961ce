//! Requests that every connector of a service makes, and what the status of an answer means: try again, or stop. Owns the count of
//! refused credentials. Texts name service and status, never a value.

use std::time::Duration;

use wharf_sdk::http::{Request, Response, authority};
use wharf_sdk::{Error, Result};

use crate::address::Address;
use crate::edm::{BadMetadata, Model};
use crate::message::message;

/// The longest answer that is read.
pub const LONGEST: usize = 64 << 20;
/// How often refused credentials, or a refused link, are tried again.
pub const TRIES: u32 = 2;
/// How much of an answer is read for the service's message.
const SAID: usize = 64 << 10;

/// The connection to one service.
#[derive(Debug)]
pub struct Service {
    address: Address,
    /// `source` or `sink`: whose section of the configuration holds the credentials.
    section: &'static str,
    timeout: Duration,
    refused: u32,
}

impl Service {
    #[must_use]
    pub const fn new(address: Address, section: &'static str, timeout: Duration) -> Self {
        Self { address, section, timeout, refused: 0 }
    }

    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The service's types; `None` where it has no `$metadata`.
    ///
    /// # Errors
    /// As [`Service::body`]; `retry` where the document cannot be read.
    pub fn metadata(&mut self) -> Result<Option<Model>> {
        let url = self.address.resource("$metadata");
        let request = Request::get(url).header("accept", "application/xml").timeout(self.timeout);
        let response = request.send()?;
        if matches!(response.status, 404 | 405 | 406 | 410 | 501) {
            return Ok(None);
        }
        let body = self.body(response, "$metadata", "nothing makes it shorter")?;
        let text = String::from_utf8_lossy(&body);
        Model::parse(&text).map(Some).map_err(|error| self.bad_metadata(&error))
    }

    fn bad_metadata(&self, error: &BadMetadata) -> Error {
        Error::retry(format!("$metadata of {} cannot be read: {error}", self.address.root()))
    }

    /// The names of the sets in the service document (OData JSON Format 4.01, 5; V2 "JSON Format", 5); none where it has none.
    ///
    /// # Errors
    /// As [`Service::body`].
    pub fn sets(&mut self) -> Result<Vec<String>> {
        let url = format!("{}/", self.address.root());
        let response = Request::get(url).header("accept", "application/json").timeout(self.timeout).send()?;
        if response.status != 200 {
            return Ok(Vec::new());
        }
        let body = self.body(response, "the service document", "nothing makes it shorter")?;
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let v4 = json.get("value").and_then(|sets| sets.as_array()).into_iter().flatten().filter_map(|set| set.get("name"));
        let v2 = json.pointer("/d/EntitySets").and_then(|sets| sets.as_array()).into_iter().flatten();
        Ok(v4.chain(v2).filter_map(|name| name.as_str().map(ToOwned::to_owned)).collect())
    }

    /// The body of an answer of status 2xx. `shorten` says what to do about one that is longer than [`LONGEST`].
    ///
    /// # Errors
    /// `retry` where the same request may work later (408, 425, 429, 5xx, a cut-off answer; 401 and 403 twice), `fatal` where it
    /// will not.
    pub fn body(&mut self, response: Response, what: &str, shorten: &str) -> Result<Vec<u8>> {
        if !(200..300).contains(&response.status) {
            return Err(self.failure(response, what));
        }
        self.refused = 0;
        match response.bytes_up_to(LONGEST) {
            Err(Error::Fatal(_)) => Err(Error::fatal(format!(
                "an answer of {} for {what} is longer than {} MiB: {shorten}",
                self.address.root(),
                LONGEST >> 20
            ))),
            other => other,
        }
    }

    /// The credentials were taken.
    pub const fn welcomed(&mut self) {
        self.refused = 0;
    }

    /// The error that an answer of another status than 2xx comes to.
    pub fn failure(&mut self, response: Response, what: &str) -> Error {
        let (status, root) = (response.status, self.address.root().to_owned());
        let pause = response.retry_after();
        let location = response.header("location").map(|url| authority(url).to_owned());
        let said = response.bytes_up_to(SAID).ok().and_then(|body| message(&body));
        let said = said.map_or_else(String::new, |text| format!(": {text}"));
        match status {
            401 | 403 => self.refused(status, what),
            501 | 505 => Error::fatal(format!("{root} answers {status} for {what}{said}")),
            408 | 425 | 429 | 500.. => {
                let error = Error::retry(format!("{root} answers {status} for {what}{said}"));
                match pause {
                    Some(pause) => error.after(pause),
                    None => error,
                }
            }
            300..=399 => {
                let to = location.map_or_else(String::new, |host| format!(" to {host}"));
                Error::fatal(format!("{root} redirects{to} ({status}): give the service's own URL in `config.service`"))
            }
            _ => Error::fatal(format!("{root} answers {status} for {what}{said}")),
        }
    }

    /// Credentials that were refused: `retry`, and `fatal` after [`TRIES`] of these in a row.
    pub fn refused(&mut self, status: u16, what: &str) -> Error {
        let root = self.address.root();
        let may = if self.section == "sink" { "write" } else { "read" };
        self.turned_away(format!(
            "{root} answers {status} for {what}: check the credentials in `[{}.auth.\"{}\"]`, and that the account may {may} it",
            self.section,
            authority(root)
        ))
    }

    /// The service does not want this client: `retry`, and `fatal` after [`TRIES`] of these in a row.
    pub fn turned_away(&mut self, text: String) -> Error {
        self.refused += 1;
        if self.refused > TRIES { Error::fatal(text) } else { Error::retry(text) }
    }
}
