//! One log to test, and what tests do with it again and again. Owns what the log's own interface has no means for: losing
//! records and deleting topics.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use support::servers::Server;
use tempfile::TempDir;
use wharf_runtime::batch::{Batch, Record};
use wharf_runtime::capability::secret::Secret;
use wharf_runtime::topic_log::embedded::{self, EmbeddedLog};
use wharf_runtime::topic_log::kafka::KafkaLog;
use wharf_runtime::topic_log::{
    Assignment, BatchLimits, LogError, SinkEvent, SinkLog, SinkSpec, SourceOwner, Start, TopicLog, TopicPartition,
    TopicSelection, TopicSpec,
};

/// Nothing that is expected takes this long.
pub const PATIENCE: Duration = Duration::from_secs(75);
pub const LIMITS: BatchLimits = BatchLimits { records: 1000, bytes: 1 << 20, linger: Duration::from_millis(20) };

enum Home {
    Embedded(TempDir),
    /// Bootstrap servers, and how groups are joined.
    Kafka(String, Protocol),
}

/// How a group is joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Classic,
    /// KIP-848: the broker assigns.
    Consumer,
}

pub struct Bench {
    home: Home,
    log: Option<Arc<dyn TopicLog>>,
    /// Makes names unique in a cluster that other tests use.
    pub tag: String,
}

/// A record as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub at: TopicPartition,
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Row {
    pub fn text(&self) -> String {
        String::from_utf8(self.value.clone().unwrap_or_default()).unwrap()
    }
}

impl Deref for Bench {
    type Target = dyn TopicLog;

    fn deref(&self) -> &Self::Target {
        self.log.as_deref().expect("the log is open")
    }
}

fn open_embedded(folder: &Path) -> Arc<dyn TopicLog> {
    Arc::new(EmbeddedLog::open(folder, None, None).unwrap())
}

fn properties(bootstrap: &str, protocol: Protocol) -> BTreeMap<String, Secret> {
    let property = |name: &str, value: &str| (name.to_owned(), Secret::new(value.to_owned()));
    let mut properties = vec![property("bootstrap.servers", bootstrap), property("topic.metadata.refresh.interval.ms", "500")];
    if protocol == Protocol::Consumer {
        properties.push(property("group.protocol", "consumer"));
    }
    properties.into_iter().collect()
}

fn open_kafka(bootstrap: &str, protocol: Protocol) -> Arc<dyn TopicLog> {
    Arc::new(KafkaLog::new(&properties(bootstrap, protocol)).unwrap())
}

