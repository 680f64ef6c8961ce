//! What a sink has accepted and not yet made durable, and from where it has to come again when its instance dies first.
//! Pure bookkeeping; the calls stand in `pipeline/assign.rs`.

use std::collections::BTreeMap;

use crate::topic_log::TopicPartition;

/// Offsets that wait for a flush or a commit.
#[derive(Debug, Default)]
pub struct Awaiting {
    /// First offset and next one to read.
    spans: BTreeMap<TopicPartition, (i64, i64)>,
    /// Some of it lies in the guest alone: a commit has to wait for the flush.
    unflushed: bool,
    /// A death has cost what lay in the guest: up to these offsets each piece is flushed by itself, so that the record at
    /// fault can be found.
    careful: BTreeMap<TopicPartition, i64>,
}

impl Awaiting {
    /// Adds a delivered piece. `buffered`: it lies in the guest until the next flush.
    pub fn add(&mut self, first: &BTreeMap<TopicPartition, i64>, next: BTreeMap<TopicPartition, i64>, buffered: bool) {
        self.unflushed |= buffered;
        for (partition, next) in next {
            let first = first.get(&partition).copied().unwrap_or(next);
            self.spans.entry(partition).and_modify(|span| span.1 = next).or_insert((first, next));
        }
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.spans.is_empty() && !self.unflushed
    }

    /// Something waits for its commit alone.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        !self.spans.is_empty() && !self.unflushed
    }

    #[must_use]
    pub const fn is_unflushed(&self) -> bool {
        self.unflushed
    }

    #[must_use]
    pub fn is_careful(&self) -> bool {
        !self.careful.is_empty()
    }

    /// All of it is durable: the offsets to commit.
    pub fn durable(&mut self) -> Vec<(TopicPartition, i64)> {
        self.unflushed = false;
        let offsets: Vec<_> = std::mem::take(&mut self.spans).into_iter().map(|(p, (_, next))| (p, next)).collect();
        for (partition, next) in &offsets {
            if self.careful.get(partition).is_some_and(|until| next >= until) {
                self.careful.remove(partition);
            }
        }
        offsets
    }

    /// The instance died: where what lay in it has to be read again; nothing where nothing did. `until` is how far to be
    /// careful then.
    pub fn lost(&mut self, until: BTreeMap<TopicPartition, i64>) -> Vec<(TopicPartition, i64)> {
        if !std::mem::take(&mut self.unflushed) {
            return Vec::new();
        }
        self.careful.extend(until);
        std::mem::take(&mut self.spans).into_iter().map(|(p, (first, _))| (p, first)).collect()
    }

    /// These partitions are another's now.
    pub fn forget(&mut self, partitions: &[TopicPartition]) {
        self.spans.retain(|p, _| !partitions.contains(p));
        self.careful.retain(|p, _| !partitions.contains(p));
    }
}

#[cfg(test)]
mod tests;
