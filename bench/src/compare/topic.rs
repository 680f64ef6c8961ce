//! Topics of a comparison: made, filled, watched and removed.

pub mod ends;

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

pub use self::ends::Ends;
use crate::compare::orders;

const ASK: Duration = Duration::from_secs(30);

fn admin(kafka: &str) -> Result<AdminClient<DefaultClientContext>> {
    Ok(client(kafka).create()?)
}

pub(super) fn client(kafka: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka).set("enable.metrics.push", "false");
    config
}

/// # Errors
/// When Kafka refuses.
pub async fn create(kafka: &str, name: &str, partitions: i32) -> Result<()> {
    create_all(kafka, &[name.to_owned()], partitions).await
}

/// # Errors
/// When Kafka refuses one of them.
pub async fn create_all(kafka: &str, names: &[String], partitions: i32) -> Result<()> {
    let topics: Vec<NewTopic<'_>> =
        names.iter().map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(1))).collect();
    for made in admin(kafka)?.create_topics(&topics, &AdminOptions::new()).await? {
        made.map_err(|(name, code)| anyhow::anyhow!("creating topic `{name}`: {code}"))?;
    }
    Ok(())
}

/// # Errors
/// When Kafka refuses.
pub async fn delete(kafka: &str, name: &str) -> Result<()> {
    delete_all(kafka, &[name.to_owned()]).await
}

/// # Errors
/// When Kafka refuses one of them.
pub async fn delete_all(kafka: &str, names: &[String]) -> Result<()> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for gone in admin(kafka)?.delete_topics(&names, &AdminOptions::new()).await? {
        gone.map_err(|(name, code)| anyhow::anyhow!("deleting topic `{name}`: {code}"))?;
    }
    Ok(())
}

/// Makes a topic with the orders of a run in it.
///
/// # Errors
/// When Kafka refuses.
pub async fn orders(kafka: &str, name: &str, rows: u64, partitions: i32, bytes: usize) -> Result<()> {
    create(kafka, name, partitions).await?;
    tokio::task::block_in_place(|| fill(kafka, name, rows, partitions, bytes)).with_context(|| format!("filling `{name}`"))
}

fn fill(kafka: &str, name: &str, rows: u64, partitions: i32, bytes: usize) -> Result<()> {
    let mut config = client(kafka);
    config.set("enable.idempotence", "true").set("linger.ms", "20").set("batch.num.messages", "10000");
    let producer: BaseProducer = config.set("queue.buffering.max.messages", "100000").create()?;
    let mut value = String::new();
    for order in orders::orders(rows) {
        order.value(bytes, &mut value);
        let key = order.key();
        let mut record = BaseRecord::<str, str>::to(name).partition(order.partition(partitions)).key(&key).payload(&value);
        while let Err((error, back)) = producer.send(record) {
            if !matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) {
                return Err(error.into());
            }
            producer.poll(Duration::from_millis(5));
            record = back;
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(ASK)?;
    // A record that is given up is no error of `flush`, and a run would wait for it.
    let there = Ends::new(kafka, name, partitions)?.sum()?;
    if there != rows {
        bail!("{there} records are there in place of {rows}");
    }
    read_once(kafka, name, rows, partitions)
}

/// Reads a topic to its end. In small pieces: the first system that reads it would else also pay for what the broker's virtual machine has to
/// compile first.
fn read_once(kafka: &str, name: &str, rows: u64, partitions: i32) -> Result<()> {
    let mut config = client(kafka);
    config.set("group.id", "warm-up").set("fetch.message.max.bytes", "65536").set("fetch.queue.backoff.ms", "1");
    let consumer: BaseConsumer = config.set("queued.max.messages.kbytes", "512").create()?;
    let mut all = TopicPartitionList::new();
    for partition in 0..partitions {
        all.add_partition_offset(name, partition, Offset::Beginning)?;
    }
    consumer.assign(&all)?;
    for read in 0..rows {
        let record = consumer.poll(ASK).with_context(|| format!("after {read} of {rows} records nothing more came"))?;
        record.context("reading what was filled")?;
    }
    Ok(())
}

/// Has the broker make the topics that it keeps groups and transactions in: whoever comes first would wait for that.
///
/// # Errors
/// When Kafka refuses.
pub fn warm_up(kafka: &str) -> Result<()> {
    let mut config = client(kafka);
    let producer: BaseProducer = config.set("transactional.id", "warm-up").create()?;
    producer.init_transactions(ASK)?;
    let mut config = client(kafka);
    let consumer: BaseConsumer = config.set("group.id", "warm-up").create()?;
    consumer.subscribe(&["warm-up"])?;
    let until = std::time::Instant::now() + ASK;
    // It has joined once it may ask for what was committed.
    while consumer.committed(Duration::from_secs(1)).is_err() && std::time::Instant::now() < until {
        consumer.poll(Duration::from_millis(100));
    }
    Ok(())
}
