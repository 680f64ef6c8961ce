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

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty() && !self.unflushed
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
mod tests {
    use std::sync::Arc;

    use super::*;

    fn at(partition: i32, offset: i64) -> BTreeMap<TopicPartition, i64> {
        BTreeMap::from([(TopicPartition { topic: Arc::from("t"), partition }, offset)])
    }

    fn list(offsets: &[(TopicPartition, i64)]) -> Vec<(i32, i64)> {
        offsets.iter().map(|(p, o)| (p.partition, *o)).collect()
    }

    #[test]
    fn what_lies_in_the_guest_is_not_committed_by_a_later_piece_that_does_not() {
        let mut awaiting = Awaiting::default();
        awaiting.add(&at(0, 5), at(0, 10), true);
        awaiting.add(&at(0, 10), at(0, 12), false);
        assert!(awaiting.is_unflushed(), "the first piece is durable only after a flush");
        assert_eq!(list(&awaiting.durable()), [(0, 12)]);
        assert!(!awaiting.is_unflushed() && awaiting.is_empty());
    }

    #[test]
    fn what_lay_in_a_dead_instance_is_read_again_from_its_first_record() {
        let mut awaiting = Awaiting::default();
        awaiting.add(&at(0, 5), at(0, 10), true);
        awaiting.add(&at(0, 10), at(0, 12), true);
        awaiting.add(&at(1, 3), at(1, 4), false);
        assert_eq!(list(&awaiting.lost(at(0, 20))), [(0, 5), (1, 3)]);
        assert!(awaiting.is_empty());
        assert_eq!(list(&awaiting.durable()), [], "its offsets are never committed");
    }

    #[test]
    fn a_death_with_nothing_unflushed_reads_nothing_again() {
        let mut awaiting = Awaiting::default();
        assert_eq!(list(&awaiting.lost(at(0, 20))), []);
        assert!(!awaiting.is_careful());
    }

    #[test]
    fn pieces_are_flushed_one_by_one_until_the_batch_of_the_death_is_passed() {
        let mut awaiting = Awaiting::default();
        awaiting.add(&at(0, 5), at(0, 10), true);
        awaiting.lost(at(0, 20));
        awaiting.add(&at(0, 5), at(0, 19), true);
        awaiting.durable();
        assert!(awaiting.is_careful());
        awaiting.add(&at(0, 19), at(0, 20), true);
        awaiting.durable();
        assert!(!awaiting.is_careful());
    }

    #[test]
    fn a_partition_that_went_is_forgotten() {
        let mut awaiting = Awaiting::default();
        awaiting.add(&at(0, 5), at(0, 10), true);
        awaiting.lost(at(0, 20));
        awaiting.add(&at(0, 5), at(0, 10), true);
        awaiting.forget(&at(0, 0).into_keys().collect::<Vec<_>>());
        assert!(!awaiting.is_careful());
        assert_eq!(list(&awaiting.durable()), []);
    }
}
