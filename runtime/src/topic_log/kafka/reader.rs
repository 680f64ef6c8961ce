//! Reading a topic outside any group, for `topic cat`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use super::Shared;
use super::client::{Overrides, Plain, Voice, blocking, misconfigured};
use super::fault::fault;
use super::native;
use super::place::resolve;
use crate::batch::Batch;
use crate::topic_log::{LogError, Start, TopicPartition, TopicReader};

/// Records and bytes of one batch.
const RECORDS: usize = 1000;
const BYTES: usize = 1 << 20;

/// Longest wait for the end of a partition: what takes longer than this has to be told.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

pub(super) struct Reader(Arc<Reading>);

struct Reading {
    consumer: BaseConsumer<Plain>,
    topic: String,
    partitions: usize,
    /// Partitions that were read to their end; librdkafka tells it once each time.
    at_end: Mutex<BTreeSet<i32>>,
}

impl Reader {
    /// Blocks.
    pub(super) fn open(shared: &Shared, topic: &str, from: Start) -> Result<Self, LogError> {
        let Some(partitions) = shared.admin.partitions(topic)? else {
            let names = shared.admin.topic_names()?.join(", ");
            return Err(LogError::Fatal(format!("there is no topic `{topic}`; there are: {names}")));
        };
        let mut config = shared.properties.consumer("wharf.reader", &Overrides::new());
        // What retention removes in the meantime is passed over: a look at the log has nothing to lose.
        config.set("auto.offset.reset", "earliest");
        let voice = Plain(Voice::new(format!("reader of {topic}")));
        let consumer: BaseConsumer<Plain> = config.create_with_context(voice).map_err(|e| misconfigured(&e))?;
        let name: Arc<str> = topic.into();
        let at: Vec<_> = partitions.into_iter().map(|partition| TopicPartition { topic: Arc::clone(&name), partition }).collect();
        let starts = resolve(&consumer, &at, from)?;
        let mut list = TopicPartitionList::with_capacity(at.len());
        for (at, start) in at.iter().zip(starts) {
            list.add_partition_offset(topic, at.partition, Offset::Offset(start)).map_err(|e| fault("reading", &e))?;
        }
        consumer.assign(&list).map_err(|e| fault("reading", &e))?;
        let (topic, partitions) = (topic.to_owned(), at.len());
        Ok(Self(Arc::new(Reading { consumer, topic, partitions, at_end: Mutex::default() })))
    }
}

#[async_trait]
impl TopicReader for Reader {
    async fn next(&mut self, wait: Duration) -> Result<Batch, LogError> {
        let reading = Arc::clone(&self.0);
        blocking(move || reading.next(wait)).await
    }
}

impl Reading {
    /// Blocks.
    fn next(&self, wait: Duration) -> Result<Batch, LogError> {
        let mut at_end = self.at_end.lock().unwrap_or_else(PoisonError::into_inner);
        let until = Instant::now() + wait;
        let mut batch = Batch::default();
        while batch.len() < RECORDS && batch.data.len() < BYTES {
            let (now, ended) = (Instant::now(), at_end.len() >= self.partitions);
            if batch.is_empty() && now >= until && ended {
                break;
            }
            if batch.is_empty() && now >= until + PATIENCE {
                return Err(LogError::Retry(format!("reading `{}`: its end was not reached within {PATIENCE:?}", self.topic)));
            }
            // Once something is there, only what has arrived with it is taken.
            let patience = if batch.is_empty() { LOOK } else { Duration::ZERO };
            match self.consumer.poll(patience) {
                Some(Ok(message)) => {
                    at_end.remove(&message.partition());
                    native::copy(&message, &mut batch);
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => drop(at_end.insert(partition)),
                Some(Err(error)) => self.tolerate(&error)?,
                None if batch.is_empty() => {}
                None => break,
            }
        }
        Ok(batch)
    }

    fn tolerate(&self, error: &KafkaError) -> Result<(), LogError> {
        let topic = &self.topic;
        match fault(&format!("reading `{topic}`"), error) {
            fatal @ LogError::Fatal(_) => Err(fatal),
            _ if error.rdkafka_error_code() == Some(Code::UnknownTopicOrPartition) => Err(super::fault::unknown_topic(topic)),
            _ => {
                tracing::debug!(topic, %error, "reading");
                Ok(())
            }
        }
    }
}
