//! Sources: read a business system. Owns the trait that a guest implements and what a poll hands over.
//!
//! A source that reads an HTTP API page by page:
//!
//! ```
//! use std::time::Duration;
//!
//! use serde_json::Value;
//! use wharf_sdk::http::{Request, Response};
//! use wharf_sdk::{Context, Limits, NewRecord, Polled, Position, Rejection, Result, Source, testing};
//!
//! struct Orders {
//!     offset: u64,
//! }
//!
//! impl Source for Orders {
//!     fn open(_: &Context, positions: Vec<Position>) -> Result<Self> {
//!         let stored = positions.first().map(Position::read).transpose()?;
//!         Ok(Self { offset: stored.unwrap_or(0) })
//!     }
//!
//!     fn poll(&mut self, _: Limits) -> Result<Polled> {
//!         let request = Request::get("https://api.example.com/v1/orders")
//!             .query("count", "500")
//!             .query("offset", &self.offset.to_string());
//!         // 429 and 5xx are `Retry`, 401 and 403 `Fatal`; anything else stops the source, too.
//!         let page: Vec<Value> = request.send()?.success()?.json()?;
//!         let mut polled = Polled::default();
//!         for order in &page {
//!             let value = order.to_string();
//!             let record = NewRecord::new().value(&value);
//!             match order.get("id").and_then(Value::as_u64) {
//!                 Some(id) => polled.records.push(record.key(&format!(r#"{{"id":{id}}}"#))),
//!                 None => {
//!                     let why = Rejection::new("order.id", "`id` is no number").at("/id");
//!                     polled.records.push_unreadable(record, why);
//!                 }
//!             }
//!         }
//!         if page.is_empty() {
//!             // Nothing moved, so there is no position.
//!             return Ok(Polled::nothing(Duration::from_secs(30)));
//!         }
//!         // Not before the page is there: after `Retry` the same instance is polled again.
//!         self.offset += page.len() as u64;
//!         polled.positions.push(Position::json("orders", &self.offset)?);
//!         Ok(polled)
//!     }
//! }
//!
//! testing::http(|request| {
//!     let first = request.url.ends_with("offset=0");
//!     Ok(Response::new(200, if first { r#"[{"id": 1}, {"id": null}]"# } else { "[]" }))
//! });
//! let limits = Limits { records: 1000, bytes: 1 << 20, wait: Duration::ZERO };
//! let polled = Orders { offset: 0 }.poll(limits)?;
//! assert_eq!((polled.records.len(), polled.records.unreadable().count()), (2, 1));
//! let mut restarted = Orders::open(&Context::new("orders", "{}"), polled.positions)?;
//! assert!(restarted.poll(limits)?.records.is_empty());
//! # Ok::<(), wharf_sdk::Error>(())
//! ```

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::{source, types};
use crate::context::Context;
use crate::error::{Error, Result, milliseconds};
use crate::export::{Slot, not_open};
use crate::manifest::{Kind, describe};
use crate::writer::Records;

/// A source. Calls come one at a time: `open`, then `poll` and `ack` in turn, then `close` (which a crash leaves out).
pub trait Source: Sized + 'static {
    /// `positions`: all that the host has stored for this source; an instance takes those of its own slices.
    ///
    /// # Errors
    /// [`Error::Fatal`] for a configuration that cannot work.
    fn open(context: &Context, positions: Vec<Position>) -> Result<Self>;

    /// Reads on. Give back control within `limits.wait` where nothing comes.
    ///
    /// # Errors
    /// [`Error::Retry`] where the system does not answer: the same instance is polled again, so what it remembers must still be
    /// true. Nothing of this poll is kept. [`Error::Reject`] and [`Error::Fatal`] stop the source.
    fn poll(&mut self, limits: Limits) -> Result<Polled>;

    /// These positions, of one or more polls, are durable in the log. Needed only where the system is told so. More may have been
    /// polled since: go by the positions.
    ///
    /// # Errors
    /// After an error the next `ack` covers more.
    fn ack(&mut self, positions: &[Position]) -> Result<()> {
        let _positions = positions;
        Ok(())
    }

    /// The last call of an instance that ends in order.
    fn close(self) {}
}

