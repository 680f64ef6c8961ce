//! A consumer of a group whose rebalances wait for the pipeline: the callback only notes them, the pipeline answers them between
//! two polls, when what it has read is written and committed.

use std::collections::HashMap;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

/// Of each partition the offset to go on at.
pub type Places = HashMap<i32, i64>;

/// What the group wants.
#[derive(Debug)]
pub enum Rebalance {
    Assigned(TopicPartitionList),
    Revoked(TopicPartitionList),
}

/// Notes rebalances.
#[derive(Debug, Default)]
pub struct Watch {
    noted: Mutex<Vec<Rebalance>>,
    pending: AtomicBool,
    closing: AtomicBool,
}

impl Watch {
    /// What came since the last call.
    pub fn take(&self) -> Vec<Rebalance> {
        if !self.pending.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        mem::take(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, rebalance: Rebalance) {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).push(rebalance);
        self.pending.store(true, Ordering::Release);
    }
}

impl ClientContext for Watch {
    fn error(&self, error: KafkaError, reason: &str) {
        eprintln!("kafka: {error}: {reason}");
    }
}

impl ConsumerContext for Watch {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, err: RDKafkaRespErr, list: &mut TopicPartitionList) {
        match err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.note(Rebalance::Assigned(list.clone())),
            // A consumer that is being dropped is not polled any more: a deferred answer would never come.
            _ if self.closing.load(Ordering::Acquire) => {
                if let Err(error) = consumer.incremental_unassign(list) {
                    eprintln!("giving partitions back: {error}");
                }
            }
            _ => self.note(Rebalance::Revoked(list.clone())),
        }
    }
}

/// Reads a topic as a member of a group.
pub struct Member {
    pub consumer: BaseConsumer<Watch>,
    topic: String,
}

impl Member {
    /// # Errors
    /// When the configuration or the subscription is refused.
    pub fn join(kafka: &str, group: &str, topic: &str) -> Result<Self> {
        let mut config = super::config(kafka);
        config.set("group.id", group).set("partition.assignment.strategy", "cooperative-sticky");
        config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false").set("auto.offset.reset", "earliest");
        config.set("isolation.level", "read_committed").set("session.timeout.ms", "10000");
        // A queue that is kept short asks again soon, or it runs dry.
        config.set("queued.max.messages.kbytes", "32768").set("fetch.queue.backoff.ms", "10");
        let consumer: BaseConsumer<Watch> = config.create_with_context(Watch::default()).context("making the consumer")?;
        consumer.subscribe(&[topic]).with_context(|| format!("subscribing to `{topic}`"))?;
        Ok(Self { consumer, topic: topic.to_owned() })
    }

    /// # Errors
    /// When Kafka refuses, which an asynchronous commit never says.
    pub fn commit(&self, places: &Places, mode: CommitMode) -> Result<()> {
        if places.is_empty() {
            return Ok(());
        }
        self.consumer.commit(&self.list(places)?, mode).with_context(|| format!("committing offsets of `{}`", self.topic))
    }

    /// Takes partitions, at the places given or where the group has committed.
    ///
    /// # Errors
    /// When librdkafka refuses.
    pub fn take(&self, list: &TopicPartitionList, places: &Places) -> Result<()> {
        let mut list = list.clone();
        for (partition, place) in places {
            let offset = if *place < 0 { Offset::Beginning } else { Offset::Offset(*place) };
            list.set_partition_offset(&self.topic, *partition, offset)?;
        }
        self.consumer.incremental_assign(&list).with_context(|| format!("taking partitions of `{}`", self.topic))
    }

    /// # Errors
    /// When librdkafka refuses.
    pub fn give_back(&self, list: &TopicPartitionList) -> Result<()> {
        self.consumer.incremental_unassign(list).with_context(|| format!("giving partitions of `{}` back", self.topic))
    }

    fn list(&self, places: &Places) -> Result<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for (partition, place) in places {
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(*place))?;
        }
        Ok(list)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.consumer.context().closing.store(true, Ordering::Release);
        for noted in self.consumer.context().take() {
            if let Rebalance::Revoked(list) = noted
                && let Err(error) = self.give_back(&list)
            {
                eprintln!("{error:#}");
            }
        }
    }
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("topic", &self.topic).finish_non_exhaustive()
    }
}
