//! Operations to the service and its answers back: in `$batch` where it has that, otherwise one by one. Owns the session, and what a
//! status of a whole request means; what an answer means for its record is judged in `course.rs`.
//!
//! A request that breaks off leaves operations without an answer. They may have been done or not: the caller sends them again.

use std::io::Read as _;
use std::time::{Duration, Instant};

use wharf_sdk::http::{Request, Response, authority};
use wharf_sdk::{Error, Result, log};
use wharf_shared_odata::Version;
use wharf_shared_odata::edm::Model;
use wharf_shared_odata::service::{LONGEST, Service};

use crate::batch;
use crate::config::{Config, Format};
use crate::operation::{Answer, Operation};
use crate::session::Session;

/// The connection to one service.
#[derive(Debug)]
pub struct Exchange {
    service: Service,
    session: Session,
    set: String,
    format: Format,
    /// Most operations in one request; 1: no `$batch`.
    most: usize,
    /// Most in the next `$batch`: half of one that came to nothing, and again more after one that was answered.
    now: usize,
    /// `$batch` has worked: it will not be taken for missing.
    known: bool,
}

/// What came back for some operations.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// In the order of the operations; `None`: not answered.
    pub answers: Vec<Option<Answer>>,
    /// Why nothing more should be sent now, and for how long.
    pub pause: Option<(String, Option<Duration>)>,
}

impl Exchange {
    #[must_use]
    pub fn new(service: Service, config: &Config) -> Self {
        let session = Session::default();
        Self {
            service,
            session,
            set: config.entity.clone(),
            format: config.batch_format,
            most: config.batch,
            now: config.batch,
            known: false,
        }
    }

    /// Most operations that one call of [`Exchange::send`] should be given.
    #[must_use]
    pub const fn most(&self) -> usize {
        if self.now < self.most { self.now } else { self.most }
    }

    /// The service's types.
    ///
    /// # Errors
    /// As [`Service::metadata`].
    pub fn metadata(&mut self) -> Result<Option<Model>> {
        self.service.metadata()
    }

    /// Host and port, for messages.
    #[must_use]
    pub fn host(&self) -> &str {
        authority(self.service.address().root())
    }

    /// Whether the entity set is there. It was in `$metadata`; this asks for it by itself.
    ///
    /// # Errors
    /// Where the service does not say.
    pub fn has_set(&mut self) -> Result<bool> {
        let url = format!("{}?$top=1", self.service.address().resource(&self.set));
        let response = Request::get(url).header("accept", "application/json").timeout(self.service.timeout()).send()?;
        match response.status {
            404 | 410 => Ok(false),
            status @ 200..300 => {
                let content = response.header("content-type").unwrap_or_default().to_ascii_lowercase();
                let (body, _) = body(response);
                if is_data(&content, &body) { Ok(true) } else { Err(Error::retry(self.no_data(status, &content))) }
            }
            _ => Err(self.service.failure(response, &self.set)),
        }
    }

    /// As [`Exchange::has_set`]; what the service may say later is a no.
    fn has_set_now(&mut self) -> Result<bool> {
        self.has_set().or_else(|error| match error {
            Error::Retry { .. } => Ok(false),
            other => Err(other),
        })
    }

    /// Sends operations in order. No request but the first begins after `until`: what it leaves is not answered.
    ///
    /// # Errors
    /// `fatal` where nothing can be written any more. What may work later is a pause, not an error.
    pub fn send(&mut self, version: Version, operations: &[Operation], until: Instant) -> Result<Said> {
        let mut said = if self.most == 1 { self.one_by_one(operations, until)? } else { self.batch(version, operations, until)? };
        said.answers.resize(operations.len(), None);
        // Refused credentials are refused for all. What a 403 is about is told by the whole call (`forbidden.rs`).
        if said.answers.iter().flatten().any(|answer| answer.status == 401) {
            said.answers.iter_mut().for_each(|slot| *slot = slot.take().filter(|answer| !matches!(answer.status, 401 | 403)));
            self.begin_anew();
            let refused = self.service.refused(401, &self.set);
            said.pause = Some(pause(refused)?);
        } else if said.answers.iter().flatten().any(|answer| answer.status != 403) {
            self.service.welcomed();
        }
        Ok(said)
    }

