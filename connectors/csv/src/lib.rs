//! The `csv` source: files of CSV, TSV and JSON Lines become records. Owns the order of a poll: look, then read file by file
//! in order of names, each to its end.

mod columns;
mod config;
mod files;
mod json;
mod kind;
mod pause;
mod place;
mod reading;
mod rows;
mod window;

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::time::SystemTime;

use wharf_sdk::{Context, Limits, Polled, Position, Records, Result, Source, export_source};

use columns::Columns;
use config::Config;
use files::{Files, Work};
use pause::Pause;
use reading::{Progress, Reading, cannot_read};

struct Csv {
    config: Config,
    files: Files,
    /// What the last look has found and is not read yet.
    work: VecDeque<Work>,
    reading: Option<Reading>,
    /// A file of this look has a last line without an end.
    unended: bool,
    pause: Pause,
    /// Records and bytes of the last poll, where the limits ended it: the next one is mostly as large.
    full: (usize, usize),
}

/// How reading came to an end.
enum Stopped {
    /// By the limits.
    Full,
    /// Everything is read.
    Finished,
}

impl Source for Csv {
    fn open(context: &Context, positions: Vec<Position>) -> Result<Self> {
        let config = Config::read(context)?;
        if let Some(names) = &config.names {
            Columns::new(names.clone(), &config.rules, "columns")?;
        }
        let files = Files::new(context, &positions, &config)?;
        Ok(Self { config, files, work: VecDeque::new(), reading: None, unended: false, pause: Pause::default(), full: (0, 0) })
    }

    fn poll(&mut self, limits: Limits) -> Result<Polled> {
        let mut polled = Polled::default();
        if !self.pause.is_over(limits.wait) {
            return Ok(polled);
        }
        let (records, bytes) = std::mem::take(&mut self.full);
        polled.records.reserve(records.min(limits.records), bytes.min(limits.bytes));
        let stopped = self.read(&limits, &mut polled.records);
        polled.positions = self.files.positions()?;
        match stopped {
            Ok(Stopped::Full) => self.full = (polled.records.len(), polled.records.bytes()),
            Ok(Stopped::Finished) if self.unended => self.pause.begin(self.config.interval),
            Ok(Stopped::Finished) => polled.idle = self.config.interval,
            Err(error) => {
                // The next poll looks again. What was read before the error is handed over first: that poll meets it anew.
                self.work.clear();
                self.reading = None;
                if polled.records.is_empty() && polled.positions.is_empty() {
                    return Err(error);
                }
            }
        }
        Ok(polled)
    }
}

impl Csv {
    fn read(&mut self, limits: &Limits, out: &mut Records) -> Result<Stopped> {
        if self.reading.is_none() && self.work.is_empty() {
            self.unended = false;
            self.work = self.files.look(&self.config, now())?;
        }
        loop {
            let Some(reading) = &mut self.reading else {
                let Some(work) = self.work.pop_front() else { return Ok(Stopped::Finished) };
                self.reading = self.begin(work)?;
                continue;
            };
            let progress = reading.read(limits, &self.config, out);
            self.files.set(&reading.name, reading.place.clone());
            if progress? == Progress::More {
                return Ok(Stopped::Full);
            }
            self.unended |= reading.leaves_a_line();
            self.reading = None;
        }
    }

    /// `None`: the file went away since the look; the next one deals with it.
    fn begin(&self, work: Work) -> Result<Option<Reading>> {
        let Some(place) = self.files.place(&work.name) else { return Ok(None) };
        let path = Files::path(&self.config, &work.name)?;
        match Reading::open(path.clone(), work, place.clone(), &self.config) {
            Ok(reading) => Ok(Some(reading)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(cannot_read(&path, &e)),
        }
    }
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

export_source!(Csv, manifest = include_str!("../connector.toml"));

#[cfg(test)]
mod tests;