/// A place in the outside system, opaque to the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Names an independent stream (a file, an entity set); unique within its source.
    pub slice: String,
    /// At most 256 KiB; without bytes the slice is forgotten.
    pub place: Vec<u8>,
}

impl Position {
    pub fn new(slice: impl Into<String>, place: impl Into<Vec<u8>>) -> Self {
        Self { slice: slice.into(), place: place.into() }
    }

    /// A place kept as JSON.
    ///
    /// # Errors
    /// [`Error::Fatal`] where the value has no JSON form.
    pub fn json(slice: impl Into<String>, place: &impl Serialize) -> Result<Self> {
        let slice = slice.into();
        match serde_json::to_vec(place) {
            Ok(place) => Ok(Self { slice, place }),
            Err(e) => Err(Error::fatal(format!("the position of `{slice}` cannot be written: {e}"))),
        }
    }

    /// The slice is done with, for good.
    pub fn forget(slice: impl Into<String>) -> Self {
        Self { slice: slice.into(), place: Vec::new() }
    }

    /// Reads a place kept as JSON.
    ///
    /// # Errors
    /// [`Error::Fatal`] where another program, or another version, wrote it.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.place)
            .map_err(|e| Error::fatal(format!("the stored position of `{}` cannot be read: {e}", self.slice)))
    }
}

impl From<types::Position> for Position {
    fn from(p: types::Position) -> Self {
        Self { slice: p.slice, place: p.place }
    }
}

impl From<Position> for types::Position {
    fn from(p: Position) -> Self {
        Self { slice: p.slice, place: p.place }
    }
}

/// How much one poll may return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub records: usize,
    /// About so many bytes.
    pub bytes: usize,
    /// Longest wait for the first record.
    pub wait: Duration,
}

impl Limits {
    /// Whether these records fill the poll.
    #[must_use]
    pub const fn reached(&self, records: &Records) -> bool {
        records.len() >= self.records || records.bytes() >= self.bytes
    }
}

/// What a poll hands over.
#[derive(Debug, Default)]
pub struct Polled {
    pub records: Records,
    /// The places reached by reading `records`: changed slices only. Stored in one transaction with the records.
    pub positions: Vec<Position>,
    /// Nothing more now: do not poll again before, and a run `--until-done` ends with this poll. Zero: at once.
    pub idle: Duration,
    /// This task has nothing more to read, ever.
    pub finished: bool,
}

impl Polled {
    /// Nothing was there; ask again after this long.
    #[must_use]
    pub fn nothing(idle: Duration) -> Self {
        Self { idle, ..Self::default() }
    }
}

impl<E: Slot<Instance: Source>> source::exports::wharf::connector::source_guest::Guest for E {
    fn describe() -> types::Description {
        describe(Self::MANIFEST, Self::VERSION, Kind::Source).unwrap_or_else(|reason| Self::invalid(&reason))
    }

    fn open(context: types::Context, positions: Vec<types::Position>) -> Result<(), types::Error> {
        let positions = positions.into_iter().map(Into::into).collect();
        Self::put(E::Instance::open(&context.into(), positions)?);
        Ok(())
    }

    fn poll(limits: types::Limits) -> Result<source::exports::wharf::connector::source_guest::Polled, types::Error> {
        let limits = Limits {
            records: limits.records as usize,
            bytes: limits.bytes as usize,
            wait: Duration::from_millis(u64::from(limits.wait_ms)),
        };
        let polled = Self::with(|source| source.as_mut().map_or_else(not_open, |source| source.poll(limits)))?;
        let (records, rejects) = polled.records.finish();
        Ok(source::exports::wharf::connector::source_guest::Polled {
            records,
            rejects,
            positions: polled.positions.into_iter().map(Into::into).collect(),
            idle_ms: u32::try_from(milliseconds(polled.idle)).unwrap_or(u32::MAX),
            finished: polled.finished,
        })
    }

    fn ack(positions: Vec<types::Position>) -> Result<(), types::Error> {
        let positions: Vec<Position> = positions.into_iter().map(Into::into).collect();
        Ok(Self::with(|source| source.as_mut().map_or_else(not_open, |source| source.ack(&positions)))?)
    }

    fn close() {
        if let Some(source) = Self::with(Option::take) {
            source.close();
        }
    }
}
