//! What a sink's consumer has to know and has to wait for: the topics of a pattern, offsets and ends of new partitions, topics
//! that were created anew. Everything here blocks, and tells the group itself; nothing here polls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::admin::{Admin, ends, offsets};
use super::client::ASK;
use super::commit::Meaning;
use super::fault::fault;
use super::group::{Group, LookedUp, SinkConsumer};
use super::memory::Memory;
use crate::topic_log::mark::Mark;
use crate::topic_log::{Assignment, LogError, Start, TopicPartition, Wanted};

/// The topics that a sink takes as of now. Blocks.
pub(super) fn names(wanted: &Wanted, admin: &Admin) -> Result<Vec<String>, LogError> {
    match wanted {
        Wanted::Names(names) => Ok(names.iter().cloned().collect()),
        Wanted::Pattern(_) => Ok(admin.topic_names()?.into_iter().filter(|name| wanted.takes(name)).collect()),
    }
}

/// How an errand ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    All,
    /// What is left is looked for later.
    NotAll,
}

pub(super) struct Scout {
    group: Arc<Group>,
    consumer: Arc<SinkConsumer>,
    admin: Arc<Admin>,
    wanted: Arc<Wanted>,
    subscribed: Mutex<Option<Vec<String>>>,
    start: Start,
    /// Of this worker, and the cluster's id.
    memory: Arc<Memory>,
    log: String,
    /// For `start = "latest"`: the group has an offset of every partition that was there when the sink looked first.
    placed: OnceLock<()>,
}

impl Scout {
    pub(super) fn new(
        group: Arc<Group>,
        consumer: Arc<SinkConsumer>,
        admin: Arc<Admin>,
        (wanted, start): (Arc<Wanted>, Start),
        (memory, log): (Arc<Memory>, String),
    ) -> Self {
        Self { group, consumer, admin, wanted, subscribed: Mutex::default(), start, memory, log, placed: OnceLock::new() }
    }

    /// Subscribes to what matches by now, and finds topics that were created anew.
    pub(super) fn look_for_topics(&self) -> Result<Found, LogError> {
        self.subscribe()?;
        self.group.forget_absent();
        self.check_ids()
    }

    fn subscribe(&self) -> Result<(), LogError> {
        let mut subscribed = self.subscribed.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(&*self.wanted, Wanted::Names(_)) && subscribed.is_some() {
            return Ok(());
        }
        let names = names(&self.wanted, &self.admin)?;
        self.place_first(&names)?;
        let exists = match &*self.wanted {
            Wanted::Names(_) => self.any_exists(&names)?,
            Wanted::Pattern(_) => !names.is_empty(),
        };
        if !exists {
            if !self.group.has_joined() {
                tracing::warn!(group = self.group.name, topics = %self.wanted, "no topic that this sink reads exists yet");
            }
            self.group.without_topics();
        }
        if !names.is_empty() && subscribed.as_ref() != Some(&names) {
            let topics: Vec<_> = names.iter().map(String::as_str).collect();
            self.consumer.subscribe(&topics).map_err(|e| fault("subscribing", &e))?;
        }
        *subscribed = Some(names);
        Ok(())
    }

    /// librdkafka does not join for topics that are not there.
    fn any_exists(&self, names: &[String]) -> Result<bool, LogError> {
        let mut missing = Vec::new();
        for name in names {
            if self.admin.partitions(name)?.is_none() {
                missing.push(name.as_str());
            }
        }
        let any = missing.len() < names.len();
        if any && !missing.is_empty() {
            let topics = missing.join(", ");
            tracing::warn!(group = self.group.name, topics, "this sink reads what is there, but these topics do not exist yet");
        }
        Ok(any)
    }

