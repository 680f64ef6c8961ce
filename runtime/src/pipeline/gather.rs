//! Several batches in one database transaction, while more come at once: a transaction, a merge and a commit cost much the same for
//! one batch as for twenty. Only where all goes well: whatever does not is rolled back, read again, and delivered batch by batch
//! (`exactly_once`), which finds the record at fault. Nothing of it counts before the commit.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::fault_point::{self, Mutant, Phase};
use crate::pipeline::attempt::{Attempt, Failed};
use crate::pipeline::deliver::Delivery;
use crate::pipeline::exactly_once::{Committed, buffered};
use crate::pipeline::sink::Running;
use crate::pipeline::{Tally, TaskError};
use crate::topic_log::TopicPartition;

/// A transaction is closed at so many records or bytes, or after this time. The first one is small, each that was full doubles the next:
/// the first rows are seen as soon as those of a sink that gathers nothing.
const FEWEST: usize = 1_000;
const RECORDS: usize = 20_000;
const BYTES: usize = 16 << 20;
const OPEN: Duration = Duration::from_millis(500);

/// Batches that are delivered one by one after a failure: twice as many each time, half as many after a success.
const CARE: u32 = 8;
const MOST_CARE: u32 = 1_024;

/// Batches whose rows lie in the open transaction.
#[derive(Debug)]
pub(super) struct Open {
    since: Instant,
    records: usize,
    bytes: usize,
    next: BTreeMap<TopicPartition, i64>,
    tally: Tally,
}

/// What is gathered, and whether to gather at all.
#[derive(Debug)]
pub(super) struct Gathering {
    open: Option<Open>,
    /// Records at which the open transaction is closed.
    room: usize,
    /// Batches yet to be delivered one by one.
    careful: u32,
    care: u32,
}

impl Default for Gathering {
    fn default() -> Self {
        Self { open: None, room: FEWEST, careful: 0, care: CARE }
    }
}

impl Gathering {
    /// Records that are written and not committed.
    pub(super) fn records(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.records)
    }

    /// Whether records of this partition are written and not committed.
    pub(super) fn holds(&self, partition: &TopicPartition) -> bool {
        self.open.as_ref().is_some_and(|open| open.next.contains_key(partition))
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// How long the open transaction may yet wait for records; `None`: there is none.
    pub(super) fn left(&self) -> Option<Duration> {
        self.open.as_ref().map(|open| OPEN.saturating_sub(open.since.elapsed()))
    }

    /// A record before the end of what is gathered was read twice.
    fn check(&self, first: &BTreeMap<TopicPartition, i64>) -> Result<(), TaskError> {
        let gathered = self.open.as_ref().map(|open| &open.next);
        let again = first.iter().find(|(partition, first)| gathered.is_some_and(|next| next.get(partition) > Some(*first)));
        again.map_or(Ok(()), |(partition, first)| {
            Err(TaskError::Restart(format!(
                "record {partition}/{first} was read again before what was read with it was committed"
            )))
        })
    }

    fn is_full(&self) -> bool {
        let full = |open: &Open| open.records >= self.room || open.bytes >= BYTES || open.since.elapsed() >= OPEN;
        self.open.as_ref().is_some_and(full)
    }

    fn failed(&mut self) {
        self.careful = self.care;
        self.care = self.care.saturating_mul(2).min(MOST_CARE);
    }

    fn succeeded(&mut self, records: usize) {
        if records >= self.room {
            self.room = self.room.saturating_mul(2).min(RECORDS);
        }
        self.care = (self.care / 2).max(CARE);
    }

    /// Whether the next batch may be gathered.
    fn dares(&mut self) -> bool {
        let dares = self.careful == 0;
        self.careful = self.careful.saturating_sub(1);
        dares
    }
}