    /// The session may be what has expired: the next request begins another one.
    pub fn begin_anew(&mut self) {
        self.session = Session::default();
    }

    /// Every write was refused by 403; answers what an operator can do.
    pub fn forbidden(&mut self) -> String {
        self.begin_anew();
        self.service.refused(403, &self.set).message().to_owned()
    }

    /// The account was let in.
    pub const fn welcomed(&mut self) {
        self.service.welcomed();
    }

    fn one_by_one(&mut self, operations: &[Operation], until: Instant) -> Result<Said> {
        let mut said = Said::default();
        for (place, operation) in operations.iter().enumerate() {
            if place > 0 && Instant::now() >= until {
                break;
            }
            let url = self.service.address().resource(&operation.path);
            let mut request = Request::new(operation.method, url).timeout(self.service.timeout());
            for (name, value) in &operation.headers {
                request = request.header(*name, value.clone());
            }
            if let Some(body) = &operation.body {
                request = request.body(body.clone());
            }
            let response = match self.session.send(&mut self.service, &request) {
                Ok(response) => response,
                Err(error) => {
                    said.pause = Some(pause(error)?);
                    break;
                }
            };
            self.redirect(&response)?;
            let status = response.status;
            let retry_after = response.retry_after();
            let content = response.header("content-type").unwrap_or_default().to_ascii_lowercase();
            let (body, whole) = body(response);
            let bare = body.is_empty() && !operation.is_read();
            if (200..300).contains(&status) && !bare && !is_data(&content, &body) {
                // A page to sign in, most of all: nothing was written.
                self.begin_anew();
                said.pause = Some((self.no_data(status, &content), None));
                break;
            }
            // Of a write the status tells all; what was asked for has to be read to its end.
            if !whole && operation.is_read() {
                said.pause = Some((format!("the answer of {} broke off", self.host()), None));
                break;
            }
            said.answers.push(Some(Answer { status, retry_after, body }));
            if matches!(status, 401 | 429 | 503) {
                break;
            }
        }
        Ok(said)
    }

    fn batch(&mut self, version: Version, operations: &[Operation], until: Instant) -> Result<Said> {
        let url = self.service.address().resource("$batch");
        let mut request = Request::post(url).timeout(self.service.timeout());
        if version == Version::V4 {
            // What follows a failed request is done all the same (OData 4.01 Part 1, 8.2.8.3).
            request = request
                .header("odata-version", "4.0")
                .header("odata-maxversion", "4.0")
                .header("prefer", "odata.continue-on-error");
        }
        let request = batch::write(self.format, request, operations);
        let response = match self.session.send(&mut self.service, &request) {
            Ok(response) => response,
            Err(error) => {
                self.shrink(operations.len());
                return Ok(Said { answers: Vec::new(), pause: Some(pause(error)?) });
            }
        };
        self.redirect(&response)?;
        match (response.status, operations) {
            (200..300, _) => self.read(response, operations.len()),
            // Where the set is not there either, the service is away for a while; otherwise it has no `$batch`.
            (404, _) if !self.has_set_now()? => {
                let text = format!("{} answers 404 for $batch, and does not give `{}`", self.host(), self.set);
                let away = if self.known { Error::retry(text) } else { self.service.turned_away(text) };
                Ok(Said { answers: Vec::new(), pause: Some(pause(away)?) })
            }
            (404, _) if self.known => self.one_by_one(operations, until),
            (404 | 405 | 501, _) if !self.known => {
                log::warn!(host = self.host(), status = response.status; "the service has no $batch: requests go out one by one");
                self.most = 1;
                self.one_by_one(operations, until)
            }
            // One operation that cannot be read may spoil the batch for all.
            (400 | 413 | 422, [_, _, ..]) => self.halves(version, operations, until),
            // It may be the batch that is refused, not what is in it.
            (400 | 413 | 422, _) => self.one_by_one(operations, until),
            (406 | 415, _) => {
                let status = response.status;
                Err(Error::fatal(format!(
                    "{} answers {status} for $batch: set `config.batch-format` to the other format, or `config.batch` to 1",
                    self.host()
                )))
            }
            (status, _) => {
                if matches!(status, 401 | 403) {
                    self.begin_anew();
                }
                if matches!(status, 408 | 500..) {
                    self.shrink(operations.len());
                }
                let failure = self.service.failure(response, "$batch");
                Ok(Said { answers: Vec::new(), pause: Some(pause(failure)?) })
            }
        }
    }

