//! The batch that a lane fills: it outlives a call that is dropped, and hands out no more than a call's limits. No I/O.

use tokio::time::Instant;

use super::native::Message;
use crate::batch::{Batch, Record};
use crate::topic_log::{BatchLimits, TopicPartition};

#[derive(Debug, Default)]
pub(super) struct Filling {
    batch: Batch,
    /// When its first record came.
    pub(super) since: Option<Instant>,
    /// Records and bytes of the last batch that was handed out: the next one is likely to be as large.
    room: (usize, usize),
}

fn size(record: &Record<'_>) -> usize {
    let headers = record.headers.iter().map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len)).sum::<usize>();
    record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len) + headers
}

impl Filling {
    pub(super) fn push(&mut self, message: &Message<'_>, topic: &str) {
        if self.batch.is_empty() {
            let (records, bytes) = self.room;
            self.batch.reserve(records, bytes);
        }
        message.copy(topic, &mut self.batch);
        self.since.get_or_insert_with(Instant::now);
    }

    pub(super) const fn is_full(&self, limits: BatchLimits) -> bool {
        let records = self.batch.len();
        records > 0 && (records >= limits.records || self.batch.data.len() >= limits.bytes)
    }

    /// What each of so many partitions may add.
    pub(super) fn share(&self, limits: BatchLimits, partitions: usize) -> BatchLimits {
        let of = |limit: usize, has: usize| limit.saturating_sub(has).div_ceil(partitions.max(1)).max(1);
        BatchLimits { records: of(limits.records, self.batch.len()), bytes: of(limits.bytes, self.batch.data.len()), ..limits }
    }

    /// The limits that are reached after so much more, or earlier at those of the batch.
    pub(super) fn and(&self, more: BatchLimits, limits: BatchLimits) -> BatchLimits {
        let records = self.batch.len().saturating_add(more.records).min(limits.records);
        let bytes = self.batch.data.len().saturating_add(more.bytes).min(limits.bytes);
        BatchLimits { records, bytes, ..limits }
    }

    /// The offset after the last record of a partition that is in here.
    pub(super) fn next_of(&self, at: &TopicPartition) -> Option<i64> {
        let of = |r: &Record<'_>| r.topic == &*at.topic && r.partition == at.partition;
        self.batch.records().filter(of).last().map(|record| record.offset + 1)
    }

    /// The records up to the limits, one at least; what is left waits for the next call.
    pub(super) fn take(&mut self, limits: BatchLimits) -> Batch {
        self.room = (self.batch.len(), self.batch.data.len());
        // What `data` holds is what the records' sizes add up to.
        if self.batch.len() <= limits.records && self.batch.data.len() <= limits.bytes {
            self.since = None;
            return std::mem::take(&mut self.batch);
        }
        let mut bytes = 0;
        let fits = |(index, record): &(usize, Record<'_>)| {
            bytes += size(record);
            *index == 0 || (*index < limits.records && bytes <= limits.bytes)
        };
        let count = self.batch.records().enumerate().take_while(fits).count();
        if count == self.batch.len() {
            self.since = None;
            return std::mem::take(&mut self.batch);
        }
        let taken = self.batch.select(|index| index < count);
        self.batch = self.batch.select(|index| index >= count);
        self.since = Some(Instant::now());
        taken
    }

    /// Takes the records of these partitions out.
    pub(super) fn take_of(&mut self, partitions: &[TopicPartition]) -> Batch {
        let of = |r: &Record<'_>| partitions.iter().any(|at| r.partition == at.partition && r.topic == &*at.topic);
        let of: Vec<bool> = self.batch.records().map(|record| of(&record)).collect();
        if !of.contains(&true) {
            return Batch::default();
        }
        let is = |index: usize| of.get(index).copied().unwrap_or(false);
        let taken = self.batch.select(is);
        self.batch = self.batch.select(|index| !is(index));
        if self.batch.is_empty() {
            self.since = None;
        }
        taken
    }

    /// Adds records that were taken out before.
    pub(super) fn put_back(&mut self, records: &Batch) {
        for record in records.records() {
            self.batch.push(&record);
            self.since.get_or_insert_with(Instant::now);
        }
    }
}
