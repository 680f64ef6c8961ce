//! What waits for a retry, by partition, while the others flow on. A partition that waits reads nothing more, so this holds at
//! most one batch of each. Pure bookkeeping; the calls stand in `pipeline/hold.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::pipeline::deliver::{Delivery, Piece};
use crate::retry::Backoff;
use crate::topic_log::TopicPartition;

/// Partitions named in a reason.
const NAMED: usize = 3;

/// The rest of a batch's records of one partition, from the first one on that has to be sent again.
#[derive(Debug)]
pub struct Waiting {
    pub delivery: Delivery,
    /// All of it, with what is settled already.
    pub piece: Piece,
    pub backoff: Backoff,
    pub due: Instant,
    /// What it waits for, and until when.
    pub message: String,
}

/// All that waits in one task.
#[derive(Debug, Default)]
pub struct Held(BTreeMap<TopicPartition, Waiting>);

impl Held {
    pub fn insert(&mut self, partition: TopicPartition, waiting: Waiting) {
        self.0.insert(partition, waiting);
    }

    pub fn take(&mut self, partition: &TopicPartition) -> Option<Waiting> {
        self.0.remove(partition)
    }

    #[must_use]
    pub fn holds(&self, partition: &TopicPartition) -> bool {
        self.0.contains_key(partition)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These partitions are read again from elsewhere, or by another owner.
    pub fn forget<'a>(&mut self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        for partition in partitions {
            self.0.remove(partition);
        }
    }

    /// What is to be tried again by now, the longest due first.
    #[must_use]
    pub fn due(&self, now: Instant) -> Vec<TopicPartition> {
        let mut due: Vec<_> = self.0.iter().filter(|(_, waiting)| waiting.due <= now).collect();
        due.sort_by_key(|(_, waiting)| waiting.due);
        due.into_iter().map(|(partition, _)| partition.clone()).collect()
    }

    /// Time until something is due, at most `longest`.
    #[must_use]
    pub fn wait(&self, now: Instant, longest: Duration) -> Duration {
        let next = self.0.values().map(|waiting| waiting.due.saturating_duration_since(now)).min();
        next.map_or(longest, |next| next.min(longest))
    }

    /// Number of input records.
    #[must_use]
    pub fn records(&self) -> usize {
        self.0.values().map(|waiting| waiting.piece.input_count()).sum()
    }

    /// For people: which partitions wait, and what for. `None`: nothing does.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        let first = self.0.values().next()?;
        let named: Vec<_> = self.0.keys().take(NAMED).map(ToString::to_string).collect();
        let more = self.0.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Some(format!("only {}{more} waiting for a retry: {}", named.join(", "), first.message))
    }

    /// What lay in the guest is durable.
    pub fn flushed(&mut self) {
        self.0.values_mut().for_each(|waiting| waiting.piece.settled.buffered = false);
    }

    /// The guest's instance has died.
    pub fn instance_lost(&mut self) {
        self.0.values_mut().for_each(|waiting| waiting.piece.settled.instance_lost());
    }
}

/// A delivery parted into what flows on and what waits.
#[derive(Debug)]
pub struct Parts {
    pub flowing: Delivery,
    /// The pieces of it that are not delivered yet.
    pub pieces: VecDeque<Piece>,
    /// By partition, each with the whole of it as one piece.
    pub waiting: Vec<(TopicPartition, Delivery, Piece)>,
}

/// Takes partitions out of a delivery, each from an input on: nothing newer of it is sent before. `pieces` are those not
/// delivered yet.
#[must_use]
pub fn part(delivery: &Delivery, pieces: &VecDeque<Piece>, cuts: &BTreeMap<TopicPartition, usize>) -> Parts {
    let taken = |index: usize, record: &crate::batch::Record<'_>| {
        cuts.iter().position(|(p, cut)| index >= *cut && p.partition == record.partition && *p.topic == *record.topic)
    };
    let owner: Vec<Option<usize>> = delivery.input.records().enumerate().map(|(index, record)| taken(index, &record)).collect();
    let select = |wanted: Option<usize>| {
        let (part, to) = delivery.select(&owner.iter().map(|owner| *owner == wanted).collect::<Vec<_>>());
        (part, pieces.iter().filter_map(|piece| piece.renumbered(&to)).collect::<VecDeque<_>>())
    };
    let waiting = cuts.keys().enumerate().map(|(index, partition)| {
        let (part, pieces) = select(Some(index));
        let mut whole = part.whole();
        pieces.into_iter().for_each(|piece| whole.settled.join(piece.settled));
        whole.settled.waited = true;
        (partition.clone(), part, whole)
    });
    let waiting = waiting.collect();
    let (flowing, pieces) = select(None);
    Parts { flowing, pieces, waiting }
}

#[cfg(test)]
mod tests;
