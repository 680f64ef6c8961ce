//! Source `odata`: an entity set of an OData V4 or V2 service as records. This file joins reader and client to the calls of a
//! source; what is news is decided under `reader.rs`, what an answer means in `client.rs`.

use std::time::{Duration, Instant};

use wharf_sdk::{Context, Error, Limits, NewRecord, Polled, Position, Records, Rejection, Result, Source, export_source, log};
use wharf_shared_odata::{address, edm, key, literal, message, service, time, value};

mod client;
mod config;
mod cursor;
mod page;
mod place;
mod plan;
mod reader;
mod seen;

use client::{Client, Fetched, Wanted};
use config::{Config, Paging};
use page::Page;
use place::Place;
use plan::Plan;
use reader::{Next, Read, ReadError, Reader};

/// A position that moved without a record (a fresh delta link) is stored this often.
const QUIET: Duration = Duration::from_secs(600);

/// A running source. An entity set is one slice: with several tasks the first reads it.
#[derive(Debug)]
pub struct Odata {
    config: Config,
    client: Client,
    place: Option<Place>,
    /// `None` before `$metadata` was read.
    reader: Option<Reader>,
    page: Option<Open>,
    next: Option<String>,
    stored: Vec<u8>,
    stored_at: Instant,
    idle_task: bool,
    told_forgetting: bool,
}

/// A page that is being handed out.
#[derive(Debug)]
struct Open {
    page: Page,
    url: String,
}

export_source!(Odata, manifest = include_str!("../connector.toml"));

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        Self::fatal(error.to_string())
    }
}

impl Source for Odata {
    fn open(context: &Context, positions: Vec<Position>) -> Result<Self> {
        let config: Config = context.config()?;
        let service = config.check().map_err(|e| Error::fatal(e.to_string()))?;
        let stored = positions.into_iter().find(|p| p.slice == config.entity).map(|p| p.place).unwrap_or_default();
        let place = if stored.is_empty() {
            None
        } else {
            let unreadable = |e| Error::fatal(format!("the stored position of `{}` cannot be read: {e}", config.entity));
            Some(Place::read(&stored).map_err(unreadable)?)
        };
        Ok(Self {
            client: Client::new(service, config.entity.clone(), config.timeout),
            config,
            place,
            reader: None,
            page: None,
            next: None,
            stored,
            stored_at: Instant::now(),
            idle_task: context.task > 0,
            told_forgetting: false,
        })
    }

    fn poll(&mut self, limits: Limits) -> Result<Polled> {
        if self.idle_task {
            return Ok(Polled { finished: true, ..Polled::nothing(self.config.interval) });
        }
        let Some(mut reader) = self.reader.take() else {
            // A call of its own: one call holds one request, so that two slow answers do not add up.
            self.reader = Some(self.prepare()?);
            return Ok(Polled::nothing(Duration::ZERO));
        };
        let polled = self.read(&mut reader, limits);
        self.reader = Some(reader);
        polled
    }
}

impl Odata {
    /// Reads `$metadata` and brings it together with configuration and stored position.
    fn prepare(&mut self) -> Result<Reader> {
        let model = self.client.metadata()?;
        if model.is_none() {
            log::warn!(entity = self.config.entity; "the service has no $metadata: values are passed on as they are");
        }
        let service = self.config.check().map_err(|e| Error::fatal(e.to_string()))?;
        let plan = Plan::new(&self.config, service, model).map_err(|e| Error::fatal(e.to_string()))?;
        let place = self.place.take();
        let had_place = place.clone();
        let reader = Reader::new(plan, place);
        if had_place.is_some_and(|place| !reader.fits(&place)) {
            log::warn!(entity = self.config.entity; "the stored position is by another cursor or of another host: reading begins anew");
        }
        Ok(reader)
    }

    /// At most one request, and as many entities as the limits allow.
    fn read(&mut self, reader: &mut Reader, limits: Limits) -> Result<Polled> {
        let was_delta = reader.is_delta();
        let mut open = match self.page.take() {
            Some(open) => open,
            None => match self.fetch(reader)? {
                Some(open) => open,
                None => return Ok(Polled::nothing(Duration::ZERO)),
            },
        };
        let mut records = Records::new();
        while !limits.reached(&records) {
            let Some(raw) = open.page.next_entry() else { break };
            push(&mut records, raw, reader.entry(raw)?);
        }
        let mut idle = Duration::ZERO;
        if open.page.is_empty() {
            match reader.page_end(&open.page.links, &open.url)? {
                Next::Page(url) => self.next = Some(url),
                Next::End => idle = self.config.interval,
            }
        } else {
            self.page = Some(open);
        }
        self.tell_forgetting(reader);
        let positions = self.moved(reader, !records.is_empty() || was_delta != reader.is_delta())?;
        Ok(Polled { records, positions, idle, finished: false })
    }

    /// `None`: the service does not take its link any more, reading begins again.
    fn fetch(&mut self, reader: &mut Reader) -> Result<Option<Open>> {
        let (url, link) = match &self.next {
            Some(url) => (url.clone(), true),
            None => (reader.begin()?, reader.begins_by_link()),
        };
        let plan = reader.plan();
        let wanted = Wanted {
            version: plan.version,
            page_size: (plan.paging == Paging::Server).then_some(plan.page_size),
            track_changes: !link && reader.asks_for_tracking(),
            link,
        };
        match self.client.page(&url, wanted)? {
            Fetched::Page(page) => {
                self.next = None;
                Ok(Some(Open { page, url }))
            }
            Fetched::LinkLost => {
                self.next = None;
                if reader.link_is_lost() {
                    log::warn!(entity = self.config.entity; "the delta link has expired: all is read again, and entities deleted meanwhile stay unnoticed");
                }
                Ok(None)
            }
            Fetched::Untracked => {
                reader.tracks_nothing();
                log::info!(entity = self.config.entity; "the service tracks no changes of this set: it is read in full each time");
                Ok(None)
            }
            Fetched::NoSet => {
                let sets = self.client.sets()?;
                Err(Error::fatal(edm::NoSet::new(&self.config.entity, sets.iter().map(String::as_str)).to_string()))
            }
        }
    }

    fn tell_forgetting(&mut self, reader: &Reader) {
        if reader.forgets() && !self.told_forgetting {
            self.told_forgetting = true;
            log::warn!(entity = self.config.entity; "the set is too large to remember: entities that did not change are produced by each full read");
        }
    }

    /// The position, where it is worth storing.
    fn moved(&mut self, reader: &Reader, now: bool) -> Result<Vec<Position>> {
        if !now && self.stored_at.elapsed() < QUIET {
            return Ok(Vec::new());
        }
        let Some(place) = reader.place()?.filter(|place| *place != self.stored) else { return Ok(Vec::new()) };
        self.stored.clone_from(&place);
        self.stored_at = Instant::now();
        Ok(vec![Position::new(self.config.entity.clone(), place)])
    }
}

fn push(records: &mut Records, raw: &[u8], read: Read) {
    match read {
        Read::Record { key, value, timestamp } => {
            let record = NewRecord::new().key(&key).value(&value);
            records.push(timestamp.map_or(record, |t| record.timestamp(t)));
        }
        Read::Deleted { key } => records.push(NewRecord::new().key(&key)),
        Read::Unreadable { code, message, field } => {
            let rejection = Rejection::new(code, message);
            records.push_unreadable(NewRecord::new().value(raw), field.into_iter().fold(rejection, Rejection::at));
        }
        Read::Nothing => {}
    }
}

#[cfg(test)]
mod tests;