    /// `start = "latest"` counts once, for all partitions together, and before this member joins (Kafka takes offsets from outside
    /// as long as a group has no members; another worker that came first has placed them). A partition that has no offset
    /// afterwards came later: what is written to it until it is taken up, be it by the next worker, must not be passed over.
    fn place_first(&self, names: &[String]) -> Result<(), LogError> {
        if self.start != Start::Latest || self.placed.get().is_some() {
            return Ok(());
        }
        let ids = self.admin.topic_ids(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
        let mut all = Vec::new();
        for name in ids.keys() {
            let topic: Arc<str> = name.as_str().into();
            let numbers = self.admin.partitions(name)?.unwrap_or_default();
            all.extend(numbers.into_iter().map(|partition| TopicPartition { topic: Arc::clone(&topic), partition }));
        }
        let mut list = TopicPartitionList::with_capacity(all.len());
        for at in &all {
            list.add_partition(&at.topic, at.partition);
        }
        let what = || format!("placing group `{}` at the end", self.group.name);
        let committed =
            if all.is_empty() { list } else { self.consumer.committed_offsets(list, ASK).map_err(|e| fault(&what(), &e))? };
        let placed = committed.elements().iter().any(|element| matches!(element.offset(), Offset::Offset(_)));
        // With no topic there is nothing to keep an offset of, and the next process must not take itself for the first.
        if all.is_empty() {
            self.memory.begin_at_the_end(&self.group.name, &self.log)?;
        } else if !placed && !self.memory.began_at_the_end(&self.group.name, &self.log)? {
            let mut starts = TopicPartitionList::with_capacity(all.len());
            for (at, end) in all.iter().zip(offsets(&self.consumer, &all, Offset::End)?) {
                let mut element = starts.add_partition(&at.topic, at.partition);
                element.set_offset(Offset::Offset(end)).map_err(|e| fault(&what(), &e))?;
                element.set_metadata(ids.get(&*at.topic).map_or("", String::as_str));
            }
            if starts.count() > 0 {
                self.consumer.commit(&starts, CommitMode::Sync).map_err(|e| fault(&what(), &e))?;
            }
        }
        self.placed.get_or_init(|| ());
        Ok(())
    }

    /// Topics that were deleted and created again since their partitions came.
    fn check_ids(&self) -> Result<Found, LogError> {
        let told = self.group.told_topics();
        let mut names: Vec<_> = told.iter().map(|(name, _)| &**name).collect();
        names.dedup();
        let ids = self.admin.topic_ids(&names)?;
        let mut found = Found::All;
        for (topic, id) in &told {
            if ids.get(&**topic).is_none_or(|now| now == id) {
                continue;
            }
            if self.group.created_anew(topic, id) {
                tracing::warn!(group = self.group.name, topic = %topic, "the topic was created anew while it was read");
            } else {
                found = Found::NotAll;
            }
        }
        // Nothing of such a topic is read before its lanes know: what was asked for here may be older than what librdkafka saw.
        Ok(if self.group.reads_another() { Found::NotAll } else { found })
    }

    /// Looks new partitions up and tells their lanes. One that its topic does not have (any more: created anew with fewer) has
    /// nothing to read, and must not keep the others.
    pub(super) fn look_up(&self) -> Result<Found, LogError> {
        let fresh = self.group.fresh();
        let Err(error) = self.tell(&fresh) else { return Ok(Found::All) };
        let (there, gone) = self.existing(fresh)?;
        if gone.is_empty() {
            return Err(error);
        }
        self.tell(&there)?;
        self.group.set_absent(&gone);
        Ok(Found::All)
    }

    /// Those that their topics have, and the others.
    #[expect(clippy::type_complexity, reason = "twice what is given")]
    fn existing(
        &self,
        fresh: Vec<(TopicPartition, u64)>,
    ) -> Result<(Vec<(TopicPartition, u64)>, Vec<(TopicPartition, u64)>), LogError> {
        let mut partitions = BTreeMap::new();
        for (at, _) in &fresh {
            if !partitions.contains_key(&at.topic) {
                partitions.insert(Arc::clone(&at.topic), self.admin.partitions(&at.topic)?.unwrap_or_default());
            }
        }
        let there = |at: &TopicPartition| partitions.get(&at.topic).is_some_and(|all| all.contains(&at.partition));
        Ok(fresh.into_iter().partition(|(at, _)| there(at)))
    }

    /// Offsets, ends and topic ids of new partitions, then their lanes are told.
    fn tell(&self, fresh: &[(TopicPartition, u64)]) -> Result<(), LogError> {
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
        let mut all = Vec::with_capacity(fresh.len());
        for ((at, generation), (low, high)) in fresh.iter().zip(ends) {
            // A topic that has just been deleted: its partitions are about to go.
            let Some(topic_id) = ids.get(&*at.topic) else { continue };
            let Some(found) = committed.find_partition(&at.topic, at.partition) else { continue };
            found.error().map_err(|e| fault(&format!("reading the offset of {at}"), &e))?;
            let meaning = Meaning::parse(found.metadata());
            let offset = match found.offset() {
                Offset::Offset(offset) => self.of_this_topic(at, offset, meaning.topic_id, topic_id),
                _ => None,
            };
            let (partition, topic_id) = (at.clone(), topic_id.clone());
            let followed = offset.is_some() && meaning.mark == Mark::Followed;
            let assignment = Assignment { partition, topic_id, committed: offset, followed, low, high };
            let stopped_at = offset.filter(|_| meaning.mark == Mark::PastTheEnd);
            let late = self.placed.get().is_some();
            all.push(LookedUp { assignment, generation: *generation, stopped_at, late });
        }
        self.group.tell_assigned(all);
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
