//! The rebalance callback: what the group assigns is taken, paused, and what it revokes waits for its lanes.

use std::sync::{PoisonError, Weak};
use std::time::Instant;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::{Group, Member, Revocation, SinkConsumer, positions};
use crate::topic_log::TopicPartition;

/// Where a partition stands until its lane has placed it: beyond any log.
const NOWHERE: Offset = Offset::Offset(1 << 62);

impl Group {
    fn assigned(&self, consumer: &SinkConsumer, list: &[TopicPartition]) {
        if let Some(shared) = self.consumer.get().and_then(Weak::upgrade) {
            let mut state = self.state();
            state.changed = Some(Instant::now());
            // Split before they are assigned: no record takes the way of the common queue.
            list.iter().for_each(|at| self.adopt(&mut state, &shared, at));
        }
        // Where to read is for the lane to say, by a seek. Until then nothing is fetched: a broker that waits at a partition's end
        // for half a second answers nothing else on that connection. The place is one that librdkafka asks nobody about: an
        // answer that comes after the seek would lead away from it.
        let nowhere = positions(list, NOWHERE);
        let taken = consumer.pause(&nowhere).and_then(|()| consumer.incremental_assign(&nowhere));
        self.answered("taking partitions", taken);
    }

    fn revoked(&self, consumer: &SinkConsumer, list: Vec<TopicPartition>) {
        let lost = consumer.assignment_lost();
        let mut state = self.state();
        state.changed = Some(Instant::now());
        let closing = state.closing;
        let left = self.tell_revoked(&mut state, &list);
        if !closing && !lost && !left.is_empty() {
            state.revocation = Some(Revocation { list, left, deadline: Instant::now() + self.defer });
            return;
        }
        drop(state);
        let gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        self.give_back(consumer, &list);
        drop(gate);
    }
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.group.ids.hear(facility, message);
        // Of a partition's queue, which is not read by events: its topic is gone, or has fewer partitions.
        if facility == "ERROR" {
            self.group.voice.fault(message);
        } else if self.talks || !matches!(level, RDKafkaLogLevel::Debug) {
            self.group.voice.log(level, facility, message);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.group.voice.error(&error, reason);
    }
}

impl ConsumerContext for Member {
    fn rebalance(&self, consumer: &SinkConsumer, err: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let at = |e: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| TopicPartition {
            topic: e.topic().into(),
            partition: e.partition(),
        };
        let partitions: Vec<_> = list.elements().iter().map(at).collect();
        tracing::debug!(group = self.group.name, ?err, ?partitions, "rebalance");
        match err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.group.assigned(consumer, &partitions),
            _ => self.group.revoked(consumer, partitions),
        }
    }
}
