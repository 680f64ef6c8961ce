//! Requests for pages, and what their answers mean: go on, try again, stop. Owns headers and statuses; knows no cursor. What is
//! asked of every service stands in the shared `service`.

use std::time::Duration;

use wharf_sdk::http::Request;
use wharf_sdk::{Error, Result};

use crate::address::Address;
use crate::config::Version;
use crate::edm::Model;
use crate::page::Page;
use crate::service::{Service, TRIES};

/// What to do about an answer that is too long.
const SHORTEN: &str = "lower `config.page-size`; where the service does not page, set `config.paging = \"client\"` (and `config.delta = \"never\"`)";

/// The connection to one service.
#[derive(Debug)]
pub struct Client {
    service: Service,
    entity: String,
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
    /// The service refuses a request that asks for changes to be tracked, maybe for that: without it, it tells.
    Untracked,
}

impl Client {
    #[must_use]
    pub const fn new(service: Address, entity: String, timeout: Duration) -> Self {
        Self { service: Service::new(service, "source", timeout), entity, lost: 0, plain_json: false }
    }

    /// The service's types; `None` where it has no `$metadata`.
    ///
    /// # Errors
    /// As for [`Client::page`].
    pub fn metadata(&mut self) -> Result<Option<Model>> {
        self.service.metadata()
    }

    /// The names of the sets in the service document; none where it has none.
    ///
    /// # Errors
    /// As for [`Client::page`].
    pub fn sets(&mut self) -> Result<Vec<String>> {
        self.service.sets()
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
            // A preference that is not understood is to be ignored (RFC 7240, 2), but not every service knows that.
            400 | 501 if wanted.track_changes => return Ok(Fetched::Untracked),
            _ => {}
        }
        let entity = self.entity.clone();
        let body = self.service.body(response, &entity, SHORTEN)?;
        let root = self.service.address().root();
        let page = Page::parse(body).map_err(|error| Error::retry(format!("`{entity}` of {root}: {error}")))?;
        if wanted.link {
            self.lost = 0;
        }
        Ok(Fetched::Page(page))
    }

    fn request(&self, url: &str, wanted: Wanted) -> Request {
        let request = Request::get(url).timeout(self.service.timeout());
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
}
