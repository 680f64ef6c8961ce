//! What a sink's consumer has to know and has to wait for: the topics of a pattern, offsets and ends of new partitions, topics
//! that were created anew. Everything here blocks, and tells the group itself; nothing here polls.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};

use super::admin::{Admin, ends};
use super::client::ASK;
use super::fault::fault;
use super::group::{Group, SinkConsumer};
use crate::topic_log::{Assignment, LogError, TopicPartition, Wanted};

/// The topics that a sink takes as of now. Blocks.
pub(super) fn names(wanted: &Wanted, admin: &Admin) -> Result<Vec<String>, LogError> {
    match wanted {
        Wanted::Names(names) => Ok(names.iter().cloned().collect()),
        Wanted::Pattern(_) => Ok(admin.topic_names()?.into_iter().filter(|name| wanted.takes(name)).collect()),
    }
}

pub(super) struct Scout {
    group: Arc<Group>,
    consumer: Arc<SinkConsumer>,
    admin: Arc<Admin>,
    wanted: Arc<Wanted>,
    subscribed: Mutex<Option<Vec<String>>>,
}

impl Scout {
    pub(super) fn new(group: Arc<Group>, consumer: Arc<SinkConsumer>, admin: Arc<Admin>, wanted: Arc<Wanted>) -> Self {
        Self { group, consumer, admin, wanted, subscribed: Mutex::default() }
    }

    /// Subscribes to what matches by now, and finds topics that were created anew.
    pub(super) fn look_for_topics(&self) -> Result<(), LogError> {
        self.subscribe()?;
        self.check_ids()
    }

    fn subscribe(&self) -> Result<(), LogError> {
        let mut subscribed = self.subscribed.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(&*self.wanted, Wanted::Names(_)) && subscribed.is_some() {
            return Ok(());
        }
        let names = names(&self.wanted, &self.admin)?;
        if names.is_empty() {
            self.group.without_topics();
        } else if subscribed.as_ref() != Some(&names) {
            let topics: Vec<_> = names.iter().map(String::as_str).collect();
            self.consumer.subscribe(&topics).map_err(|e| fault("subscribing", &e))?;
        }
        *subscribed = Some(names);
        Ok(())
    }

    /// Topics that were deleted and created again since their partitions came.
    fn check_ids(&self) -> Result<(), LogError> {
        let told = self.group.told_topics();
        let names: Vec<_> = told.keys().map(|name| &**name).collect();
        let ids = self.admin.topic_ids(&names)?;
        for (topic, id) in &told {
            if ids.get(&**topic).is_some_and(|now| now != id) {
                tracing::warn!(group = self.group.name, topic = %topic, "the topic was created anew while it was read");
                self.group.created_anew(topic, id);
            }
        }
        Ok(())
    }

    /// Offsets, ends and topic ids of new partitions, then their lanes are told.
    pub(super) fn look_up(&self) -> Result<(), LogError> {
        let fresh = self.group.fresh();
        if fresh.is_empty() {
            return Ok(());
        }
        let at: Vec<_> = fresh.iter().map(|(at, _)| at.clone()).collect();
        let mut names: Vec<_> = at.iter().map(|at| &*at.topic).collect();
        names.dedup();
        let ids = self.admin.topic_ids(&names)?;
        let ends = ends(&self.consumer, &at)?;
        let mut list = TopicPartitionList::with_capacity(at.len());
        for at in &at {
            list.add_partition(&at.topic, at.partition);
        }
        let committed = self.consumer.committed_offsets(list, ASK).map_err(|e| fault("reading the group's offsets", &e))?;
        let mut assignments = Vec::with_capacity(fresh.len());
        for ((at, generation), (low, high)) in fresh.iter().zip(ends) {
            // A topic that has just been deleted: its partitions are about to go.
            let Some(topic_id) = ids.get(&*at.topic) else { continue };
            let found = committed.find_partition(&at.topic, at.partition);
            let Some(found) = found else { continue };
            found.error().map_err(|e| fault(&format!("reading the offset of {at}"), &e))?;
            let offset = match found.offset() {
                Offset::Offset(offset) => self.of_this_topic(at, offset, found.metadata(), topic_id),
                _ => None,
            };
            let partition = at.clone();
            let assignment = Assignment { partition, topic_id: topic_id.clone(), committed: offset, low, high };
            assignments.push((assignment, *generation));
        }
        self.group.tell_assigned(assignments);
        Ok(())
    }

    /// Commits carry the topic's id: an offset of an older topic of that name is never used.
    fn of_this_topic(&self, at: &TopicPartition, offset: i64, committed_for: &str, topic_id: &str) -> Option<i64> {
        if committed_for.is_empty() || committed_for == topic_id {
            return Some(offset);
        }
        tracing::warn!(group = self.group.name, partition = %at, "the topic was created anew: the offset of the old one is not used");
        None
    }
}
