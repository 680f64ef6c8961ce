//! Sink `http`: records to an HTTP endpoint, several in a request or one by one. This file sends and sorts the answers; what
//! goes beside what is told in `lanes.rs`, what is sent is made in `element.rs` and `target.rs`, what a status means stands in
//! `status.rs`, what the body of an answer does in `rules.rs`.
//!
//! Order: the requests of a partition go one after the other. After an answer that means "later" nothing more is sent in that call.

use std::time::Duration;

use wharf_http_rules::answer::start;
use wharf_sdk::http::{InFlight, Request, Response};
use wharf_sdk::{Batch, Context, Error, Outcomes, Rejection, Result, Sink, export_sink, log};

mod config;
mod element;
mod lanes;
mod rules;
mod status;
mod target;

use config::Config;
use element::{Element, body, idempotency_key};
use lanes::{Lane, lanes};
use status::{Meaning, meaning};

/// How often refused credentials are tried again.
const TRIES: u32 = 2;

/// A running sink.
#[derive(Debug)]
pub struct Http {
    config: Config,
    /// Calls in which the credentials were refused, since something else was answered last.
    refused: u32,
}

/// What became of one request.
#[derive(Debug)]
enum Sent {
    Delivered,
    Later(String, Option<Duration>),
    Never(Rejection),
    /// Delivered but for some: their indices in the batch.
    Partly(Vec<(u32, Rejection)>),
    /// The credentials are: with this status.
    Refused(u16),
}

export_sink!(Http, manifest = include_str!("../connector.toml"));

impl Sink for Http {
    fn open(context: &Context) -> Result<Self> {
        let mut config: Config = context.config()?;
        config.check().map_err(Error::fatal)?;
        Ok(Self { config, refused: 0 })
    }

    fn write(&mut self, records: &Batch) -> Result<Outcomes> {
        let mut outcomes = Outcomes::accepted();
        let mut lanes = lanes(&self.config, records);
        let (done, waits) = self.send(&mut lanes, &mut outcomes)?;
        let Some(message) = waits else { return Ok(outcomes) };
        // Where nothing at all is decided, and all has to wait for as long, the whole call comes again.
        let mut waits = lanes.iter().map(|lane| lane.after);
        let first = waits.next().flatten();
        if done == 0 && outcomes.is_empty() && waits.all(|after| after == first) {
            return Err(Error::Retry { message, after: first });
        }
        let rest: usize = lanes.iter().map(|lane| lane.rest().count()).sum();
        log::warn!(records = rest, host = self.config.host(); "{message}");
        // A lane that only was not gone on with need not wait for as long as one that was refused.
        for (index, after) in lanes.iter().flat_map(|lane| lane.rest().map(|index| (index, lane.after))) {
            match after {
                Some(after) => outcomes.retry_after(index, after),
                None => outcomes.retry(index),
            }
        }
        Ok(outcomes)
    }
}

