//! Topics of a leg: made, read by a read_committed consumer, and written by a producer in the background. Knows only numbers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use tokio::sync::mpsc;
use wharf_runtime::batch::{Batch, Record};
use wharf_runtime::capability::secret::Secret;
use wharf_runtime::topic_log::kafka::KafkaLog;
use wharf_runtime::topic_log::{TopicLog as _, TopicSpec};

use crate::compare::Arrival;
use crate::numbered::{Kind, Numbered};

pub const PARTITIONS: i32 = 4;

fn log(bootstrap: &str) -> Result<KafkaLog> {
    let properties = [("bootstrap.servers", bootstrap), ("reconnect.backoff.max.ms", "500")];
    let properties = properties.map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned())));
    Ok(KafkaLog::new(&properties.into())?)
}

/// Makes topics and waits until they are there.
pub async fn create(bootstrap: &str, topics: &[(&str, i32)]) -> Result<()> {
    let log = log(bootstrap)?;
    let spec = |(name, partitions): &(&str, i32)| TopicSpec {
        name: (*name).to_owned(),
        partitions: *partitions,
        replication: -1,
        config: [].into(),
    };
    log.create_topics(&topics.iter().map(spec).collect::<Vec<_>>()).await?;
    for _ in 0..100 {
        let there = log.topics().await?;
        if topics.iter().all(|(name, _)| there.iter().any(|topic| topic.name == *name)) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("topics were not made")
}

/// A record of a topic: its key and value.
type Row = (Option<Vec<u8>>, Vec<u8>);

/// Reads topics from their beginning, and keeps what it has read.
pub struct Reader {
    consumer: BaseConsumer,
    pub rows: HashMap<String, Vec<Row>>,
}

impl Reader {
    /// Independent of the code that is tested: rdkafka's own consumer, read_committed.
    pub fn open(bootstrap: &str, topics: &[(&str, i32)]) -> Result<Self> {
        let mut config = ClientConfig::new();
        for (name, value) in [
            ("bootstrap.servers", bootstrap),
            ("group.id", "wharf-chaos"),
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
            ("reconnect.backoff.max.ms", "500"),
            ("log_level", "0"),
        ] {
            config.set(name, value);
        }
        let consumer: BaseConsumer = config.create()?;
        let mut list = TopicPartitionList::new();
        for (topic, partitions) in topics {
            for partition in 0..*partitions {
                list.add_partition_offset(topic, partition, Offset::Beginning)?;
            }
        }
        consumer.assign(&list)?;
        Ok(Self { consumer, rows: topics.iter().map(|(topic, _)| ((*topic).to_owned(), Vec::new())).collect() })
    }

    /// Takes what has come. Faults of the connection are the client's own to deal with.
    pub fn read(&mut self) {
        while let Some(message) = self.consumer.poll(Duration::ZERO) {
            let Ok(message) = message else { continue };
            let row = (message.key().map(<[u8]>::to_vec), message.payload().unwrap_or_default().to_vec());
            if let Some(rows) = self.rows.get_mut(message.topic()) {
                rows.push(row);
            }
        }
    }

    /// How many have come by now.
    pub fn count(&mut self) -> u64 {
        self.read();
        self.rows.values().map(|rows| rows.len() as u64).sum()
    }

    /// The records of a topic of plain rows, and those that have come by now.
    pub fn arrivals(&mut self, topic: &str) -> Vec<Arrival> {
        self.read();
        let mut arrivals = Vec::new();
        for (key, value) in self.of(topic) {
            let key = String::from_utf8_lossy(key.as_deref().unwrap_or_default()).into_owned();
            if let Some(n) = crate::numbered::number(value) {
                arrivals.push(Arrival { n, key, id: None });
            }
        }
        arrivals
    }

    pub fn of(&self, topic: &str) -> &[Row] {
        self.rows.get(topic).map_or(&[], Vec::as_slice)
    }

    /// The numbers of a topic's records.
    pub fn numbers(&self, topic: &str) -> Vec<u64> {
        self.of(topic).iter().filter_map(|(_, value)| crate::numbered::number(value)).collect()
    }
}

/// Writes numbered records into a topic, in order, from a task of its own.
pub struct Writer {
    queue: mpsc::Sender<Vec<Numbered>>,
    failed: Arc<AtomicBool>,
}

impl Writer {
    pub fn start(bootstrap: &str, topic: String) -> Result<Self> {
        let log = log(bootstrap)?;
        let (queue, mut records) = mpsc::channel::<Vec<Numbered>>(512);
        let failed = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&failed);
        tokio::spawn(async move {
            while let Some(records) = records.recv().await {
                let outcome = log.append(&batch(&topic, &records)).await;
                if !outcome.as_ref().is_ok_and(Vec::is_empty) {
                    eprintln!("the harness could not write: {outcome:?}");
                    told.store(true, Ordering::Release);
                    return;
                }
            }
        });
        Ok(Self { queue, failed })
    }

    /// False: the queue is full, the broker is down for long.
    pub fn send(&self, records: &[Numbered]) -> Result<bool> {
        if self.failed.load(Ordering::Acquire) {
            bail!("the harness could not write into the topic");
        }
        match self.queue.try_send(records.to_vec()) {
            Ok(()) => Ok(true),
            Err(mpsc::error::TrySendError::Full(_)) => Ok(false),
            Err(error) => Err(error).context("the writer of the harness has ended"),
        }
    }
}

fn batch(topic: &str, records: &[Numbered]) -> Batch {
    let mut batch = Batch::default();
    for record in records {
        let (key, value) = (record.key(), record.value());
        let odd: &[u8] = b"\xff\xfe";
        let headers = if record.kind == Kind::OddHeader { vec![(odd, Some(odd))] } else { Vec::new() };
        let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
        batch.push(&Record { topic, partition: -1, offset: -1, timestamp: -1, key, value, headers, attempt: 1 });
    }
    batch
}
