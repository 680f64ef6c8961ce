//! Sink `odata`: records into an entity set of an OData V4 or V2 service. This file joins the steps of one call: records become entries
//! (`entry.rs`), the oldest of each entity go out together (`waiting.rs`, `exchange.rs`), and each answer decides on its record alone
//! (`course.rs`).

use std::time::{Duration, Instant};

use wharf_sdk::{Batch, Context, Error, Outcomes, Result, Sink, export_sink, log};
use wharf_shared_odata::Version;
use wharf_shared_odata::service::Service;

mod batch;
mod config;
mod course;
mod encode;
mod entry;
mod exchange;
mod forbidden;
mod operation;
mod session;
mod target;
mod waiting;

use config::Config;
use course::{Judged, judge};
use encode::Encoding;
use entry::Entry;
use exchange::{Exchange, Said};
use forbidden::Forbidden;
use operation::Operation;
use target::Target;
use waiting::Waiting;

/// After this nothing more is sent in a call, so that it ends long before the host ends it (`limits.call-deadline`, two minutes): what
/// was being written then would count as poison.
const LONGEST_CALL: Duration = Duration::from_secs(50);

/// A running sink.
#[derive(Debug)]
pub struct Odata {
    config: Config,
    exchange: Exchange,
    longest_call: Duration,
    /// `None` before `$metadata` was read.
    target: Option<Target>,
    /// The service does not take Int64 and Decimal as text.
    plain_numbers: bool,
    /// It has answered for itself once: where it does not later, that passes.
    set_was_there: bool,
    /// Calls in a row in which something was forbidden and nothing written.
    forbidden: u32,
}

/// One call of `write`.
#[derive(Debug, Default)]
struct Call {
    outcomes: Outcomes,
    waiting: Waiting,
    forbidden: Forbidden,
    /// How its records were read.
    plain_numbers: bool,
    /// Whether the set answers for itself, asked after the answers that are judged; `None`: not asked.
    set_is_there: Option<bool>,
    /// Records that were decided: delivered, or rejected.
    decided: usize,
    /// Why the rest has to wait.
    pause: Option<(String, Option<Duration>)>,
}

export_sink!(Odata, manifest = include_str!("../connector.toml"));

impl Sink for Odata {
    fn open(context: &Context) -> Result<Self> {
        let config: Config = context.config()?;
        let address = config.check().map_err(|e| Error::fatal(e.to_string()))?;
        let exchange = Exchange::new(Service::new(address, "sink", config.timeout), &config);
        Ok(Self {
            config,
            exchange,
            longest_call: LONGEST_CALL,
            target: None,
            plain_numbers: false,
            set_was_there: false,
            forbidden: 0,
        })
    }

    fn write(&mut self, records: &Batch) -> Result<Outcomes> {
        let began = Instant::now();
        let target = match self.target.take() {
            Some(target) => target,
            None => Target::new(&self.config, self.exchange.metadata()?).map_err(|e| Error::fatal(e.to_string()))?,
        };
        let until = began + self.longest_call;
        let mut call = self.read(&target, records);
        let sent = self.send(&target, &mut call, until);
        self.target = Some(target);
        sent?;
        self.finish(call)
    }
}

impl Odata {
    /// Records as entries; what does not fit is rejected here, before anything is sent.
    fn read(&self, target: &Target, records: &Batch) -> Call {
        let mut call = Call { plain_numbers: self.plain_numbers, ..Call::default() };
        let encoding = Encoding { model: &target.model, version: target.version, plain_numbers: call.plain_numbers };
        for record in records {
            match Entry::of(target, encoding, &record) {
                Ok(Some(entry)) => call.waiting.push(entry),
                Ok(None) => call.decided += 1,
                Err(rejection) => {
                    call.outcomes.push(record.index, rejection);
                    call.decided += 1;
                }
            }
        }
        call
    }

