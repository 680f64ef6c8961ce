//! Appending records: each to its topic and to the partition of its key, all within the caller's transaction.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use super::catalog::{Topic, load_topic};
use super::fault::Fault;
use super::fetch;
use super::retention;
use super::writer::Tx;
use crate::batch::{Batch, Record};
use crate::dead_letter::OVERSIZE;
use crate::topic_log::partitioner::partition_of_key;
use crate::topic_log::{LogError, Refused};

/// A chunk takes no more records above this many bytes.
const CHUNK_BYTES: i64 = 1 << 20;
/// A chunk takes no more records after this many milliseconds, or an eighth of the topic's retention.
const CHUNK_MS: i64 = 3_600_000;

/// Records to append. `whole`: one refused record keeps all others out.
#[derive(Debug)]
pub(super) struct AppendJob {
    pub(super) batch: Arc<Batch>,
    pub(super) whole: bool,
}

/// The end of a partition while records are added to it.
struct Tail {
    stream: i64,
    first: i64,
    next: i64,
    bytes: i64,
    max_timestamp: i64,
}

/// A topic that this batch writes to.
struct Target {
    topic: Topic,
    tails: HashMap<i32, Tail>,
}

impl AppendJob {
    /// Answers the records that are too large; with `whole` nothing was written then.
    pub(super) fn run(&self, tx: &Tx<'_>) -> Result<Vec<Refused>, Fault> {
        let mut targets = self.targets(tx)?;
        let refused = self.refused(&targets);
        if self.whole && !refused.is_empty() {
            return Ok(refused);
        }
        let mut out = refused.iter().map(|r| r.index).peekable();
        let mut insert =
            tx.db.prepare_cached("INSERT INTO records (place, timestamp, key, value, headers) VALUES (?1, ?2, ?3, ?4, ?5)")?;
        for (index, record) in self.batch.records().enumerate() {
            if out.next_if_eq(&index).is_some() {
                continue;
            }
            let Some(target) = targets.get_mut(record.topic) else { continue };
            let partition = partition(tx, &record, target.topic.count());
            let (place, timestamp) = target.extend(partition, &record, tx.now)?;
            let headers = fetch::encode_headers(&record.headers);
            insert.execute((place, timestamp, record.key, record.value, headers))?;
        }
        for target in targets.values() {
            target.close(tx)?;
        }
        Ok(refused)
    }

    /// The topics that occur, each as it stands in this transaction.
    fn targets(&self, tx: &Tx<'_>) -> Result<HashMap<&str, Target>, Fault> {
        let mut targets = HashMap::new();
        let mut last = None;
        for record in self.batch.records() {
            if last == Some(record.topic) || targets.contains_key(record.topic) {
                continue;
            }
            let Some(topic) = load_topic(tx.db, record.topic, &tx.defaults)? else { return Err(unknown(record.topic).into()) };
            targets.insert(record.topic, Target { topic, tails: HashMap::new() });
            last = Some(record.topic);
        }
        Ok(targets)
    }

    fn refused(&self, targets: &HashMap<&str, Target>) -> Vec<Refused> {
        let too_large = |(index, record): (usize, Record<'_>)| {
            let limit = targets.get(record.topic)?.topic.limits.max_record;
            let size = size(&record);
            let reason = || format!("{size} bytes; topic `{}` takes at most {limit} (`max.message.bytes`)", record.topic);
            (size > limit).then(|| Refused { index, code: OVERSIZE, reason: reason() })
        };
        self.batch.records().enumerate().filter_map(too_large).collect()
    }
}

fn unknown(topic: &str) -> LogError {
    LogError::Fatal(format!(
        "there is no topic `{topic}`: add `[topic.\"{topic}\"]` to the configuration (topics that a route names by a field or a pattern are not made by themselves), with `create = true`, the default here"
    ))
}

/// A place of origin that a record brings along has no meaning: the key decides.
fn partition(tx: &Tx<'_>, record: &Record<'_>, partitions: i32) -> i32 {
    record.key.map_or_else(|| tx.spread.borrow_mut().next(partitions), |key| partition_of_key(key, partitions))
}

/// Bytes of key, value and headers.
fn size(record: &Record<'_>) -> u64 {
    let headers = record.headers.iter().map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len)).sum::<usize>();
    let size = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len) + headers;
    u64::try_from(size).unwrap_or(u64::MAX)
}

impl Target {
    /// Takes the next place of the partition for this record; answers it and the record's timestamp.
    fn extend(&mut self, partition: i32, record: &Record<'_>, now: i64) -> Result<(i64, i64), Fault> {
        let ends = self.topic.partition(partition).ok_or_else(|| Fault::damaged("a topic without its partitions"))?;
        let new = || Tail { stream: ends.stream, first: ends.high, next: ends.high, bytes: 0, max_timestamp: i64::MIN };
        let tail = self.tails.entry(partition).or_insert_with(new);
        let timestamp = if record.timestamp < 0 { now } else { record.timestamp };
        let place = fetch::place(tail.stream, tail.next)?;
        tail.next += 1;
        tail.bytes = tail.bytes.saturating_add_unsigned(size(record));
        tail.max_timestamp = tail.max_timestamp.max(timestamp);
        Ok((place, timestamp))
    }

    /// Writes the new ends and chunks, and lets retention go over partitions that opened a chunk.
    fn close(&self, tx: &Tx<'_>) -> Result<(), Fault> {
        for tail in self.tails.values() {
            let mut ends = tx.db.prepare_cached("UPDATE partitions SET high = ?2 WHERE stream = ?1")?;
            ends.execute((tail.stream, tail.next))?;
            let age = self.topic.limits.retention_ms.map_or(CHUNK_MS, |ms| CHUNK_MS.min(ms / 8));
            if !tail.extend_chunk(tx, age)? {
                tail.open_chunk(tx.db, tx.now)?;
                retention::enforce(tx, &self.topic.limits, tail.stream)?;
            }
        }
        tx.touch(&Arc::clone(&self.topic.name));
        Ok(())
    }
}

impl Tail {
    /// False: the last chunk is full, too old, or there is none.
    fn extend_chunk(&self, tx: &Tx<'_>, age: i64) -> Result<bool, Fault> {
        let mut last = tx.db.prepare_cached(
            "SELECT first FROM chunks WHERE stream = ?1 AND next = ?2 AND bytes < ?3 AND opened_at > ?4 ORDER BY first DESC LIMIT 1",
        )?;
        let young = tx.now.saturating_sub(age);
        let first: Option<i64> = last.query_row((self.stream, self.first, CHUNK_BYTES, young), |row| row.get(0)).optional()?;
        let Some(first) = first else { return Ok(false) };
        let mut extend = tx.db.prepare_cached(
            "UPDATE chunks SET next = ?3, bytes = bytes + ?4, appended_at = ?5, max_timestamp = max(max_timestamp, ?6)
             WHERE stream = ?1 AND first = ?2",
        )?;
        extend.execute((self.stream, first, self.next, self.bytes, tx.now, self.max_timestamp))?;
        Ok(true)
    }

    fn open_chunk(&self, db: &Connection, now: i64) -> Result<(), Fault> {
        let mut insert = db.prepare_cached("INSERT INTO chunks VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)")?;
        insert.execute((self.stream, self.first, self.next, self.bytes, now, self.max_timestamp))?;
        Ok(())
    }
}
