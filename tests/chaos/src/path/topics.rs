//! Topics of a leg: made, read by a read_committed consumer, and written by a producer in the background. Knows only numbers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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
/// After this long without a record a reader makes its consumer anew.
const SILENCE: Duration = Duration::from_secs(5);

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
    config: ClientConfig,
    consumer: BaseConsumer,
    /// By topic and partition, the next offset.
    next: BTreeMap<(String, i32), i64>,
    last: Instant,
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
        let partitions = topics.iter().flat_map(|(topic, count)| (0..*count).map(|partition| ((*topic).to_owned(), partition)));
        let next = partitions.map(|at| (at, 0)).collect();
        let rows = topics.iter().map(|(topic, _)| ((*topic).to_owned(), Vec::new())).collect();
        Ok(Self { consumer: consumer(&config, &next)?, config, next, last: Instant::now(), rows })
    }

    /// Takes what has come.
    pub fn read(&mut self) {
        // A consumer can forget a partition's leader when the broker was away for long, and the others go on.
        if self.last.elapsed() > SILENCE {
            self.last = Instant::now();
            match consumer(&self.config, &self.next) {
                Ok(fresh) => self.consumer = fresh,
                Err(error) => eprintln!("the harness could not make a consumer: {error:#}"),
            }
        }
        while let Some(message) = self.consumer.poll(Duration::ZERO) {
            let Ok(message) = message else { continue };
            self.last = Instant::now();
            self.next.insert((message.topic().to_owned(), message.partition()), message.offset() + 1);
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

fn consumer(config: &ClientConfig, next: &BTreeMap<(String, i32), i64>) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = config.create()?;
    let mut list = TopicPartitionList::new();
    for ((topic, partition), offset) in next {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
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

fn batch(topic: &str, records: &[Numbered]) -> Arc<Batch> {
    let mut batch = Batch::default();
    for record in records {
        let (key, value) = (record.key(), record.value());
        let odd: &[u8] = b"\xff\xfe";
        let headers = if record.kind == Kind::OddHeader { vec![(odd, Some(odd))] } else { Vec::new() };
        let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
        batch.push(&Record { topic, partition: -1, offset: -1, timestamp: -1, key, value, headers, attempt: 1 });
    }
    Arc::new(batch)
}