    /// Sends until all is decided, what is left has to wait, or it is `until`.
    fn send(&mut self, target: &Target, call: &mut Call, until: Instant) -> Result<()> {
        while call.pause.is_none() {
            let places = if call.forbidden.are_several() { Vec::new() } else { call.waiting.next(self.exchange.most()) };
            let operations: Vec<Operation> = places
                .iter()
                .filter_map(|place| Some(Operation::of(target, call.waiting.get(*place)?, call.plain_numbers)))
                .collect();
            if operations.is_empty() {
                if call.forbidden.is_empty() {
                    break;
                }
                self.settle_forbidden(target, call)?;
                continue;
            }
            let Said { answers, pause } = self.exchange.send(target.version, &operations, until)?;
            call.pause = pause;
            let mut decided = Vec::new();
            call.set_is_there = None;
            for ((place, operation), answer) in places.into_iter().zip(&operations).zip(answers) {
                let Some(answer) = answer else { continue };
                let Some(entry) = call.waiting.get_mut(place) else { continue };
                let index = entry.index;
                if answer.status == 403 {
                    call.waiting.hold(place, answer.retry_after);
                    call.forbidden.push(index, answer);
                    continue;
                }
                call.forbidden.has_written |= (200..300).contains(&answer.status) && !operation.is_read();
                let judged = judge(target, entry, &answer);
                match self.settle(target, call, place, judged)? {
                    true => decided.push(index),
                    false if matches!(answer.status, 429 | 503) && call.pause.is_none() => {
                        call.pause = Some((format!("{} answers {}", self.exchange.host(), answer.status), answer.retry_after));
                    }
                    false => {}
                }
            }
            call.decided += decided.len();
            call.waiting.remove(&decided);
            if call.pause.is_none() && !call.waiting.is_empty() && Instant::now() >= until {
                let (host, longest) = (self.exchange.host(), self.longest_call.as_secs());
                call.pause = Some((format!("{host} is slow: what is left after {longest} s comes in another call"), None));
            }
        }
        if call.forbidden.has_written {
            self.judge_forbidden(target, call)?;
        }
        Ok(())
    }

    /// Notes a judgement; answers whether the record is decided.
    fn settle(&mut self, target: &Target, call: &mut Call, place: usize, judged: Judged) -> Result<bool> {
        let Some(entry) = call.waiting.get_mut(place) else { return Ok(false) };
        match judged {
            Judged::Delivered => return Ok(true),
            Judged::Rejected(rejection) => {
                call.outcomes.push(entry.index, rejection);
                return Ok(true);
            }
            Judged::Next(step) => entry.step = step,
            Judged::Later(after) => call.waiting.hold(place, after),
            Judged::PlainNumbers(status) if call.plain_numbers || target.version == Version::V2 => {
                return Err(self.unfit(target, status));
            }
            Judged::PlainNumbers(status) => {
                if !self.plain_numbers {
                    log::warn!(host = self.exchange.host(); "the service does not know IEEE754Compatible: Int64 and Decimal are sent as JSON numbers");
                }
                self.plain_numbers = true;
                // What is left was read for text: it comes again as the whole call does.
                call.pause = Some((
                    format!("{} answers {status}: the rest is written in another way", self.exchange.host()),
                    Some(Duration::ZERO),
                ));
            }
            Judged::SetOrNot(rejection) => {
                let index = entry.index;
                if !self.has_set(target, call)? {
                    return Ok(false);
                }
                if let Some(rejection) = rejection {
                    call.outcomes.push(index, rejection);
                }
                return Ok(true);
            }
            Judged::Never(status) => return Err(self.unfit(target, status)),
        }
        Ok(false)
    }

    /// Whether a 404 is that of an entity. Where the set does not answer for itself, what got a 404 waits: a service that is being
    /// deployed, or a router before it, answers in that way for everything.
    fn has_set(&mut self, target: &Target, call: &mut Call) -> Result<bool> {
        if let Some(known) = call.set_is_there {
            return Ok(known);
        }
        let (there, pause) = match self.exchange.has_set() {
            Ok(true) => (true, None),
            Ok(false) => {
                let (host, set) = (self.exchange.host(), &target.set);
                let message =
                    format!("{host} does not give the entity set `{set}`, which its $metadata names, and answers 404 for it");
                if !self.set_was_there {
                    return Err(Error::fatal(message));
                }
                (false, Some((message, None)))
            }
            Err(Error::Retry { message, after }) => (false, Some((message, after))),
            Err(error) => return Err(error),
        };
        self.set_was_there |= there;
        call.set_is_there = Some(there);
        call.pause = call.pause.take().or(pause);
        Ok(there)
    }

    fn unfit(&self, target: &Target, status: u16) -> Error {
        let (host, set, write) = (self.exchange.host(), &target.set, self.config.write);
        Error::fatal(format!(
            "{host} answers {status} for `{set}`: it does not take what `config.write = {write:?}` and `config.tombstones` ask for"
        ))
    }

    fn finish(&self, mut call: Call) -> Result<Outcomes> {
        if call.waiting.is_empty() {
            return Ok(call.outcomes);
        }
        let after = call.pause.as_ref().and_then(|(_, after)| *after);
        if let Some((message, after)) = call.pause.take_if(|_| call.decided == 0) {
            return Err(Error::Retry { message, after });
        }
        let rest: Vec<_> = call.waiting.rest(after).collect();
        let message = call.pause.map_or_else(|| "the service asks for some records again".to_owned(), |(message, _)| message);
        log::warn!(records = rest.len(), host = self.exchange.host(); "{message}");
        for (index, after) in rest {
            match after {
                Some(after) => call.outcomes.retry_after(index, after),
                None => call.outcomes.retry(index),
            }
        }
        Ok(call.outcomes)
    }
}

#[cfg(test)]
mod tests;