impl Http {
    /// Sends what the lanes hold, one request of each at a time, until all is sent or an answer means "later": what is under way
    /// then is waited for, and nothing more is sent. Answers how many records have arrived, and why the rest has to wait.
    fn send(&mut self, lanes: &mut [Lane<'_>], outcomes: &mut Outcomes) -> Result<(usize, Option<String>)> {
        let mut under_way = InFlight::new();
        let (mut done, mut wait, mut refused, mut well) = (0, None, None, false);
        loop {
            if wait.is_none() {
                for (number, lane) in lanes.iter_mut().enumerate().filter(|(_, lane)| !lane.is_waiting()) {
                    let elements = lane.next(&self.config, outcomes);
                    if !elements.is_empty() {
                        under_way.start(number, &self.request(elements));
                    }
                }
                lanes.iter_mut().for_each(|lane| lane.prepare(&self.config, outcomes));
            }
            let Some((number, answer)) = under_way.answer() else { break };
            let Some(lane) = lanes.get_mut(number) else { continue };
            let answered = answer.is_ok();
            let sent = self.sorted(lane, answer)?;
            well |= answered && !matches!(sent, Sent::Refused(_));
            match sent {
                Sent::Delivered => done += lane.done(),
                Sent::Partly(rejected) => {
                    lane.done();
                    rejected.into_iter().for_each(|(index, rejection)| outcomes.push(index, rejection));
                }
                Sent::Never(rejection) => {
                    if let Some(index) = lane.refused() {
                        outcomes.push(index, rejection);
                    }
                }
                Sent::Later(message, after) => {
                    lane.failed(after);
                    wait.get_or_insert(message);
                }
                Sent::Refused(status) => {
                    lane.failed(None);
                    refused = Some(status);
                    wait.get_or_insert_with(|| self.credentials(status));
                }
            }
        }
        // Credentials are not the records' fault: tried twice more, then the sink stops.
        if let Some(status) = refused {
            self.refused += 1;
            if self.refused > TRIES {
                return Err(Error::fatal(self.credentials(status)));
            }
        } else if well {
            self.refused = 0;
        }
        Ok((done, wait))
    }

    fn sorted(&self, lane: &Lane<'_>, answer: Result<Response>) -> Result<Sent> {
        let response = match answer {
            Ok(response) => response,
            Err(Error::Retry { message, after }) => return Ok(Sent::Later(message, after)),
            Err(Error::Reject(message)) if self.config.templates.is_some() => {
                return Ok(Sent::Never(Rejection::new("http.template", message)));
            }
            Err(other) => return Err(Error::fatal(other.message())),
        };
        let (status, host) = (response.status, self.config.host());
        // What is to be deleted is gone, perhaps by the same request before. There is nothing to look into then, nor where no body is.
        let means = meaning(&self.config, status);
        let is_gone = means == Meaning::Never && target::is_gone(&self.config, lane.under_way().next(), status);
        let rules = self.config.rules.as_ref().filter(|_| !is_gone && status != 204);
        match (if is_gone { Meaning::Delivered } else { means }, rules) {
            (Meaning::Delivered, Some(rules)) => Ok(rules.sent(lane, host, response)),
            (Meaning::Delivered, None) => {
                // An answer that breaks off after its status changes nothing.
                start(response);
                Ok(Sent::Delivered)
            }
            (Meaning::Later, _) => Ok(Sent::Later(format!("{host} answers {status}"), response.retry_after())),
            (Meaning::Never, _) => {
                let message = format!("{host} answers {status}: {}", start(response));
                Ok(Sent::Never(Rejection::new(format!("http.{status}"), message)))
            }
            (Meaning::Refused, _) => Ok(Sent::Refused(status)),
            (Meaning::Elsewhere, _) => {
                let to = response.header("location").filter(|url| url.contains("://")).map(wharf_http_rules::headers::host);
                let to = to.map_or_else(String::new, |host| format!(" to {host}"));
                Err(Error::fatal(format!("{host} redirects{to} ({status}): give the address itself in `config.url`")))
            }
        }
    }

    fn credentials(&self, status: u16) -> String {
        let host = self.config.host();
        format!("{host} answers {status}: check the credentials in `[sink.auth.\"{host}\"]`")
    }

    fn request(&self, elements: &[Element<'_>]) -> Request {
        let config = &self.config;
        let own = elements.first().and_then(|element| element.target.as_deref());
        let mut request = match own {
            None => Request::new(config.method.name(), config.url.clone()),
            Some(target) => Request::new(target.method, target.url.clone()),
        };
        request = request.timeout(config.timeout).body(body(config, elements));
        if !own.is_some_and(target::Target::has_no_body) {
            request = request.header("content-type", config.content_type());
        }
        if !config.idempotency_header.is_empty() {
            request = request.header(config.idempotency_header.clone(), idempotency_key(elements));
        }
        if let Some(target) = own {
            return target.headers.iter().fold(request, |request, (name, value)| request.header(name.clone(), value.clone()));
        }
        for (name, value) in config.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("content-type")) {
            request = request.header(name.clone(), value.clone());
        }
        request
    }
}

#[cfg(test)]
mod tests;
