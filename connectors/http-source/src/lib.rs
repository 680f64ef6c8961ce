//! Source `http`: records of an HTTP API that answers JSON. This file joins reader and client to the calls of a source; what is
//! news is decided under `reader.rs`, which page comes next in `pager.rs`, what an answer means in `client.rs` and `page.rs`.

use std::time::{Duration, Instant};

use wharf_sdk::{Context, Error, Limits, NewRecord, Polled, Position, Records, Result, Source, export_source, log};

mod client;
mod config;
mod cursor;
mod page;
mod pager;
mod place;
mod plan;
mod reader;
mod request;
mod seen;
mod url;

use client::{Answer, Client, Fetched};
use config::{Config, Pagination};
use page::Page;
use pager::{BadPages, Whereabouts};
use place::Place;
use plan::Plan;
use reader::{Read, ReadError, Reader};

/// All that is read is one stream.
const SLICE: &str = "records";
/// A position that moved without a record is stored this often.
const QUIET: Duration = Duration::from_secs(600);

/// A running source. With several tasks the first reads.
#[derive(Debug)]
pub struct Http {
    reader: Reader,
    client: Client,
    page: Option<Open>,
    /// Reading cannot go on, and what was read before is to be handed over first.
    failed: Option<Error>,
    stored: Vec<u8>,
    stored_at: Instant,
    idle_task: bool,
}

/// A page that is being handed out.
#[derive(Debug)]
struct Open {
    page: Page,
    url: String,
    link: Option<String>,
}

export_source!(Http, manifest = include_str!("../connector.toml"));

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        match error {
            // One answer that contradicts itself: the same page is asked for once more.
            ReadError::Pages(BadPages::NoNext) => Self::retry(error.to_string()),
            _ => Self::fatal(error.to_string()),
        }
    }
}

impl Source for Http {
    fn open(context: &Context, positions: Vec<Position>) -> Result<Self> {
        let config: Config = context.config()?;
        let mut reader = Reader::new(Plan::new(config).map_err(Error::fatal)?);
        let stored = positions.into_iter().find(|position| position.slice == SLICE);
        if let Some(position) = &stored {
            let place: Place = position.read()?;
            if reader.fits(&place) {
                reader.restore(&place);
            } else {
                log::warn!(
                    "the stored position is by another cursor, or of another `config.url` or `records`: reading begins anew"
                );
            }
        }
        Ok(Self {
            reader,
            client: Client::default(),
            page: None,
            failed: None,
            stored: stored.map(|position| position.place).unwrap_or_default(),
            stored_at: Instant::now(),
            idle_task: context.task > 0,
        })
    }

    /// At most one request, and as many records as the limits allow.
    fn poll(&mut self, limits: Limits) -> Result<Polled> {
        let interval = self.reader.plan.config.interval;
        if self.idle_task {
            return Ok(Polled { finished: true, ..Polled::nothing(interval) });
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut open = match self.page.take() {
            Some(open) => open,
            None => match self.fetch()? {
                Some(open) => open,
                None => return Ok(Polled { positions: self.moved(true)?, ..Polled::nothing(interval) }),
            },
        };
        let mut records = Records::new();
        while !limits.reached(&records) {
            let Some(raw) = open.page.next_record() else { break };
            push(&mut records, raw, self.reader.record(raw)?);
        }
        let mut idle = Duration::ZERO;
        if open.page.is_empty() {
            let config = &self.reader.plan.config;
            let by_url = config.pagination == Pagination::Cursor && !self.reader.plan.requests.has("cursor");
            let at = Whereabouts { url: &open.url, link: open.link.as_deref(), by_url };
            match self.reader.page_end(&open.page, at) {
                Ok(true) if self.reader.is_quiet() => idle = interval,
                Ok(true) => {}
                Ok(false) => idle = interval,
                Err(error) if records.is_empty() => return Err(error.into()),
                Err(error) => self.failed = Some(error.into()),
            }
        } else {
            self.page = Some(open);
        }
        let positions = self.moved(!records.is_empty() || !idle.is_zero())?;
        Ok(Polled { records, positions, idle, finished: false })
    }
}

impl Http {
    /// The next page; `None`: there is none in this round.
    fn fetch(&mut self) -> Result<Option<Open>> {
        let (step, since) = self.reader.ask();
        let step = step.clone();
        let plan = &self.reader.plan;
        let request = plan.requests.page(&step, since.as_deref());
        let request = request.map_err(|e| Error::fatal(format!("a template of the configuration cannot be filled in: {e}")))?;
        match self.client.fetch(&plan.config, &request)? {
            Fetched::Page(Answer { page, link, date }) => {
                self.reader.answered(date);
                self.reader.settle_kind(&page)?;
                Ok(Some(Open { page, url: request.url, link }))
            }
            Fetched::End => {
                self.reader.end();
                Ok(None)
            }
            Fetched::Lost(error) if self.reader.begin_again() => {
                let repeats = if self.reader.is_cut() { ", and may repeat records" } else { "" };
                // Later and not at once: what named a page that it does not take may go on doing so.
                Err(Error::retry(format!(
                    "{error}; it was asked for a page that it had named itself: this round begins again{repeats}"
                )))
            }
            Fetched::Lost(error) => Err(error),
        }
    }

    /// The position, where it is worth storing.
    fn moved(&mut self, now: bool) -> Result<Vec<Position>> {
        if !now && self.stored_at.elapsed() < QUIET {
            return Ok(Vec::new());
        }
        let Some(place) = self.reader.place(!self.stored.is_empty())?.filter(|place| *place != self.stored) else {
            return Ok(Vec::new());
        };
        self.stored.clone_from(&place);
        self.stored_at = Instant::now();
        Ok(vec![Position::new(SLICE, place)])
    }
}

fn push(records: &mut Records, raw: &str, read: Read) {
    match read {
        Read::Record { key, timestamp } => {
            let mut record = NewRecord::new().value(raw);
            if let Some(key) = &key {
                record = record.key(key);
            }
            records.push(timestamp.map_or(record, |timestamp| record.timestamp(timestamp)));
        }
        Read::Unreadable(rejection) => records.push_unreadable(NewRecord::new().value(raw), rejection),
        Read::Nothing => {}
    }
}

#[cfg(test)]
mod tests;