fn tag() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    format!("t{now}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

impl Bench {
    pub fn embedded(_test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let log = open_embedded(folder.path());
        Some(Self { home: Home::Embedded(folder), log: Some(log), tag: tag() })
    }

    pub fn kafka(test: &str) -> Option<Self> {
        Self::kafka_by(Protocol::Classic, test)
    }

    pub fn kafka_848(test: &str) -> Option<Self> {
        Self::kafka_by(Protocol::Consumer, test)
    }

    fn kafka_by(protocol: Protocol, test: &str) -> Option<Self> {
        let bootstrap = Server::Kafka.address(test)?;
        let log = open_kafka(&bootstrap, protocol);
        Some(Self { home: Home::Kafka(bootstrap, protocol), log: Some(log), tag: tag() })
    }

    /// A session of six seconds where the member has a say in it: by KIP-848 it is the broker's.
    pub fn short_session(&self, spec: &mut SinkSpec) {
        if matches!(self.home, Home::Kafka(_, Protocol::Classic)) {
            spec.properties.insert("session.timeout.ms".to_owned(), "6000".to_owned());
        }
    }

    pub fn bootstrap(&self) -> &str {
        match &self.home {
            Home::Kafka(bootstrap, _) => bootstrap,
            Home::Embedded(_) => panic!("not on Kafka"),
        }
    }

    /// A second process on the same log. On the embedded one there is none: the same log.
    pub fn another(&self) -> Arc<dyn TopicLog> {
        match &self.home {
            Home::Kafka(bootstrap, protocol) => open_kafka(bootstrap, *protocol),
            Home::Embedded(_) => Arc::clone(self.log.as_ref().unwrap()),
        }
    }

    /// One more process with a state-dir of its own. On the embedded log there is none: the same log.
    pub fn worker(&self, state_dir: &Path) -> Arc<dyn TopicLog> {
        match &self.home {
            Home::Kafka(bootstrap, protocol) => {
                Arc::new(KafkaLog::of_worker(&properties(bootstrap, *protocol), state_dir).unwrap())
            }
            Home::Embedded(_) => self.another(),
        }
    }

    /// Closes the log and opens it again, with something done to it in between.
    pub async fn reopen_after(&mut self, change: impl AsyncFnOnce()) {
        let log = self.log.take().unwrap();
        tokio::task::spawn_blocking(move || drop(log)).await.unwrap();
        change().await;
        self.log = Some(match &self.home {
            Home::Embedded(folder) => open_embedded(folder.path()),
            Home::Kafka(bootstrap, protocol) => open_kafka(bootstrap, *protocol),
        });
    }

    pub async fn reopen(&mut self) {
        self.reopen_after(async || ()).await;
    }

    pub fn name(&self, base: &str) -> String {
        format!("{}.{base}", self.tag)
    }

    pub async fn topic(&self, base: &str, partitions: i32) -> String {
        self.topic_with(base, partitions, &[]).await
    }

    pub async fn topic_with(&self, base: &str, partitions: i32, config: &[(&str, &str)]) -> String {
        let name = self.name(base);
        // Kafka counts age from the records' own time, and theirs is old.
        let config = config.iter().chain(&[("retention.ms", "-1")]);
        let config = config.map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        self.create_topics(&[TopicSpec { name: name.clone(), partitions, replication: -1, config }]).await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !self.topics().await.unwrap().iter().any(|t| t.name == name) {
            assert!(Instant::now() < deadline, "{name} does not appear");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        name
    }

    pub fn owner(&self, task: u32, tasks: u32) -> SourceOwner {
        let (deployment, source) = (self.tag.clone(), "erp".to_owned());
        SourceOwner { deployment, source, task, tasks, exactly_once: true, properties: BTreeMap::new() }
    }

    pub fn sink_of(&self, topic: &str) -> SinkSpec {
        let (deployment, sink) = (self.tag.clone(), "warehouse".to_owned());
        let topics = TopicSelection::Names(vec![topic.to_owned()]);
        SinkSpec { deployment, sink, topics, dead_letters: None, tasks: 1, start: Start::Earliest, properties: BTreeMap::new() }
    }

    pub async fn lane(&self, spec: &SinkSpec) -> Box<dyn SinkLog> {
        self.sink(spec).await.unwrap().remove(0)
    }

    /// Makes the log forget the records of partition 0 before `offset`.
    pub async fn lose_records(&mut self, topic: &str, offset: i64) {
        let bootstrap = match &self.home {
            Home::Kafka(bootstrap, _) => bootstrap.clone(),
            Home::Embedded(folder) => {
                let path = folder.path().join(embedded::FILE);
                let topic = topic.to_owned();
                self.reopen_after(async || {
                    let db = rusqlite::Connection::open(path).unwrap();
                    let stream =
                        "SELECT stream FROM partitions p JOIN topics t ON t.number = p.topic WHERE t.name = ?1 AND partition = 0";
                    let stream: i64 = db.query_row(stream, [&topic], |row| row.get(0)).unwrap();
                    db.execute("DELETE FROM records WHERE place >= ?1 AND place < ?2", [stream << 40, (stream << 40) + offset])
                        .unwrap();
                    db.execute("UPDATE partitions SET low = ?2 WHERE stream = ?1", [stream, offset]).unwrap();
                })
                .await;
                return;
            }
        };
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Offset(offset)).unwrap();
        admin(&bootstrap).delete_records(&list, &AdminOptions::new()).await.unwrap();
    }

    pub async fn delete_topic(&mut self, topic: &str) {
        let bootstrap = match &self.home {
            Home::Kafka(bootstrap, _) => bootstrap.clone(),
            Home::Embedded(folder) => {
                let path = folder.path().join(embedded::FILE);
                let topic = topic.to_owned();
                self.reopen_after(async || {
                    let db = rusqlite::Connection::open(path).unwrap();
                    let number: i64 = db.query_row("SELECT number FROM topics WHERE name = ?1", [&topic], |r| r.get(0)).unwrap();
                    db.execute("DELETE FROM partitions WHERE topic = ?1", [number]).unwrap();
                    db.execute("DELETE FROM topics WHERE number = ?1", [number]).unwrap();
                })
                .await;
                return;
            }
        };
        admin(&bootstrap).delete_topics(&[topic], &AdminOptions::new()).await.unwrap()[0].clone().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while self.topics().await.unwrap().iter().any(|t| t.name == topic) {
            assert!(Instant::now() < deadline, "{topic} does not go");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Everything in a topic, by a reader.
    pub async fn contents(&self, topic: &str) -> Vec<Row> {
        let mut reader = self.read(topic, Start::Earliest).await.unwrap();
        let mut found = Vec::new();
        loop {
            let batch = reader.next(Duration::from_millis(1500)).await.unwrap();
            if batch.is_empty() {
                return found;
            }
            found.extend(rows(&batch));
        }
    }
}

pub fn admin(bootstrap: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap()
}

pub fn rows(batch: &Batch) -> Vec<Row> {
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    let row = |r: Record<'_>| Row {
        at: TopicPartition { topic: r.topic.into(), partition: r.partition },
        offset: r.offset,
        timestamp: r.timestamp,
        key: owned(r.key),
        value: owned(r.value),
        headers: r.headers.iter().map(|(name, value)| (name.to_vec(), owned(*value))).collect(),
    };
    batch.records().map(row).collect()
}

pub fn record<'a>(topic: &'a str, key: Option<&'a str>, value: &'a str) -> Record<'a> {
    let (key, value) = (key.map(str::as_bytes), Some(value.as_bytes()));
    Record { topic, partition: -1, offset: -1, timestamp: 1_700_000_000_000, key, value, headers: Vec::new(), attempt: 1 }
}

