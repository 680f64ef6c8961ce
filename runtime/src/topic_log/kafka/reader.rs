//! Reading a topic outside any group, for `topic cat`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
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

pub(super) struct Reader {
    consumer: Arc<BaseConsumer<Plain>>,
    topic: String,
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
        Ok(Self { consumer: Arc::new(consumer), topic: topic.to_owned() })
    }
}

#[async_trait]
impl TopicReader for Reader {
    async fn next(&mut self, wait: Duration) -> Result<Batch, LogError> {
        let (consumer, topic) = (Arc::clone(&self.consumer), self.topic.clone());
        blocking(move || read(&consumer, &topic, wait)).await
    }
}

fn read(consumer: &BaseConsumer<Plain>, topic: &str, wait: Duration) -> Result<Batch, LogError> {
    let until = Instant::now() + wait;
    let mut batch = Batch::default();
    while batch.len() < RECORDS && batch.data.len() < BYTES {
        // Once something is there, only what has arrived with it is taken.
        let patience = if batch.is_empty() { until.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
        match consumer.poll(patience) {
            Some(Ok(message)) => native::copy(&message, &mut batch),
            Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Err(error)) => match fault(&format!("reading `{topic}`"), &error) {
                fatal @ LogError::Fatal(_) => return Err(fatal),
                _ if error.rdkafka_error_code() == Some(Code::UnknownTopicOrPartition) => {
                    return Err(super::fault::unknown_topic(topic));
                }
                _ => tracing::debug!(topic, %error, "reading"),
            },
            None if batch.is_empty() && Instant::now() < until => {}
            None => break,
        }
    }
    Ok(batch)
}
