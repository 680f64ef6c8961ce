//! Requests to the service, and what its answers mean: go on, try again, stop. Owns headers and statuses; knows no cursor.
//! Texts name service and status, never a value.

use std::time::Duration;

use wharf_sdk::http::{Request, Response};
use wharf_sdk::{Error, Result};

use crate::address::Address;
use crate::config::Version;
use crate::edm::{BadMetadata, Model};
use crate::page::{Page, message};

/// The longest answer that is read.
const LONGEST: usize = 64 << 20;
/// How often refused credentials, or a refused link, are tried again.
const TRIES: u32 = 2;

/// The connection to one service.
#[derive(Debug)]
pub struct Client {
    service: Address,
    entity: String,
    timeout: Duration,
    refused: u32,
    lost: u32,
    /// The service does not know `IEEE754Compatible`.
    plain_json: bool,
}

/// How a page is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    pub version: Version,
    /// `Prefer: odata.maxpagesize`.
    pub page_size: Option<u32>,
    /// `Prefer: odata.track-changes`.
    pub track_changes: bool,
    /// The URL is one that the service handed out.
    pub link: bool,
}

/// What came for a page.
#[derive(Debug)]
pub enum Fetched {
    Page(Page),
    /// The service no longer takes its own link.
    LinkLost,
    /// There is no such entity set.
    NoSet,
}

impl Client {
    #[must_use]
    pub const fn new(service: Address, entity: String, timeout: Duration) -> Self {
        Self { service, entity, timeout, refused: 0, lost: 0, plain_json: false }
    }

    /// The service's types; `None` where it has no `$metadata`.
    ///
    /// # Errors
    /// As for [`Client::page`].
    pub fn metadata(&mut self) -> Result<Option<Model>> {
        let url = self.service.resource("$metadata");
        let request = Request::get(url).header("accept", "application/xml").timeout(self.timeout);
        let response = request.send()?;
        if matches!(response.status, 404 | 405 | 406 | 410 | 501) {
            return Ok(None);
        }
        let body = self.body(response, "$metadata")?;
        let text = String::from_utf8_lossy(&body);
        Model::parse(&text).map(Some).map_err(|error| self.bad_metadata(&error))
    }

    fn bad_metadata(&self, error: &BadMetadata) -> Error {
        Error::retry(format!("$metadata of {} cannot be read: {error}", self.service.root()))
    }

    /// A page of entities.
    ///
    /// # Errors
    /// `retry` where the same request may work later (no answer, 408, 425, 429, 5xx, a cut-off answer; 401 and 403 twice),
    /// `fatal` where it will not.
    pub fn page(&mut self, url: &str, wanted: Wanted) -> Result<Fetched> {
        let response = self.request(url, wanted).send()?;
        match response.status {
            406 | 415 if !self.plain_json => {
                self.plain_json = true;
                return self.page(url, wanted);
            }
            400 | 404 | 410 if wanted.link && self.lost < TRIES => {
                self.lost += 1;
                return Ok(Fetched::LinkLost);
            }
            404 if !wanted.link => return Ok(Fetched::NoSet),
            _ => {}
        }
        let entity = self.entity.clone();
        let body = self.body(response, &entity)?;
        let page = Page::parse(body).map_err(|error| Error::retry(format!("`{entity}` of {}: {error}", self.service.root())))?;
        if wanted.link {
            self.lost = 0;
        }
        Ok(Fetched::Page(page))
    }

    fn request(&self, url: &str, wanted: Wanted) -> Request {
        let request = Request::get(url).timeout(self.timeout);
        let mut prefer = Vec::new();
        if let Some(size) = wanted.page_size {
            prefer.push(format!("odata.maxpagesize={size}"));
        }
        if wanted.track_changes {
            prefer.push("odata.track-changes".to_owned());
        }
        // OData 4.01 Part 1, 8.1.5 and 8.2.7; V2 "Overview", 5 (versions by headers). IEEE754Compatible has the service write Int64
        // and Decimal as text, so that no digit is lost on its side (OData JSON Format 4.01, 3.2).
        let request = match wanted.version {
            Version::V4 if self.plain_json => request.header("accept", "application/json").header("odata-maxversion", "4.0"),
            Version::V4 => request
                .header("accept", "application/json;odata.metadata=minimal;IEEE754Compatible=true")
                .header("odata-maxversion", "4.0"),
            Version::V2 => request.header("accept", "application/json").header("maxdataserviceversion", "2.0"),
        };
        if prefer.is_empty() { request } else { request.header("prefer", prefer.join(",")) }
    }

    /// The names of the sets in the service document (OData JSON Format 4.01, 5; V2 "JSON Format", 5); none where it has none.
    ///
    /// # Errors
    /// As for [`Client::page`].
    pub fn sets(&mut self) -> Result<Vec<String>> {
        let url = format!("{}/", self.service.root());
        let response = Request::get(url).header("accept", "application/json").timeout(self.timeout).send()?;
        if response.status != 200 {
            return Ok(Vec::new());
        }
        let body = self.body(response, "the service document")?;
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let v4 = json.get("value").and_then(|sets| sets.as_array()).into_iter().flatten().filter_map(|set| set.get("name"));
        let v2 = json.pointer("/d/EntitySets").and_then(|sets| sets.as_array()).into_iter().flatten();
        Ok(v4.chain(v2).filter_map(|name| name.as_str().map(ToOwned::to_owned)).collect())
    }

    /// The body of an answer of status 2xx.
    fn body(&mut self, response: Response, what: &str) -> Result<Vec<u8>> {
        if !(200..300).contains(&response.status) {
            return Err(self.failure(response, what));
        }
        self.refused = 0;
        match response.bytes_up_to(LONGEST) {
            Err(Error::Fatal(_)) => Err(Error::fatal(format!(
                "an answer of {} for {what} is longer than {} MiB: lower `config.page-size`; where the service does not page, set `config.paging = \"client\"` (and `config.delta = \"never\"`)",
                self.service.root(),
                LONGEST >> 20
            ))),
            other => other,
        }
    }

    fn failure(&mut self, response: Response, what: &str) -> Error {
        let (status, root) = (response.status, self.service.root().to_owned());
        let pause = response.retry_after();
        let location = response.header("location").map(host_of);
        let said = response.bytes_up_to(64 << 10).ok().and_then(|body| message(&body));
        let said = said.map_or_else(String::new, |text| format!(": {text}"));
        match status {
            401 | 403 => {
                self.refused += 1;
                let text = format!(
                    "{root} answers {status} for {what}: check the credentials in `[source.auth.\"{}\"]`, and that the account may read it",
                    host_of(&root)
                );
                if self.refused > TRIES { Error::fatal(text) } else { Error::retry(text) }
            }
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
}

/// Host and port of a URL.
fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned()
}
