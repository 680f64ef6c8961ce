//! The thread of a sink's consumer: serves the group, looks up what lanes must know of new partitions, keeps the subscription
//! to a pattern fresh. It reads no records: lanes do, from their partitions' own queues.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use super::admin::{Admin, ends};
use super::client::ASK;
use super::fault::fault;
use super::group::{Group, SinkConsumer};
use crate::topic_log::{Assignment, LogError, TopicPartition, Wanted};

const POLL: Duration = Duration::from_millis(100);
/// Until the group has answered first: a poll that runs its callbacks still waits to its end.
const JOINING: Duration = Duration::from_millis(10);
/// After a lookup that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Held by each lane: the thread ends with the last one.
pub(super) struct Alive;

/// The topics that a sink takes as of now. Blocks.
pub(super) fn names(wanted: &Wanted, admin: &Admin) -> Result<Vec<String>, LogError> {
    match wanted {
        Wanted::Names(names) => Ok(names.iter().cloned().collect()),
        Wanted::Pattern(_) => Ok(admin.topic_names()?.into_iter().filter(|name| wanted.takes(name)).collect()),
    }
}

pub(super) struct Driver {
    pub(super) group: Arc<Group>,
    pub(super) consumer: Arc<SinkConsumer>,
    pub(super) admin: Arc<Admin>,
    pub(super) wanted: Arc<Wanted>,
    pub(super) alive: Weak<Alive>,
    /// How often patterns and topic ids are looked at.
    pub(super) refresh: Duration,
}

impl Driver {
    /// Runs until the last lane is gone, then leaves the group.
    pub(super) fn run(self) {
        let mut subscribed: Option<Vec<String>> = None;
        let (mut look, mut lookup) = (Instant::now(), Instant::now());
        while self.alive.strong_count() > 0 {
            let now = Instant::now();
            if now >= look {
                look = now + self.refresh;
                if let Err(error) = self.subscribe(&mut subscribed).and_then(|()| self.check_ids()) {
                    tracing::warn!(group = self.group.name, %error, "looking for topics; it is tried again");
                    look = now + PAUSE;
                }
            }
            self.serve();
            if Instant::now() >= lookup
                && let Err(error) = self.look_up()
            {
                tracing::warn!(group = self.group.name, %error, "looking up new partitions; it is tried again");
                lookup = Instant::now() + PAUSE;
            }
            self.group.settle(&self.consumer);
            self.group.restart(&self.consumer);
        }
        self.group.close(&self.consumer);
    }

    fn subscribe(&self, subscribed: &mut Option<Vec<String>>) -> Result<(), LogError> {
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

    /// One step of the group: rebalance callbacks run in here.
    fn serve(&self) {
        match self.consumer.poll(if self.group.has_joined() { POLL } else { JOINING }) {
            None | Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Ok(message)) => {
                // Its queue was split off before it was assigned: reading on would leave a gap.
                let text = format!("{}/{} came by the common queue", message.topic(), message.partition());
                self.group.fail(LogError::Fenced(text));
            }
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                self.group.fail(LogError::Fenced(format!("group `{}`: {error}", self.group.name)));
            }
            Some(Err(error)) => match fault(&format!("group `{}`", self.group.name), &error) {
                fatal @ LogError::Fatal(_) => self.group.fail(fatal),
                _ => tracing::warn!(group = self.group.name, %error, "consumer"),
            },
        }
    }

    /// Offsets, ends and topic ids of new partitions, then their lanes are told.
    fn look_up(&self) -> Result<(), LogError> {
        let fresh = self.group.fresh();
        if fresh.is_empty() {
            return Ok(());
        }
        let mut names: Vec<_> = fresh.iter().map(|at| &*at.topic).collect();
        names.dedup();
        let ids = self.admin.topic_ids(&names)?;
        let ends = ends(&self.consumer, &fresh)?;
        let mut list = TopicPartitionList::with_capacity(fresh.len());
        for at in &fresh {
            list.add_partition(&at.topic, at.partition);
        }
        let committed = self.consumer.committed_offsets(list, ASK).map_err(|e| fault("reading the group's offsets", &e))?;
        let mut assignments = Vec::with_capacity(fresh.len());
        for (at, (low, high)) in fresh.iter().zip(ends) {
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
            assignments.push(Assignment { partition, topic_id: topic_id.clone(), committed: offset, low, high });
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

    /// Topics that were deleted and created again since their partitions came.
    fn check_ids(&self) -> Result<(), LogError> {
        let told = self.group.told_topics();
        let names: Vec<_> = told.keys().map(|name| &**name).collect();
        let ids = self.admin.topic_ids(&names)?;
        for (topic, id) in &told {
            if ids.get(&**topic).is_some_and(|now| now != id) {
                tracing::warn!(group = self.group.name, topic = %topic, "the topic was created anew while it was read");
                self.group.created_anew(topic);
            }
        }
        Ok(())
    }
}
