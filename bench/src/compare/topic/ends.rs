//! Where a topic ends, and what it holds.

use anyhow::{Context as _, Result, bail};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use super::{ASK, client};

/// Looks at the ends of a topic, as a reader of committed records sees them.
pub struct Ends {
    consumer: BaseConsumer,
    topic: String,
    partitions: i32,
}

impl std::fmt::Debug for Ends {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ends").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Ends {
    /// # Errors
    /// When there can be no client.
    pub fn new(kafka: &str, topic: &str, partitions: i32) -> Result<Self> {
        let mut config = client(kafka);
        config.set("group.id", topic).set("enable.auto.commit", "false").set("isolation.level", "read_committed");
        // Counting is not to wait for the end of a partition.
        config.set("enable.partition.eof", "true").set("fetch.wait.max.ms", "10");
        Ok(Self { consumer: config.create()?, topic: topic.to_owned(), partitions })
    }

    /// Sum of the ends. Each transaction adds a marker to the partitions it wrote to.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub fn sum(&self) -> Result<u64> {
        let end = |partition| self.consumer.fetch_watermarks(&self.topic, partition, ASK).map(|(_, end)| end.unsigned_abs());
        Ok((0..self.partitions).map(end).collect::<Result<Vec<_>, _>>()?.iter().sum())
    }

    /// Reads the topic to its end: committed records, and bytes of their values.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub fn count(&self) -> Result<(u64, u64)> {
        let mut list = TopicPartitionList::new();
        for partition in 0..self.partitions {
            list.add_partition_offset(&self.topic, partition, Offset::Beginning)?;
        }
        self.consumer.assign(&list)?;
        let (mut records, mut bytes, mut at_end) = (0, 0, 0);
        while at_end < self.partitions {
            match self.consumer.poll(ASK) {
                None => bail!("the end of `{}` was not reached", self.topic),
                Some(Err(KafkaError::PartitionEOF(_))) => at_end += 1,
                Some(Err(error)) => return Err(error).with_context(|| format!("counting `{}`", self.topic)),
                Some(Ok(message)) => {
                    records += 1;
                    bytes += message.payload().map_or(0, <[u8]>::len) as u64;
                }
            }
        }
        self.consumer.unassign()?;
        Ok((records, bytes))
    }
}