impl Running<'_> {
    /// Writes a batch into the open transaction, or begins one, and commits it unless `more` is likely to come at once. False: it is
    /// yet to be delivered, by itself.
    pub(super) async fn gather(&mut self, delivery: &mut Delivery, more: bool) -> Result<bool, TaskError> {
        // The mutant that moves offsets first does so in a transaction of their own.
        let mutant = fault_point::mutant() == Some(Mutant::CommitFirst);
        let fits =
            self.task.offsets.is_some() && self.held.is_empty() && delivery.is_clean() && !mutant && self.gathering.dares();
        if !fits || (!more && !self.gathering.is_open()) {
            if self.commit_gathered().await? {
                return Ok(false);
            }
            // What came before it is read again: so is this, or it would be written first and the others passed over.
            self.read_again(delivery).await?;
            return Ok(true);
        }
        let first = delivery.first_offsets(&delivery.whole());
        if let Some(offsets) = &self.task.offsets {
            offsets.check(&first)?;
        }
        self.gathering.check(&first)?;
        let alone = !self.gathering.is_open();
        if alone {
            while !self.begin().await? {}
            if let Some(offsets) = &self.task.offsets {
                offsets.session.lock().await.gather();
            }
        }
        if self.has_lost(delivery) {
            self.give_back(first.into_keys().collect()).await?;
            return Ok(true);
        }
        let dead = match self.write(delivery.all()).await? {
            Attempt::Written(written) if written.buffered => return Err(buffered()),
            Attempt::Written(written) if written.outcomes.is_empty() => {
                self.take_up(delivery);
                if !more || self.gathering.is_full() {
                    // Either way this batch is dealt with: it was part of it.
                    self.commit_gathered().await?;
                }
                return Ok(true);
            }
            Attempt::Failed(Failed::Died(error)) => Some(error),
            Attempt::Written(_) | Attempt::Failed(_) => None,
        };
        if let Some(error) = dead {
            let grants = &self.task.grants;
            tracing::warn!(connector = grants.connector, task = grants.task, %error, "instance ended, its batches are replayed one by one in a fresh one");
            // Before any wait: an open transaction holds locks, and is not the fresh instance's.
            self.rollback().await;
            self.fresh_guest().await?;
        }
        let partitions = if alone { Vec::new() } else { first.into_keys().collect() };
        self.give_back(partitions).await?;
        Ok(!alone)
    }

    fn take_up(&mut self, delivery: &Delivery) {
        let whole = delivery.whole();
        let open = self.gathering.open.get_or_insert_with(|| Open {
            since: Instant::now(),
            records: 0,
            bytes: 0,
            next: BTreeMap::new(),
            tally: Tally::default(),
        });
        open.records += delivery.input.len();
        open.bytes += delivery.input.data.len();
        open.next.extend(delivery.next_offsets(&whole));
        open.tally += delivery.tally(&whole, 0);
    }

    /// Merges and commits what is gathered, if anything is. False: it was rolled back and is read again, from before whatever came after it.
    pub(super) async fn commit_gathered(&mut self) -> Result<bool, TaskError> {
        let Some(open) = self.gathering.open.take() else { return Ok(true) };
        fault_point::pass(Phase::Write, open.records);
        let merged = match &self.task.offsets {
            Some(offsets) => offsets.session.lock().await.merge().await,
            None => return Ok(true),
        };
        if let Err(error) = merged {
            tracing::debug!(connector = self.task.grants.connector, %error, "gathered rows are written again batch by batch");
            self.give_back(open.next.into_keys().collect()).await?;
            return Ok(false);
        }
        match self.commit_offsets(&open.next, open.records).await? {
            Committed::Yes => {
                self.gathering.succeeded(open.records);
                self.pending += open.tally;
                self.got_on();
                self.follow_to(open.next).await;
                self.report_in_flight(0);
                Ok(true)
            }
            Committed::Again | Committed::Lost => {
                self.give_back(open.next.into_keys().collect()).await?;
                Ok(false)
            }
        }
    }

    /// Rolls back; what was gathered of these partitions, and of those of the open transaction, is read again.
    async fn give_back(&mut self, mut partitions: Vec<TopicPartition>) -> Result<(), TaskError> {
        self.rollback().await;
        self.gathering.failed();
        partitions.extend(self.gathering.open.take().into_iter().flat_map(|open| open.next.into_keys()));
        partitions.sort_unstable();
        partitions.dedup();
        self.report_in_flight(0);
        self.read_from_stored(partitions).await
    }
}
