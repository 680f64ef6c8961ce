//! What topics there are, where their partitions begin and end, and what their configuration means here. Read from the
//! file by the writer, held in memory by everyone who waits for records.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row};

use super::fault::Fault;
use crate::topic_log::{LogError, PartitionInfo, TopicInfo, TopicPartition};

/// Largest record where a topic sets no `max.message.bytes`: well below what SQLite can hold (1 GB).
const MAX_RECORD: u64 = 128 << 20;

/// All topics at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Catalog {
    pub(super) topics: BTreeMap<Arc<str>, Arc<Topic>>,
}

#[derive(Debug, Clone)]
pub(super) struct Topic {
    pub(super) number: i64,
    pub(super) name: Arc<str>,
    pub(super) id: String,
    pub(super) limits: Limits,
    /// In order of their numbers, from 0.
    pub(super) partitions: Vec<Partition>,
}

/// `stream` numbers the partition in the whole file and is never used again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Partition {
    pub(super) stream: i64,
    pub(super) low: i64,
    pub(super) high: i64,
}

/// What a topic's configuration means here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Milliseconds since the append.
    pub(super) retention_ms: Option<i64>,
    /// Bytes in each partition.
    pub(super) retention_bytes: Option<i64>,
    /// Key, value and headers of one record.
    pub(super) max_record: u64,
}

/// Limits of topics that set none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Defaults {
    retention_ms: Option<i64>,
    retention_bytes: Option<i64>,
}

impl Defaults {
    /// A limit beyond 2^63 is none.
    pub(super) fn new(retention: Option<Duration>, retention_bytes: Option<u64>) -> Self {
        Self {
            retention_ms: retention.and_then(|d| i64::try_from(d.as_millis()).ok()),
            retention_bytes: retention_bytes.and_then(|b| i64::try_from(b).ok()),
        }
    }
}

impl Limits {
    /// Reads Kafka's names; unknown ones have no meaning here. The error names the key and what was expected.
    pub(super) fn parse(config: &BTreeMap<String, String>, defaults: &Defaults) -> Result<Self, String> {
        let number = |name: &str| match config.get(name).map(|text| text.trim().parse::<i64>()) {
            None => Ok(None),
            Some(Ok(number)) if number >= -1 => Ok(Some(number)),
            Some(_) => Err(format!("`{name}` must be a whole number, or -1 for no limit")),
        };
        let limit = |name, default| Ok::<_, String>(number(name)?.map_or(default, |n| (n >= 0).then_some(n)));
        let policy = config.get("cleanup.policy").map_or("delete", String::as_str);
        let deletes = policy.split(',').any(|word| word.trim() == "delete");
        let max_record = number("max.message.bytes")?.and_then(|n| u64::try_from(n).ok()).unwrap_or(MAX_RECORD);
        Ok(Self {
            retention_ms: limit("retention.ms", defaults.retention_ms)?.filter(|_| deletes),
            retention_bytes: limit("retention.bytes", defaults.retention_bytes)?.filter(|_| deletes),
            max_record,
        })
    }
}

impl Topic {
    /// `partition` counts from 0.
    pub(super) fn partition(&self, partition: i32) -> Option<Partition> {
        usize::try_from(partition).ok().and_then(|index| self.partitions.get(index)).copied()
    }

    pub(super) fn count(&self) -> i32 {
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }

    /// The partitions with their numbers.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (i32, Partition)> + '_ {
        (0..).zip(self.partitions.iter().copied())
    }

    pub(super) fn info(&self) -> TopicInfo {
        let partitions = self.numbered().map(|(partition, p)| PartitionInfo { partition, low: p.low, high: p.high }).collect();
        TopicInfo { name: self.name.to_string(), id: self.id.clone(), partitions }
    }
}

impl Catalog {
    /// Everything, from the file.
    pub(super) fn load(db: &Connection, defaults: &Defaults) -> Result<Self, Fault> {
        let snapshot = db.unchecked_transaction()?;
        let mut names = snapshot.prepare_cached("SELECT name FROM topics")?;
        let names = names.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
        let mut catalog = Self::default();
        for name in names {
            if let Some(topic) = load_topic(db, &name, defaults)? {
                catalog.topics.insert(Arc::clone(&topic.name), Arc::new(topic));
            }
        }
        Ok(catalog)
    }

    pub(super) fn ends(&self, place: &TopicPartition) -> Option<Partition> {
        self.topics.get(&place.topic)?.partition(place.partition)
    }
}

/// One topic as it stands in the file, or none of that name.
pub(super) fn load_topic(db: &Connection, name: &str, defaults: &Defaults) -> Result<Option<Topic>, Fault> {
    let mut query = db.prepare_cached("SELECT number, id, config FROM topics WHERE name = ?1")?;
    let columns = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?));
    let Some((number, id, config)) = query.query_row([name], columns).optional()? else { return Ok(None) };
    let config = serde_json::from_str(&config).map_err(|_| Fault::damaged("a topic's configuration that is no JSON"))?;
    let limits = Limits::parse(&config, defaults).map_err(|text| LogError::Fatal(format!("topic `{name}`: {text}")))?;
    let mut query = db.prepare_cached("SELECT stream, low, high FROM partitions WHERE topic = ?1 ORDER BY partition")?;
    let columns = |row: &Row<'_>| Ok(Partition { stream: row.get(0)?, low: row.get(1)?, high: row.get(2)? });
    let partitions = query.query_map([number], columns)?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(Some(Topic { number, name: Arc::from(name), id, limits, partitions }))
}

/// The last stream there was when this group began at the end of its topics; noted at its first call.
pub(super) fn begun(db: &Connection, group: &str) -> Result<i64, Fault> {
    let name = format!("begun {group}");
    db.execute("INSERT OR IGNORE INTO meta SELECT ?1, coalesce(max(stream), 0) FROM partitions", [&name])?;
    Ok(db.query_row("SELECT value FROM meta WHERE name = ?1", [&name], |row| row.get(0))?)
}
