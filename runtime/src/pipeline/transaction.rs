//! What one transaction of a source holds: several polls, closed by records, bytes or time, whichever comes first.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::batch::Batch;
use crate::capability::inbox::Inbox;
use crate::config::{Batching, SourceConfig};
use crate::guest::{GuestError, SourceGuest};
use crate::outcome::{Outcome, Polled, Rejection, Verdict};
use crate::pipeline::Stop;
use crate::topic_log::{BatchLimits, Position};

/// Most that one poll is asked for. The longest wait for its first record bounds how long a drain takes to be noticed.
pub const POLL: BatchLimits = BatchLimits { records: 1000, bytes: 1 << 20, linger: Duration::from_millis(500) };

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
    /// It was closed because it was full, and the last poll gave all that was asked for: there is more.
    pub more: bool,
}

impl Transaction {
    /// Polls until the transaction is full, the source has nothing more for now, or stopping is requested. An empty poll ends an
    /// empty transaction: what it took from the inbox is to be answered.
    ///
    /// # Errors
    /// The guest's, when nothing had come before it.
    pub async fn collect(
        guest: &mut SourceGuest,
        config: &SourceConfig,
        inbox: Option<&Inbox>,
        stop: &Stop,
    ) -> Result<Self, GuestError> {
        let bounds = &config.connector.batch;
        let mut open = Self::default();
        let mut since: Option<Instant> = None;
        loop {
            let asked = open.room(bounds, since);
            let before = (open.records.len(), open.records.data.len());
            match guest.poll(asked).await {
                Ok(polled) => {
                    open.add(polled, &config.topic);
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
            let (records, bytes) = (open.records.len() - before.0, open.records.data.len() - before.1);
            let filled = records >= asked.records || bytes >= asked.bytes;
            let at_rest = !open.idle.is_zero() || open.finished || stop.is_requested();
            if open.is_full(bounds, since) || at_rest {
                open.more = !at_rest && filled;
                return Ok(open);
            }
            if filled && before.0 == 0 {
                open.make_room(bounds);
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

    /// For the polls to come, if they are as this one was.
    fn make_room(&mut self, bounds: &Batching) {
        let (records, bytes) = (self.records.len().max(1), self.records.data.len());
        let polls = (bounds.records / records).min(bounds.bytes / bytes.max(1));
        self.records.reserve(polls.saturating_mul(records), polls.saturating_mul(bytes));
    }

    fn room(&self, bounds: &Batching, since: Option<Instant>) -> BatchLimits {
        BatchLimits {
            records: bounds.records.saturating_sub(self.records.len()).clamp(1, POLL.records),
            bytes: bounds.bytes.saturating_sub(self.records.data.len()).clamp(1, POLL.bytes),
            linger: since.map_or(POLL.linger, |since| bounds.linger.saturating_sub(since.elapsed())),
        }
    }

    /// Takes up a poll; records without a topic go to `topic`.
    fn add(&mut self, mut polled: Polled, topic: &str) {
        complete(&mut polled.records, topic);
        let base = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        self.records.append(polled.records);
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

/// Fills the columns that a guest may leave out: records of several polls stand in one batch. A record without a time has now;
/// what a guest says of partitions, offsets and attempts has no meaning before the log has the record.
fn complete(records: &mut Batch, topic: &str) {
    if records.topics.is_empty() {
        records.topics.push(topic.to_owned());
    }
    // A record without a topic stands beside ones that name theirs.
    records.topics.iter_mut().filter(|t| t.is_empty()).for_each(|t| topic.clone_into(t));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    records.timestamps.resize(records.len(), now);
    records.timestamps.iter_mut().filter(|t| **t < 0).for_each(|t| *t = now);
    records.partitions = vec![-1; records.len()];
    records.offsets = vec![-1; records.len()];
    records.attempts.clear();
}

#[cfg(test)]
mod tests;