    fn halves(&mut self, version: Version, operations: &[Operation], until: Instant) -> Result<Said> {
        let (first, second) = operations.split_at_checked(operations.len() / 2).unwrap_or((operations, &[]));
        let mut said = self.batch(version, first, until)?;
        said.answers.resize(first.len(), None);
        // Nothing more is sent to a service that is busy, and nothing that the call has no time for.
        let busy = said.answers.iter().flatten().any(|answer| matches!(answer.status, 429 | 503));
        if said.pause.is_none() && !busy && Instant::now() < until {
            let rest = self.batch(version, second, until)?;
            said.answers.extend(rest.answers);
            said.pause = rest.pause;
        }
        Ok(said)
    }

    fn read(&mut self, response: Response, count: usize) -> Result<Said> {
        let content = response.header("content-type").unwrap_or_default().to_owned();
        let (body, unbroken) = body(response);
        let answers = match batch::read(self.format, &content, &body, count) {
            Ok(answers) => answers,
            Err(bad) => return Ok(Said { answers: Vec::new(), pause: Some((format!("{}: {bad}", self.host()), None)) }),
        };
        self.known = true;
        let answered = answers.of.iter().flatten().count();
        let cut = !unbroken || !answers.whole;
        // A service that stops at the first failure has said all that it will: the rest follows at once.
        let stopped = answered < count && (cut || answered == 0);
        if answered == 0 {
            self.shrink(count);
        } else {
            self.now = self.most.min(self.now.saturating_mul(2));
        }
        let pause = stopped.then(|| (format!("{} answered {answered} of {count} requests of a $batch", self.host()), None));
        Ok(Said { answers: answers.of, pause })
    }

    /// What may be too much for the service, or for its time, is less the next time.
    fn shrink(&mut self, count: usize) {
        self.now = (count / 2).max(1);
    }

    fn no_data(&self, status: u16, content: &str) -> String {
        let content = content.split(';').next().unwrap_or_default().trim();
        let host = self.host();
        format!(
            "{host} answers {status} with `{content}` in place of OData, so it is not known to have written anything: look whether it, or \
             a proxy before it, wants a sign-in"
        )
    }

    fn redirect(&self, response: &Response) -> Result<()> {
        if !(300..400).contains(&response.status) {
            return Ok(());
        }
        let to = response.header("location").map_or_else(String::new, |url| format!(" to {}", authority(url)));
        let (host, status) = (self.host(), response.status);
        Err(Error::fatal(format!("{host} redirects{to} ({status}): give the service's own URL in `config.service`")))
    }
}

/// What may work later as the reason for a pause.
fn pause(error: Error) -> Result<(String, Option<Duration>)> {
    match error {
        Error::Retry { message, after } => Ok((message, after)),
        other => Err(Error::fatal(other.message())),
    }
}

/// Whether a body is what a service of OData answers with: JSON, or Atom and other XML. `content`: its type, in lower case.
fn is_data(content: &str, body: &[u8]) -> bool {
    let html = content.contains("html");
    match body.trim_ascii_start().first() {
        Some(b'{' | b'[') => !html,
        Some(b'<') => content.contains("xml") && !html,
        _ => false,
    }
}

/// As much of a body as came, and whether that is all.
fn body(response: Response) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    let read = response.into_body().take(limit).read_to_end(&mut bytes);
    (bytes, read.is_ok())
}
