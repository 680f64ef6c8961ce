//! What is handed out for a commit after any sequence of pieces, flushes, deaths and departures.
use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

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

/// What can happen to what a sink has accepted.
#[derive(Debug, Clone)]
enum Event {
    /// A piece of a partition was accepted: so many records, with gaps after each as long as these.
    Piece { partition: i32, gaps: Vec<i64>, buffered: bool },
    /// All of it is durable, and the offsets are committed.
    Durable,
    /// The instance died.
    Lost,
    /// A partition goes to another owner and comes back.
    Forget { partition: i32 },
}

fn an_event() -> impl Strategy<Value = Event> {
    let gaps = proptest::collection::vec(prop_oneof![3 => Just(0i64), 1 => 1i64..4], 1..5);
    prop_oneof![
        6 => (0..3i32, gaps, any::<bool>()).prop_map(|(partition, gaps, buffered)| Event::Piece { partition, gaps, buffered }),
        3 => Just(Event::Durable),
        1 => Just(Event::Lost),
        1 => (0..3i32).prop_map(|partition| Event::Forget { partition }),
    ]
}

/// One partition as the outside sees it.
#[derive(Debug, Default)]
struct Seen {
    /// Next offset to read.
    read: i64,
    committed: i64,
    /// Records that were read since the last commit, with whether the target has them for good.
    open: BTreeMap<i64, bool>,
    /// How far pieces are to be flushed one by one.
    careful: Option<i64>,
}

#[derive(Debug, Default)]
struct Model {
    awaiting: Awaiting,
    partitions: BTreeMap<i32, Seen>,
}

impl Model {
    fn partition(&mut self, partition: i32) -> &mut Seen {
        self.partitions.entry(partition).or_default()
    }

    fn piece(&mut self, partition: i32, gaps: &[i64], buffered: bool) {
        let seen = self.partition(partition);
        let first = seen.read;
        for gap in gaps {
            seen.open.insert(seen.read, !buffered);
            seen.read += 1 + gap;
        }
        // The offset to go on from: gaps behind the last record are passed with the next one.
        seen.read -= gaps.last().unwrap_or(&0);
        let next = seen.read;
        self.awaiting.add(&at(partition, first), at(partition, next), buffered);
        self.partition(partition).read += gaps.last().unwrap_or(&0);
    }

    /// The flush went through: whatever lay in the guest is at the target for good.
    fn durable(&mut self) -> Result<(), TestCaseError> {
        self.partitions.values_mut().flat_map(|seen| seen.open.values_mut()).for_each(|durable| *durable = true);
        let offsets = self.awaiting.durable();
        let told: BTreeSet<_> = offsets.iter().map(|(at, _)| at.partition).collect();
        prop_assert_eq!(told.len(), offsets.len(), "a partition is told twice");
        for (partition, seen) in &mut self.partitions {
            let next = offsets.iter().find(|(at, _)| at.partition == *partition).map(|(_, next)| *next);
            let Some((last, _)) = seen.open.last_key_value() else {
                prop_assert_eq!(next, None, "nothing of {} is open", partition);
                continue;
            };
            prop_assert_eq!(next, Some(last + 1), "the highest of {}", partition);
            seen.committed = last + 1;
            seen.open.clear();
            seen.careful.take_if(|until| seen.committed >= *until);
        }
        Ok(())
    }

    /// What has to come again, from where it is read on.
    fn lost(&mut self) -> Result<(), TestCaseError> {
        let until: BTreeMap<_, _> = self.partitions.iter().map(|(p, seen)| (*p, seen.read + 5)).collect();
        let all = until.iter().flat_map(|(p, until)| at(*p, *until)).collect();
        let held = self.awaiting.is_unflushed();
        let places = self.awaiting.lost(all);
        for (partition, seen) in &mut self.partitions {
            if held {
                seen.careful = until.get(partition).copied();
            }
            let lost = seen.open.iter().find(|(_, durable)| !**durable).map(|(offset, _)| *offset);
            match places.iter().find(|(at, _)| at.partition == *partition) {
                Some((_, place)) => {
                    prop_assert!(lost.is_none_or(|lost| *place <= lost), "{} is read again from {place} only", partition);
                    prop_assert!(*place >= seen.committed, "{} is read again from before its commit", partition);
                    seen.read = *place;
                    seen.open.clear();
                }
                None => prop_assert_eq!(lost, None, "what {} had in the guest never comes again", partition),
            }
        }
        Ok(())
    }

    fn forget(&mut self, partition: i32) {
        self.awaiting.forget(&at(partition, 0).into_keys().collect::<Vec<_>>());
        let seen = self.partition(partition);
        *seen = Seen { read: seen.committed, committed: seen.committed, ..Seen::default() };
    }
}

proptest! {
    #[test]
    fn the_offset_for_a_commit_is_the_highest_below_which_everything_is_durable(
        events in proptest::collection::vec(an_event(), 1..60),
    ) {
        let mut model = Model::default();
        for event in events {
            match event {
                Event::Piece { partition, gaps, buffered } => model.piece(partition, &gaps, buffered),
                Event::Durable => model.durable()?,
                Event::Lost => model.lost()?,
                Event::Forget { partition } => model.forget(partition),
            }
            // A commit without a flush is allowed exactly where everything is at the target already.
            let all = model.partitions.values().flat_map(|seen| seen.open.values()).all(|durable| *durable);
            prop_assert!(all || model.awaiting.is_unflushed());
            prop_assert_eq!(model.awaiting.is_careful(), model.partitions.values().any(|seen| seen.careful.is_some()));
        }
        model.durable()?;
        prop_assert!(model.awaiting.is_empty());
    }
}
