//! Rules of the embedded log alone. What both logs must keep is held by the suite that runs against both.
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::batch::Record;
use crate::topic_log::{BatchLimits, Lost, Position, SinkEvent, TopicPartition, TopicSelection};

mod catalogs;
mod fencing;
mod files;
mod groups;
mod records_kept;
mod retaining;
mod writing;

const WAIT: Duration = Duration::from_secs(5);
const LIMITS: BatchLimits = BatchLimits { records: 1_000, bytes: 1 << 20, linger: Duration::ZERO };

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn open(folder: &TempDir) -> EmbeddedLog {
    EmbeddedLog::open(folder.path(), None, None).unwrap()
}

/// A connection beside the log's own.
fn beside(folder: &Path) -> Connection {
    Connection::open(folder.join(FILE)).unwrap()
}

fn spec(name: &str, partitions: i32, config: &[(&str, &str)]) -> TopicSpec {
    let config = config.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    TopicSpec { name: name.to_owned(), partitions, replication: -1, config }
}

/// A log with the topic `t` of one partition.
async fn with_topic(folder: &TempDir) -> EmbeddedLog {
    let log = open(folder);
    log.create_topics(&[spec("t", 1, &[])]).await.unwrap();
    log
}

fn record<'a>(topic: &'a str, key: Option<&'a [u8]>, value: &'a [u8]) -> Record<'a> {
    Record { topic, partition: -1, offset: -1, timestamp: -1, key, value: Some(value), headers: Vec::new(), attempt: 1 }
}

fn batch(topic: &str, values: &[&str]) -> Arc<Batch> {
    let mut batch = Batch::default();
    values.iter().for_each(|v| batch.push(&record(topic, None, v.as_bytes())));
    Arc::new(batch)
}

/// All values of a topic, by partition and offset.
async fn values(log: &EmbeddedLog, topic: &str) -> Vec<String> {
    let mut reader = log.read(topic, Start::Earliest).await.unwrap();
    let mut values = Vec::new();
    loop {
        let batch = reader.next(Duration::ZERO).await.unwrap();
        if batch.is_empty() {
            values.sort();
            return values.into_iter().map(|(_, _, value)| value).collect();
        }
        let value = |r: Record<'_>| (r.partition, r.offset, String::from_utf8_lossy(r.value.unwrap_or(b"null")).into_owned());
        values.extend(batch.records().map(value));
    }
}

async fn ends(log: &EmbeddedLog, topic: &str) -> Vec<(i64, i64)> {
    let topics = log.topics().await.unwrap();
    topics.iter().find(|t| t.name == topic).unwrap().partitions.iter().map(|p| (p.low, p.high)).collect()
}

fn owner(task: u32, tasks: u32) -> SourceOwner {
    SourceOwner {
        deployment: "d".to_owned(),
        source: "s".to_owned(),
        task,
        tasks,
        exactly_once: true,
        properties: BTreeMap::new(),
    }
}

fn position(slice: &str, place: &[u8]) -> Position {
    Position { slice: slice.to_owned(), place: place.to_vec() }
}

fn sink(sink: &str, tasks: u32, start: Start) -> SinkSpec {
    SinkSpec {
        deployment: "d".to_owned(),
        sink: sink.to_owned(),
        topics: TopicSelection::Names(vec!["t".to_owned()]),
        dead_letters: None,
        tasks,
        start,
        properties: BTreeMap::new(),
    }
}

fn fatal(error: &LogError) -> &str {
    let LogError::Fatal(text) = error else { panic!("not fatal: {error:?}") };
    text
}

/// The writer has done what was asked before and has swept since it was opened: it works in order.
async fn settled(log: &EmbeddedLog) {
    for _ in 0..2 {
        log.create_topics(&[]).await.unwrap();
    }
}
