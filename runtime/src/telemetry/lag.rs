//! How far a sink's task is behind: the end of each of its partitions less what is confirmed. Kept apart from the task's loop,
//! so that it also grows while that waits for a target, and stays as it was last known while the log is away.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::topic_log::{End, TopicPartition};

/// A partition of a task that had to start again counts for this long once it runs: it comes back, or another has it.
const GONE: Duration = Duration::from_secs(15);

/// One partition.
#[derive(Debug)]
struct Reach {
    /// The next offset to deliver, by what is confirmed.
    confirmed: i64,
    end: End,
    /// Since when it is not this task's any more.
    left: Option<Instant>,
}

/// The partitions of a task, as last known.
#[derive(Debug, Default)]
pub(super) struct Lag {
    reaches: BTreeMap<TopicPartition, Reach>,
    /// A partition was placed once.
    known: bool,
}

impl Lag {
    /// Records up to the ends; `None` before a partition was placed.
    pub(super) fn records(&self) -> Option<i64> {
        let lag = |reach: &Reach| (reach.end.records - reach.confirmed).max(0);
        self.known.then(|| self.reaches.values().map(lag).sum())
    }

    /// The log tells the ends of what the task owns.
    pub(super) fn ends(&mut self, ends: Vec<(TopicPartition, End)>) {
        for (at, end) in ends {
            if let Some(reach) = self.reaches.get_mut(&at).filter(|reach| end.log >= reach.end.log) {
                reach.end = end;
            }
        }
    }

    /// The partition is delivered from this offset on.
    pub(super) fn placed(&mut self, at: &TopicPartition, confirmed: i64, end: i64) {
        self.known = true;
        let end = End { log: end, records: end };
        self.reaches.insert(at.clone(), Reach { confirmed, end, left: None });
    }

    pub(super) fn confirmed<'a>(&mut self, offsets: impl IntoIterator<Item = (&'a TopicPartition, &'a i64)>) {
        for (at, next) in offsets {
            if let Some(reach) = self.reaches.get_mut(at) {
                reach.confirmed = *next;
            }
        }
    }

    /// These partitions are another's from now on.
    pub(super) fn gone(&mut self, partitions: &[TopicPartition]) {
        self.reaches.retain(|at, _| !partitions.contains(at));
    }

    /// The task starts again and has none for now.
    pub(super) fn left(&mut self) {
        let now = Instant::now();
        for reach in self.reaches.values_mut() {
            reach.left.get_or_insert(now);
        }
    }

    pub(super) fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.reaches.keys()
    }

    /// The log was asked for ends, whatever the task does. `running`: how long it has been running, if it is.
    pub(super) fn looked(&mut self, ends: &BTreeMap<TopicPartition, i64>, running: Option<Duration>) {
        for (at, reach) in &mut self.reaches {
            if let Some(&log) = ends.get(at).filter(|log| **log > reach.end.log) {
                reach.end = End { log, records: log };
            }
        }
        if running.is_some_and(|time| time >= GONE) {
            self.reaches.retain(|_, reach| reach.left.is_none_or(|since| since.elapsed() < GONE));
        }
    }
}
