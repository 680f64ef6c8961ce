//! Partitions on their way to their lanes, and topics that are not what their lanes were told: what the scout finds out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, Weak};

use super::super::native::PartitionQueue;
use super::{Group, LookedUp, New, Notice, Part, SinkConsumer, State};
use crate::topic_log::TopicPartition;

impl Group {
    /// What the scout has yet to look up.
    pub(in crate::topic_log::kafka) fn fresh(&self) -> Vec<(TopicPartition, u64)> {
        let state = self.state();
        let going = |at: &TopicPartition| state.revocation.as_ref().is_some_and(|r| r.list.contains(at));
        let fresh = state.owned.iter().filter(|(at, part)| part.is_fresh() && !going(at));
        fresh.map(|(at, part)| (at.clone(), part.generation)).collect()
    }

    /// Those of the assigned partitions that their topics do not have: they keep nobody waiting.
    pub(in crate::topic_log::kafka) fn set_absent(&self, gone: &[(TopicPartition, u64)]) {
        let mut state = self.state();
        for (at, generation) in gone {
            let part = state.owned.get_mut(at).filter(|part| part.generation == *generation);
            part.into_iter().for_each(|part| part.absent = true);
        }
    }

    /// Partitions may have been added since.
    pub(in crate::topic_log::kafka) fn forget_absent(&self) {
        self.state().owned.values_mut().for_each(|part| part.absent = false);
    }

    /// Tells lanes what was looked up for an assignment. One that has come anew since is looked up anew.
    pub(in crate::topic_log::kafka) fn tell_assigned(&self, all: Vec<LookedUp>) {
        let mut state = self.state();
        let mut told: BTreeMap<usize, Vec<New>> = BTreeMap::new();
        let going: Vec<_> = state.revocation.iter().flat_map(|revocation| revocation.list.clone()).collect();
        for found in all {
            let part = state.owned.get_mut(&found.assignment.partition);
            let Some(part) = part.filter(|part| part.generation == found.generation) else { continue };
            if going.contains(&found.assignment.partition) {
                continue;
            }
            let Some(queue) = part.queue.take() else { continue };
            part.topic_id = Some(found.assignment.topic_id.clone());
            told.entry(part.lane).or_default().push(New { found, queue });
        }
        for (lane, new) in told {
            self.tell(&mut state, lane, Notice::Assigned(new));
        }
    }

    /// Topics with the ids that lanes were told: several of one name where it was created anew between two of its partitions.
    pub(in crate::topic_log::kafka) fn told_topics(&self) -> BTreeSet<(Arc<str>, String)> {
        let state = self.state();
        state.owned.iter().filter_map(|(at, part)| Some((Arc::clone(&at.topic), part.topic_id.clone()?))).collect()
    }

    /// The consumer reads from another topic of a name than its lanes were told.
    pub(in crate::topic_log::kafka) fn reads_another(&self) -> bool {
        let other =
            |(at, part): (&TopicPartition, &Part)| part.topic_id.as_ref().is_some_and(|id| self.ids.differs(&at.topic, id));
        self.state().owned.iter().any(other)
    }

    /// A topic was created anew after lanes were told this id: its partitions go, and come back as those of another topic.
    /// False: not now, as a revocation is under way.
    pub(in crate::topic_log::kafka) fn created_anew(&self, topic: &str, told: &str) -> bool {
        let Some(consumer) = self.consumer.get().and_then(Weak::upgrade) else { return true };
        let gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        if state.revocation.is_some() {
            return false;
        }
        let old = |at: &TopicPartition, part: &Part| &*at.topic == topic && part.topic_id.as_deref() == Some(told);
        let list: Vec<_> = state.owned.iter().filter(|(at, part)| old(at, part)).map(|(at, _)| at.clone()).collect();
        self.tell_revoked(&mut state, &list);
        for at in &list {
            self.adopt(&mut state, &consumer, at);
        }
        drop(state);
        drop(gate);
        true
    }

    pub(super) fn adopt(&self, state: &mut State, consumer: &Arc<SinkConsumer>, at: &TopicPartition) {
        let Some(queue) = PartitionQueue::split(consumer, at) else { return };
        state.generation += 1;
        // A place of an earlier assignment, perhaps of another topic of the name.
        state.restarts.retain(|(other, _)| other != at);
        let part = Part { lane: self.lane(at), generation: state.generation, topic_id: None, queue: Some(queue), absent: false };
        drop(state.owned.insert(at.clone(), part));
    }
}