pub fn batch(records: &[Record<'_>]) -> Arc<Batch> {
    let mut batch = Batch::default();
    records.iter().for_each(|record| batch.push(record));
    Arc::new(batch)
}

/// Values "0" … "n-1", with these keys in turn.
pub async fn write_numbers(log: &dyn TopicLog, topic: &str, numbers: std::ops::Range<usize>) {
    let texts: Vec<_> = numbers.map(|n| (format!("k{n}"), n.to_string())).collect();
    let records: Vec<_> = texts.iter().map(|(key, value)| record(topic, Some(key), value)).collect();
    assert_eq!(log.append(&batch(&records)).await.unwrap(), []);
}

pub fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition }
}

/// The next event that is not idle.
pub async fn event(lane: &mut dyn SinkLog, limits: BatchLimits) -> SinkEvent {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match lane.next(limits, Duration::from_millis(200)).await.unwrap() {
            SinkEvent::Idle => assert!(Instant::now() < deadline, "nothing but idle"),
            event => return event,
        }
    }
}

/// The new partitions, in order.
pub async fn assigned(lane: &mut dyn SinkLog, count: usize) -> Vec<Assignment> {
    let mut all = Vec::new();
    while all.len() < count {
        match event(lane, LIMITS).await {
            SinkEvent::Assigned(list) => all.extend(list),
            other => panic!("expected partitions, got {other:?}"),
        }
    }
    all.sort_by(|a, b| a.partition.cmp(&b.partition));
    all
}

/// Begins where a sink would: at the committed offset, else by `start`.
pub async fn begin(lane: &mut dyn SinkLog, list: &[Assignment]) {
    try_begin(lane, list).await.unwrap();
}

/// The same where partitions may go meanwhile.
pub async fn try_begin(lane: &mut dyn SinkLog, list: &[Assignment]) -> Result<(), LogError> {
    let mut starts = Vec::new();
    for assignment in list {
        let start = match assignment.committed {
            Some(offset) => offset,
            None => lane.resolve_start(&assignment.partition).await?,
        };
        starts.push((assignment.partition.clone(), start));
    }
    lane.begin(&starts).await
}

/// Reads until so many records are there, beginning partitions as they come.
pub async fn read_rows(lane: &mut dyn SinkLog, count: usize) -> Vec<Row> {
    let mut found = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while found.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} records came", found.len());
        match lane.next(LIMITS, Duration::from_millis(200)).await.unwrap() {
            SinkEvent::Records(batch) => found.extend(rows(&batch)),
            SinkEvent::Assigned(list) => begin(lane, &list).await,
            SinkEvent::Revoked(list) => lane.release(&list).await.unwrap(),
            SinkEvent::Idle => {}
            SinkEvent::OutOfRange(at, lost) => panic!("{at}: {}", lost.text()),
        }
    }
    found
}

pub fn texts(rows: &[Row]) -> Vec<String> {
    rows.iter().map(Row::text).collect()
}

pub fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

/// Waits until the lane says that everything has been read; new records are a fault.
pub async fn catch_up(lane: &mut dyn SinkLog) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "the lane never catches up");
        match lane.next(LIMITS, Duration::from_millis(100)).await.unwrap() {
            SinkEvent::Idle if lane.caught_up().await.unwrap() => return,
            SinkEvent::Idle => {}
            other => panic!("expected the end, got {other:?}"),
        }
    }
}

/// Drops a lane, and waits until its group has no member.
pub async fn away(bench: &Bench, lane: Box<dyn SinkLog>, group: &str) {
    tokio::task::spawn_blocking(move || drop(lane)).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !bench.members(group).await.unwrap().is_empty() {
        assert!(Instant::now() < deadline, "{group} keeps its member");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
