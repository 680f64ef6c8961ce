//! Positions of sources in a compacted topic, `wharf.<name>.positions`: how an entry looks, and reading all of them.
//!
//! Keys: `{"source":"s","slice":"…"}` for a position, `{"source":"s","claim":0}` for the owner of task 0, `{"source":"s"}` once
//! an owner has given the source back.
//! Values: `{"place":"base64","log":"cluster id","worker":"…","epoch":1,"topic":"its id"}`; a claim has no place. The id is that
//! of the topic which the writer took the source over in: in a topic that was made anew under it, its entries tell that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};

use super::admin::{Admin, offsets};
use super::client::{Overrides, Plain, Properties, Voice, misconfigured};
use super::fault::fault;
use crate::topic_log::{LogError, Position, SourceOwner, TopicPartition, TopicSpec};

/// Longest wait for another source's open transaction to end, and for the end of the topic.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(20);
/// A wait that is longer than this is told.
const TELL: Duration = Duration::from_secs(10);

#[derive(Debug, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Key {
    source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slice: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claim: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Value {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    log: String,
    worker: String,
    epoch: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
}

/// Who writes positions: a worker's life, told apart by when it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) log: String,
    pub(super) worker: String,
    pub(super) epoch: i64,
    /// Id of the topic that it took the source over in, where that is known.
    pub(super) topic: Option<String>,
}

/// An entry as a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sign {
    /// -1: there is none.
    pub(super) offset: i64,
    /// Milliseconds since the epoch, by the clock of who wrote it or of the broker.
    time: Option<i64>,
}

impl Sign {
    /// In words; where the entry tells no time, from when it was seen first.
    pub(super) fn ago(self, seen: Instant) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let then = self.time.and_then(|time| u64::try_from(time).ok()).map(Duration::from_millis);
        let ago = then.map_or_else(|| seen.elapsed(), |then| now.saturating_sub(then));
        format!("{} s ago", ago.as_secs())
    }
}

/// All that the topic says about one source.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) positions: Vec<Position>,
    /// By task: the owner that claimed it last.
    pub(super) claims: BTreeMap<u32, Stamp>,
    /// The source's last entry: it moves while an owner lives.
    pub(super) last: Sign,
    /// Slices whose position belongs to another cluster.
    pub(super) foreign: Vec<String>,
    /// Ids of the topics that the writers of its entries took the source over in.
    pub(super) topics: BTreeSet<String>,
}

/// Key and value of one entry to write; no value forgets the key.
pub(super) type Entry = (Vec<u8>, Option<Vec<u8>>);

pub(super) use crate::topic_log::positions_topic as topic;

pub(super) fn spec(deployment: &str) -> TopicSpec {
    let config = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
    TopicSpec { name: topic(deployment), partitions: 1, replication: -1, config }
}

pub(super) fn position_entry(owner: &SourceOwner, stamp: &Stamp, position: &Position) -> Result<Entry, LogError> {
    let key = Key { source: owner.source.clone(), slice: Some(position.slice.clone()), claim: None };
    let place = (!position.place.is_empty()).then(|| STANDARD.encode(&position.place));
    entry(&key, place.map(|place| value(stamp, Some(place))).as_ref())
}

pub(super) fn claim_entry(owner: &SourceOwner, task: u32, stamp: Option<&Stamp>) -> Result<Entry, LogError> {
    let key = Key { source: owner.source.clone(), slice: None, claim: Some(task) };
    entry(&key, stamp.map(|stamp| value(stamp, None)).as_ref())
}

/// The source was taken over in this topic once, though nobody claims it and no position is left.
pub(super) fn taken_entry(owner: &SourceOwner, stamp: &Stamp) -> Result<Entry, LogError> {
    let key = Key { source: owner.source.clone(), slice: None, claim: None };
    entry(&key, Some(&value(stamp, None)))
}

fn value(stamp: &Stamp, place: Option<String>) -> Value {
    let Stamp { log, worker, epoch, topic } = stamp.clone();
    Value { place, log, worker, epoch, topic }
}

fn entry(key: &Key, value: Option<&Value>) -> Result<Entry, LogError> {
    let failed = |error| LogError::Fatal(format!("a position cannot be written as JSON: {error}"));
    Ok((serde_json::to_vec(key).map_err(failed)?, value.map(serde_json::to_vec).transpose().map_err(failed)?))
}

