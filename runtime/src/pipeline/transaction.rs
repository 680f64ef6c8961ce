//! What one transaction of a source holds: several polls, closed by records, bytes or time, whichever comes first.

use std::time::{Duration, Instant};

use crate::batch::Batch;
use crate::capability::inbox::Inbox;
use crate::config::Batching;
use crate::guest::{GuestError, SourceGuest};
use crate::outcome::{Outcome, Polled, Rejection, Verdict};
use crate::pipeline::Stop;
use crate::topic_log::{BatchLimits, Position};

/// Longest wait of one poll for its first record: bounds how long a drain takes to be noticed.
const WAIT: Duration = Duration::from_millis(500);

/// Polls gathered for one transaction.
#[derive(Debug, Default)]
pub struct Transaction {
    pub records: Batch,
    /// Records of `records` that hold raw input which could not be read, ascending.
    pub rejects: Vec<(u32, Rejection)>,
    /// The last place of each slice that moved.
    pub positions: Vec<Position>,
    /// Nothing more before this time has passed.
    pub idle: Duration,
    pub finished: bool,
    /// A poll failed after records had come: they are to be delivered, then the failure is to be dealt with.
    pub failed: Option<GuestError>,
}

impl Transaction {
    /// Polls until the transaction is full, the source has nothing more for now, or stopping is requested. An empty poll ends an
    /// empty transaction: what it took from the inbox is to be answered.
    ///
    /// # Errors
    /// The guest's, when nothing had come before it.
    pub async fn collect(
        guest: &mut SourceGuest,
        bounds: &Batching,
        inbox: Option<&Inbox>,
        stop: &Stop,
    ) -> Result<Self, GuestError> {
        let mut open = Self::default();
        let mut since: Option<Instant> = None;
        loop {
            let limits = open.room(bounds, since);
            match guest.poll(limits).await {
                Ok(polled) => {
                    open.add(polled);
                    if let Some(inbox) = inbox {
                        inbox.polled();
                    }
                }
                Err(error) if open.is_empty() => return Err(error),
                Err(error) => {
                    open.failed = Some(error);
                    return Ok(open);
                }
            }
            if open.is_empty() {
                return Ok(open);
            }
            since = since.or_else(|| Some(Instant::now()));
            if open.is_full(bounds, since) || !open.idle.is_zero() || open.finished || stop.is_requested() {
                return Ok(open);
            }
        }
    }

    /// Neither records nor a moved position.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty() && self.positions.is_empty()
    }

    fn is_full(&self, bounds: &Batching, since: Option<Instant>) -> bool {
        self.records.len() >= bounds.records
            || self.records.data.len() >= bounds.bytes
            || since.is_some_and(|since| since.elapsed() >= bounds.linger)
    }

    fn room(&self, bounds: &Batching, since: Option<Instant>) -> BatchLimits {
        BatchLimits {
            records: bounds.records.saturating_sub(self.records.len()).clamp(1, 1_000),
            bytes: bounds.bytes.saturating_sub(self.records.data.len()).clamp(1, 1 << 20),
            linger: since.map_or(WAIT, |since| bounds.linger.saturating_sub(since.elapsed())),
        }
    }

    fn add(&mut self, polled: Polled) {
        let base = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        if self.records.is_empty() {
            self.records = polled.records;
        } else {
            polled.records.records().for_each(|record| self.records.push(&record));
        }
        self.rejects.extend(polled.rejects.into_iter().filter_map(|Outcome { index, verdict }| match verdict {
            Verdict::Reject(rejection) => Some((base + index, rejection)),
            // `SourceGuest::poll` refuses a retry verdict.
            Verdict::Retry(_) => None,
        }));
        for position in polled.positions {
            match self.positions.iter_mut().find(|p| p.slice == position.slice) {
                Some(known) => *known = position,
                None => self.positions.push(position),
            }
        }
        self.idle = polled.idle;
        self.finished = polled.finished;
    }
}
