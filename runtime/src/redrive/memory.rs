//! Which letters of a dead-letter topic were sent back already: ranges of offsets for each partition, kept as positions.
//! With filters letters are taken out of the middle, so one offset would not do. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::RedriveError;
use crate::topic_log::{LogError, Position};

/// Most bytes of one partition's ranges: a position is one record of a topic.
const LARGEST: usize = 512 << 10;

/// What was sent back out of one topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    topic: String,
    topic_id: String,
    /// By partition: first offset of a range, and the one behind its last.
    done: BTreeMap<i32, BTreeMap<i64, i64>>,
    changed: BTreeSet<i32>,
}

/// A place as it is stored, as JSON. Ranges are half open.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    topic_id: String,
    done: Vec<(i64, i64)>,
}

impl Memory {
    /// Reads what is stored about this very topic; what an earlier one of its name left is not used.
    ///
    /// # Errors
    /// [`RedriveError::Log`] where a position is not one of ours: going on could send letters twice.
    pub fn load(topic: &str, topic_id: &str, positions: &[Position]) -> Result<Self, RedriveError> {
        let mut memory = Self { topic: topic.to_owned(), topic_id: topic_id.to_owned(), ..Self::default() };
        for position in positions {
            let Some((name, partition)) = position.slice.rsplit_once('/') else { continue };
            let (true, Ok(partition)) = (name == topic, partition.parse()) else { continue };
            let stored: Stored = serde_json::from_slice(&position.place).map_err(|error| {
                let slice = &position.slice;
                LogError::Fatal(format!("what was redriven out of {slice} cannot be read ({error}): a newer Wharf wrote it"))
            })?;
            if stored.topic_id == topic_id {
                memory.done.insert(partition, stored.done.into_iter().collect());
            } else {
                tracing::warn!(
                    topic,
                    "the dead-letter topic was created anew: what was redriven out of the old one does not count"
                );
            }
        }
        Ok(memory)
    }

    #[must_use]
    pub fn contains(&self, partition: i32, offset: i64) -> bool {
        let ranges = self.done.get(&partition);
        ranges.and_then(|ranges| ranges.range(..=offset).next_back()).is_some_and(|(_, end)| offset < *end)
    }

    pub fn add(&mut self, partition: i32, offset: i64) {
        if self.contains(partition, offset) {
            return;
        }
        let ranges = self.done.entry(partition).or_default();
        let end = ranges.remove(&(offset + 1)).unwrap_or(offset + 1);
        match ranges.range_mut(..offset).next_back() {
            Some((_, before)) if *before == offset => *before = end,
            _ => drop(ranges.insert(offset, end)),
        }
        self.changed.insert(partition);
    }

    /// The positions that changed since this was asked last.
    ///
    /// # Errors
    /// [`RedriveError::Refused`] where the ranges have become too many to store.
    pub fn take_changed(&mut self) -> Result<Vec<Position>, RedriveError> {
        let mut positions = Vec::new();
        for partition in std::mem::take(&mut self.changed) {
            let done = self.done.get(&partition).into_iter().flatten().map(|(from, end)| (*from, *end)).collect();
            let place = serde_json::to_vec(&Stored { topic_id: self.topic_id.clone(), done });
            let place = place.map_err(|error| RedriveError::Refused(error.to_string()))?;
            if place.len() > LARGEST {
                return Err(RedriveError::Refused(format!(
                    "what was redriven out of {}/{partition} lies in too many separate places to remember: redrive without --code and \
                     --place first, so that they grow together",
                    self.topic
                )));
            }
            positions.push(Position { slice: format!("{}/{partition}", self.topic), place });
        }
        Ok(positions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_in_any_order_grow_together_and_survive_storing() {
        let mut memory = Memory::load("dlq", "id", &[]).unwrap();
        for offset in [7, 3, 4, 9, 8, 3, 5] {
            memory.add(0, offset);
        }
        memory.add(2, 0);
        let has = |memory: &Memory| (0..11).filter(|offset| memory.contains(0, *offset)).collect::<Vec<_>>();
        assert_eq!(has(&memory), [3, 4, 5, 7, 8, 9]);
        let stored = memory.take_changed().unwrap();
        assert_eq!(stored[0].place, br#"{"topic_id":"id","done":[[3,6],[7,10]]}"#);
        assert!(memory.take_changed().unwrap().is_empty(), "told once");
        let again = Memory::load("dlq", "id", &stored).unwrap();
        assert_eq!((has(&again), again.contains(2, 0), again.contains(2, 1)), (vec![3, 4, 5, 7, 8, 9], true, false));
    }

    #[test]
    fn what_was_redriven_out_of_a_topic_of_another_identity_does_not_count() {
        let mut memory = Memory::load("dlq", "old", &[]).unwrap();
        memory.add(0, 3);
        let stored = memory.take_changed().unwrap();
        assert!(!Memory::load("dlq", "new", &stored).unwrap().contains(0, 3));
        assert!(!Memory::load("dlq.other", "old", &stored).unwrap().contains(0, 3));
        assert!(Memory::load("dlq", "old", &[Position { slice: "dlq/0".to_owned(), place: b"x".to_vec() }]).is_err());
    }
}