/// Reads the topic up to what its end is now. Call it after the transactions of predecessors are over: an open one of another
/// source hides what was committed behind it, so this waits until no open one is left below the end. Blocks.
pub(super) fn read(
    admin: &Admin,
    properties: &Properties,
    deployment: &str,
    source: &str,
    log: &str,
) -> Result<Stored, LogError> {
    let topic = topic(deployment);
    let at = TopicPartition { topic: topic.as_str().into(), partition: 0 };
    let end = admin.ends(std::slice::from_ref(&at))?.first().map_or(0, |(_, high)| *high);
    let mut stored = Stored {
        positions: Vec::new(),
        claims: BTreeMap::new(),
        last: Sign { offset: -1, time: None },
        foreign: Vec::new(),
        topics: BTreeSet::new(),
    };
    if end == 0 {
        return Ok(stored);
    }
    let mut config = properties.consumer(&topic, &Overrides::new());
    config.set("fetch.wait.max.ms", "10");
    let voice = Plain(Voice::new(format!("positions of {source}")));
    let consumer: BaseConsumer<Plain> = config.create_with_context(voice).map_err(|e| misconfigured(&e))?;
    let deadline = Instant::now() + PATIENCE;
    await_stable(&consumer, &at, end, deadline)?;
    let mut list = TopicPartitionList::new();
    let what = format!("reading `{topic}`");
    list.add_partition_offset(&topic, 0, Offset::Beginning).map_err(|e| fault(&what, &e))?;
    consumer.assign(&list).map_err(|e| fault(&what, &e))?;
    let mut latest = BTreeMap::new();
    loop {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => stored.last = note(&mut latest, &message, source)?.unwrap_or(stored.last),
            // What was stable before the assignment lies below this end.
            Some(Err(KafkaError::PartitionEOF(_))) => break,
            Some(Err(error @ (KafkaError::MessageConsumptionFatal(_) | KafkaError::MessageConsumption(_)))) => {
                tracing::debug!(topic, %error, "reading positions");
            }
            Some(Err(error)) => return Err(fault(&what, &error)),
            None => {}
        }
        if Instant::now() > deadline {
            return Err(LogError::Retry(format!("{what}: its end was not reached within {PATIENCE:?}")));
        }
    }
    for (key, value) in latest {
        stored.take(key, value, log)?;
    }
    Ok(stored)
}

/// Waits until everything below `end` is committed or aborted.
fn await_stable(consumer: &BaseConsumer<Plain>, at: &TopicPartition, end: i64, deadline: Instant) -> Result<(), LogError> {
    let mut told = false;
    loop {
        let stable = offsets(consumer, std::slice::from_ref(at), Offset::End)?.first().copied().unwrap_or(0);
        if stable >= end {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(LogError::Retry(format!(
                "an open transaction hides positions in `{}` from offset {stable} on, for {PATIENCE:?} by now; one that its \
                 timeout does not end hangs: `kafka-transactions.sh find-hanging` names it, and `abort` ends it",
                at.topic
            )));
        }
        if !told && deadline.saturating_duration_since(Instant::now()) < PATIENCE - TELL {
            told = true;
            tracing::warn!(topic = %at.topic, from = stable, "waiting for the end of an open transaction that hides positions");
        }
        std::thread::sleep(LOOK);
    }
}

/// Its offset, where it is one of the source.
fn note(latest: &mut BTreeMap<Key, Value>, message: &BorrowedMessage<'_>, source: &str) -> Result<Option<Sign>, LogError> {
    let sign = Sign { offset: message.offset(), time: message.timestamp().to_millis() };
    let Ok(key) = serde_json::from_slice::<Key>(message.key().unwrap_or_default()) else {
        tracing::warn!(topic = message.topic(), offset = message.offset(), "not an entry of Wharf's positions; it is left alone");
        return Ok(None);
    };
    if key.source != source {
        return Ok(None);
    }
    let Some(value) = message.payload() else {
        latest.remove(&key);
        return Ok(Some(sign));
    };
    let value = serde_json::from_slice(value).map_err(|error| unreadable(message, &error))?;
    latest.insert(key, value);
    Ok(Some(sign))
}

/// Going on without it would read everything again in silence.
fn unreadable(message: &BorrowedMessage<'_>, error: &dyn std::fmt::Display) -> LogError {
    let (topic, offset) = (message.topic(), message.offset());
    LogError::Fatal(format!(
        "the position at offset {offset} of `{topic}` cannot be read ({error}): write null under its key to forget it"
    ))
}

impl Stored {
    fn take(&mut self, key: Key, value: Value, log: &str) -> Result<(), LogError> {
        if value.log == log {
            self.topics.extend(value.topic.clone());
        }
        match (key.slice, key.claim) {
            (Some(slice), _) if value.log != log => self.foreign.push(slice),
            (Some(slice), _) => {
                let place = STANDARD.decode(value.place.unwrap_or_default());
                let failed = |error| LogError::Fatal(format!("the stored position of `{slice}` is not base64: {error}"));
                let place = place.map_err(failed)?;
                self.positions.push(Position { slice, place });
            }
            (None, Some(task)) => {
                let Value { log, worker, epoch, topic, .. } = value;
                self.claims.insert(task, Stamp { log, worker, epoch, topic });
            }
            (None, None) => {}
        }
        Ok(())
    }
}
