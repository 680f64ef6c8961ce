//! Sink `http`: records to an HTTP endpoint, several in a request or one by one. This file sends and sorts the answers; what
//! is sent is made in `element.rs`, what a status means is told in `status.rs`.
//!
//! Order: requests go one after the other. After an answer that means "later" nothing more is sent in that call.

use std::time::Duration;

use wharf_sdk::http::{Request, Response};
use wharf_sdk::{Batch, Context, Error, Outcomes, Rejection, Result, Sink, export_sink, log};

mod config;
mod element;
mod status;

use config::{Body, Config};
use element::{Element, body, element, idempotency_key};
use status::{Meaning, meaning};

/// How much of an answer is read, and how many characters of it are shown.
const READ: u64 = 64 << 10;
const SHOWN: usize = 200;
/// How often refused credentials are tried again.
const TRIES: u32 = 2;

/// A running sink.
#[derive(Debug)]
pub struct Http {
    config: Config,
    refused: u32,
}

/// What became of one request.
#[derive(Debug)]
enum Sent {
    Delivered,
    Later(String, Option<Duration>),
    Never(Rejection),
}

/// The rest of a batch has to wait.
#[derive(Debug)]
struct Wait {
    message: String,
    after: Option<Duration>,
}

export_sink!(Http, manifest = include_str!("../connector.toml"));

impl Sink for Http {
    fn open(context: &Context) -> Result<Self> {
        let config: Config = context.config()?;
        config.check().map_err(Error::fatal)?;
        Ok(Self { config, refused: 0 })
    }

    fn write(&mut self, records: &Batch) -> Result<Outcomes> {
        let mut outcomes = Outcomes::accepted();
        let mut elements = Vec::with_capacity(records.len());
        for record in records {
            match element(&self.config, &record) {
                Ok(found) => elements.extend(found),
                Err(rejection) => outcomes.push(record.index, rejection),
            }
        }
        let size = if self.config.body == Body::Record { 1 } else { self.config.max_batch };
        let mut done = 0;
        while let Some(rest) = elements.get(done..).filter(|rest| !rest.is_empty()) {
            let chunk = rest.get(..size).unwrap_or(rest);
            let (delivered, wait) = self.deliver(chunk, &mut outcomes)?;
            done += delivered;
            if let Some(wait) = wait {
                return self.later(elements.get(done..).unwrap_or_default(), done, wait, outcomes);
            }
        }
        Ok(outcomes)
    }
}

impl Http {
    /// Sends a chunk; one that the receiver refuses is sent again record by record, so that only the bad ones are rejected.
    /// Answers how many records are done with.
    fn deliver(&mut self, chunk: &[Element], outcomes: &mut Outcomes) -> Result<(usize, Option<Wait>)> {
        match (self.send(chunk)?, chunk) {
            (Sent::Delivered, _) => Ok((chunk.len(), None)),
            (Sent::Later(message, after), _) => Ok((0, Some(Wait { message, after }))),
            (Sent::Never(rejection), [one]) => {
                outcomes.push(one.index, rejection);
                Ok((1, None))
            }
            (Sent::Never(_), several) => {
                for (done, one) in several.iter().enumerate() {
                    match self.send(std::slice::from_ref(one))? {
                        Sent::Delivered => {}
                        Sent::Never(rejection) => outcomes.push(one.index, rejection),
                        Sent::Later(message, after) => return Ok((done, Some(Wait { message, after }))),
                    }
                }
                Ok((several.len(), None))
            }
        }
    }

    /// Nothing from here on was sent. Where nothing at all was, the whole call comes again.
    fn later(&self, rest: &[Element], done: usize, wait: Wait, mut outcomes: Outcomes) -> Result<Outcomes> {
        if done == 0 && outcomes.is_empty() {
            let error = Error::retry(wait.message);
            return Err(wait.after.map_or(error.clone(), |after| error.after(after)));
        }
        log::warn!(records = rest.len(), host = self.config.host(); "{}", wait.message);
        for element in rest {
            match wait.after {
                Some(after) => outcomes.retry_after(element.index, after),
                None => outcomes.retry(element.index),
            }
        }
        Ok(outcomes)
    }

    fn send(&mut self, elements: &[Element]) -> Result<Sent> {
        let response = match self.request(elements).send() {
            Ok(response) => response,
            Err(Error::Retry { message, after }) => return Ok(Sent::Later(message, after)),
            Err(other) => return Err(Error::fatal(other.message())),
        };
        let (status, host) = (response.status, self.config.host().to_owned());
        let meaning = meaning(&self.config, status);
        if meaning != Meaning::Refused {
            self.refused = 0;
        }
        match meaning {
            Meaning::Delivered => {
                // An answer that breaks off after its status changes nothing.
                start(response);
                Ok(Sent::Delivered)
            }
            Meaning::Later => Ok(Sent::Later(format!("{host} answers {status}"), response.retry_after())),
            Meaning::Never => {
                let message = format!("{host} answers {status}: {}", start(response));
                Ok(Sent::Never(Rejection::new(format!("http.{status}"), message)))
            }
            Meaning::Refused => self.refused(status),
            Meaning::Elsewhere => {
                let to = response.header("location").and_then(|url| url.split("://").nth(1)?.split(['/', '?']).next());
                let to = to.map_or_else(String::new, |host| format!(" to {host}"));
                Err(Error::fatal(format!("{host} redirects{to} ({status}): give the address itself in `config.url`")))
            }
        }
    }

    /// Credentials are not the records' fault: tried twice more, then the sink stops.
    fn refused(&mut self, status: u16) -> Result<Sent> {
        self.refused += 1;
        let host = self.config.host();
        let text = format!("{host} answers {status}: check the credentials in `[sink.auth.\"{host}\"]`");
        if self.refused > TRIES { Err(Error::fatal(text)) } else { Ok(Sent::Later(text, None)) }
    }

    fn request(&self, elements: &[Element]) -> Request {
        let config = &self.config;
        let mut request = Request::new(config.method.name(), config.url.clone())
            .header("content-type", config.content_type())
            .timeout(config.timeout)
            .body(body(config, elements));
        if !config.idempotency_header.is_empty() {
            request = request.header(config.idempotency_header.clone(), idempotency_key(elements));
        }
        for (name, value) in config.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("content-type")) {
            request = request.header(name.clone(), value.clone());
        }
        request
    }
}

/// The first characters of an answer on one line. Reads what a connection needs to be used again, within bounds.
fn start(response: Response) -> String {
    let mut bytes = Vec::new();
    let read = std::io::Read::read_to_end(&mut std::io::Read::take(response.into_body(), READ), &mut bytes);
    let broken = if read.is_err() { " (the answer broke off)" } else { "" };
    let text = String::from_utf8_lossy(&bytes);
    let shown: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
    format!("{}{broken}", if shown.is_empty() { "(no text)" } else { &shown })
}

#[cfg(test)]
mod tests;
