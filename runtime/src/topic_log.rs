//! The topic log seam: what pipelines need of a log of topics, in two implementations chosen at start:
//! Kafka (`topic_log/kafka.rs`) and the embedded one, a SQLite file (`topic_log/embedded.rs`).
//! Owns the words and the rules both must keep; holds no connector logic.
//!
//! Rules, held by one test suite that runs against both:
//! - [`SourceLog::append`] is atomic: records and positions appear together or not at all.
//! - A second owner of a source task fences the first: its next `append` fails with [`LogError::Fenced`].
//! - [`SinkLog::commit`] is refused for a partition that the lane no longer owns.
//! - Of a partition that is held nothing is handed out, and nothing of it is lost.
//! - Keys go to `murmur2(key) & 0x7fffffff % partitions`, as the Java client does; null keys spread.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::batch::Batch;
use crate::config::SourceConfig;

pub mod embedded;
pub mod kafka;
mod mark;
#[cfg(feature = "chaos")]
mod mutant;
mod name;
pub mod open;
pub mod partitioner;
pub mod places;
mod wanted;

pub use mark::Mark;
pub use name::is_topic_name;
pub use wanted::Wanted;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// A place in an outside system: `slice` names an independent stream, `place` is opaque. An empty place forgets the slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub slice: String,
    pub place: Vec<u8>,
}

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    pub name: String,
    pub partitions: i32,
    pub replication: i32,
    /// Topic configuration by Kafka's names (`cleanup.policy`, `retention.ms`, …).
    pub config: BTreeMap<String, String>,
}

/// A topic that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    pub name: String,
    /// Changes when a topic is deleted and created again.
    pub id: String,
    pub partitions: Vec<PartitionInfo>,
}

/// First offset kept (`low`) and next offset to be written (`high`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionInfo {
    pub partition: i32,
    pub low: i64,
    pub high: i64,
}

/// Where reading begins when no offset exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    #[default]
    Earliest,
    Latest,
    /// The first record at or after this time, in milliseconds since the epoch.
    At(i64),
}

/// Which topics a sink or a reader takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicSelection {
    Names(Vec<String>),
    /// A regular expression over whole topic names; new topics that match are taken up at run time.
    Pattern(String),
}

/// One task of a source as an owner of its positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceOwner {
    /// Name of the deployment (`name` in the TOML).
    pub deployment: String,
    pub source: String,
    pub task: u32,
    pub tasks: u32,
    /// False: idempotent producer, position written after the records are acknowledged.
    pub exactly_once: bool,
    /// librdkafka properties of this connector (over those of `[kafka]`).
    pub properties: BTreeMap<String, String>,
}

impl SourceOwner {
    /// A task of a configured source.
    #[must_use]
    pub fn of(deployment: &str, source: &SourceConfig, task: u32) -> Self {
        Self {
            deployment: deployment.to_owned(),
            source: source.connector.name.clone(),
            task,
            tasks: source.connector.tasks,
            exactly_once: source.exactly_once,
            properties: source.connector.kafka_properties(),
        }
    }
}

/// A sink as a consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkSpec {
    pub deployment: String,
    pub sink: String,
    pub topics: TopicSelection,
    /// Where its dead letters go.
    pub dead_letters: Option<String>,
    /// Number of lanes that share the one consumer.
    pub tasks: u32,
    pub start: Start,
    pub properties: BTreeMap<String, String>,
}

impl SinkSpec {
    /// Its [`group_of`].
    #[must_use]
    pub fn group(&self) -> String {
        group_of(&self.deployment, &self.sink)
    }
}

/// The consumer group of a sink, `wharf.<name>.<sink>`.
#[must_use]
pub fn group_of(deployment: &str, sink: &str) -> String {
    format!("wharf.{deployment}.{sink}")
}

/// Where sources keep their positions on Kafka.
#[must_use]
pub fn positions_topic(deployment: &str) -> String {
    format!("wharf.{deployment}.positions")
}

/// Bounds of one batch: whichever is reached first closes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    pub records: usize,
    pub bytes: usize,
    /// Time to wait for more after the first record.
    pub linger: Duration,
}

/// A partition that a lane may now read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub partition: TopicPartition,
    pub topic_id: String,
    /// The group's committed offset, where there is one.
    pub committed: Option<i64>,
    /// It was committed by [`SinkLog::follow`].
    pub followed: bool,
    /// First and next offset of the partition when it was assigned.
    pub low: i64,
    pub high: i64,
}

/// What a sink's lane sees, one at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkEvent {
    /// Records of one or more of this lane's partitions, in order within each; never empty.
    Records(Batch),
    /// New partitions of this lane (only the added ones). Nothing of them is delivered before [`SinkLog::begin`].
    Assigned(Vec<Assignment>),
    /// These partitions are about to go: finish or drop what is in flight, commit, then call [`SinkLog::release`].
    Revoked(Vec<TopicPartition>),
    /// The log does not have the next offset. That partition does not flow on until [`SinkLog::begin`] says where.
    OutOfRange(TopicPartition, Lost),
    /// Nothing came within the wait.
    Idle,
}

/// Where a partition ends, as last known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The offset after everything in the log, uncommitted records and markers of transactions included.
    pub log: i64,
    /// The offset after the last record; the same as `log` where it is not known what lies between.
    pub records: i64,
}

/// Why the log does not have the offset to read next; the texts are for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// Retention removed so many records (offsets) that had not been read; `low` is the first offset kept.
    Removed { low: i64, records: u64, text: String },
    /// The log ends before it, or did when it was last read: records were lost there, or it is another log or topic. The log
    /// remembers it, until the group's offset is moved: by the next start it may have grown past that place.
    PastTheEnd(String),
}

impl Lost {
    /// Of a partition that had stopped in an earlier run.
    fn still_past_the_end(at: &TopicPartition, group: &str, offset: i64, high: i64) -> Self {
        Self::PastTheEnd(format!(
            "{at}: group `{group}` stands at offset {offset}, which the log had not reached when this partition stopped. It ends at \
             {high} now, and what stands before offset {offset} by now was never read"
        ))
    }

    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Removed { text, .. } | Self::PastTheEnd(text) => text,
        }
    }
}

/// A record that the log refused for what it is (too large, for example), by its index in the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub index: usize,
    /// Of its dead letter.
    pub code: &'static str,
    pub reason: String,
}

/// Failures of a log, by what the caller has to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Nothing took effect, or the same call may be repeated without harm: repeat it with backoff.
    #[error("{0}")]
    Retry(String),
    /// Another owner took over, or the transaction timed out: build the owner anew and read positions again.
    #[error("fenced: {0}")]
    Fenced(String),
    /// A newer owner has claimed the source task: leave it alone, and look again from time to time.
    #[error("standing by: {0}")]
    Standby(String),
    /// The lane no longer owns these partitions: drop what is in flight for them.
    #[error("no longer the owner of {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    NotOwner(Vec<TopicPartition>),
    /// It cannot work until someone changes something; the text says what.
    #[error("{0}")]
    Fatal(String),
}

/// A log of topics.
#[async_trait]
pub trait TopicLog: places::Places {
    /// Identity of the log: Kafka's cluster id, or the UUID of the embedded file. Stored offsets of another log are never used.
    async fn id(&self) -> Result<String, LogError>;
    /// Creates those that do not exist; one that exists is left as it is.
    async fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError>;
    /// All topics whose names are not internal to Kafka, by name.
    async fn topics(&self) -> Result<Vec<TopicInfo>, LogError>;
    /// Those of the named topics that exist.
    async fn find_topics(&self, names: &[&str]) -> Result<Vec<TopicInfo>, LogError>;
    /// How long a topic keeps a record, counted from the record's own time; `None`: that time does not count there, it keeps records
    /// for ever, or this user may not know.
    async fn age_limit(&self, _topic: &str) -> Result<Option<Duration>, LogError> {
        Ok(None)
    }
    /// Whether a topic keeps the last record of a key alone; false also where this user may not know.
    async fn is_compacted(&self, _topic: &str) -> Result<bool, LogError> {
        Ok(false)
    }
    /// Becomes the owner of a source task: fences a predecessor and reads the positions of the whole source.
    async fn source(&self, owner: &SourceOwner) -> Result<Box<dyn SourceLog>, LogError>;
    /// Joins the sink's group; one lane a task, in task order.
    async fn sink(&self, spec: &SinkSpec) -> Result<Vec<Box<dyn SinkLog>>, LogError>;
    /// Appends records, each to its own topic, and returns when all are durable: for a sink's dead letters.
    async fn append(&self, records: &Batch) -> Result<Vec<Refused>, LogError>;
    /// Whether the log answers at all, and where these partitions end; those whose end is not known are left out. Unlike all
    /// else here it waits for a few seconds at most.
    async fn look(&self, partitions: &[TopicPartition]) -> Result<BTreeMap<TopicPartition, i64>, LogError>;
    /// Reads a topic outside any group, from a place in each partition; for `topic cat`.
    async fn read(&self, topic: &str, from: Start) -> Result<Box<dyn TopicReader>, LogError>;
}

/// The log as the owner of one source task sees it.
#[async_trait]
pub trait SourceLog: Send {
    /// Positions of the whole source (all tasks), as stored when this owner took over.
    fn positions(&self) -> &[Position];
    /// Appends records (each to its own topic, dead letters among them) and moves positions, in one transaction.
    /// An answer that is not empty means that nothing was written: those records can never be, the caller must replace them.
    /// Transient faults are retried inside for as long as the log's own timeouts say. The batch is shared, as it is sent from where it
    /// lies, also by a call that nobody waits for any more.
    async fn append(&mut self, records: &Arc<Batch>, positions: &[Position]) -> Result<Vec<Refused>, LogError>;
    /// Waits until this is the owner no longer, and says why; for ever where that is told by `append` alone. Cancel-safe.
    async fn lost(&mut self) -> LogError {
        std::future::pending().await
    }
    /// Gives the task up for good, so that a worker that stands by takes over at once.
    async fn release(&mut self) -> Result<(), LogError> {
        Ok(())
    }
}

/// The log as one lane of a sink sees it. Dropping a lane leaves the group when it was the last.
#[async_trait]
pub trait SinkLog: Send {
    /// The next event, waiting at most `wait` for the first record. Cancel-safe: a dropped call loses nothing.
    async fn next(&mut self, limits: BatchLimits, wait: Duration) -> Result<SinkEvent, LogError>;
    /// Asked after [`SinkEvent::Idle`]: every partition of this lane has been read to its end, but for those that were told to be
    /// out of range and stand still since. Never while one is held. Asks the log, so only for whoever wants to end there.
    async fn caught_up(&mut self) -> Result<bool, LogError>;
    /// Where to go on: for each assigned partition the offset to read next.
    async fn begin(&mut self, starts: &[(TopicPartition, i64)]) -> Result<(), LogError>;
    /// Commits offsets: for each partition the next one to read.
    async fn commit(&mut self, offsets: &[(TopicPartition, i64)]) -> Result<(), LogError>;
    /// The same for offsets that the target's database decides on, for tools that show lag: the log keeps that they are copies.
    async fn follow(&mut self, offsets: &[(TopicPartition, i64)]) -> Result<(), LogError>;
    /// Nothing more is read of an assigned partition that was not begun; the others do not wait for it.
    fn stop(&mut self, partition: &TopicPartition);
    /// That [`Lost::PastTheEnd`] was told of a partition outlives this process, where the log may have grown past its place by the next
    /// start. It commits that place: called when all that was read before it is done.
    async fn keep_stopped(&mut self, partition: &TopicPartition) -> Result<(), LogError>;
    /// Reads again from these offsets: what was fetched beyond them is dropped.
    async fn seek(&mut self, offsets: &[(TopicPartition, i64)]) -> Result<(), LogError>;
    /// Nothing of these partitions is handed out until [`SinkLog::resume`]; their queues are not polled, and the others flow on.
    /// One that is sought, begun anew or given back is held no more. One that the lane does not own is passed over.
    fn hold(&mut self, partitions: &[TopicPartition]);
    /// Held partitions go on where they were.
    fn resume(&mut self, partitions: &[TopicPartition]);
    /// Whether partitions of these records may be another owner's by now, as the group did not wait any longer for this lane, or as
    /// this process stood still. Asked before each write. What is known here is looked at, nobody is asked. [`SinkEvent::Revoked`]
    /// follows for those that went.
    fn has_lost(&mut self, _records: &Batch) -> bool {
        false
    }
    /// Gives back partitions after [`SinkEvent::Revoked`].
    async fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError>;
    /// Offset to read when a partition has none: what `start` means for it now.
    async fn resolve_start(&mut self, partition: &TopicPartition) -> Result<i64, LogError>;
    /// The group that has yet to say what is this lane's. `None`: it has, be it nothing, and [`SinkLog::next`] has told all of it.
    fn awaits_group(&self) -> Option<&str>;
    /// Where each owned partition ends, as last known.
    fn ends(&self) -> Vec<(TopicPartition, End)>;
}

/// A reader outside any group.
#[async_trait]
pub trait TopicReader: Send {
    /// The next records, at most about 1,000; an empty batch: the end was reached and nothing came within `wait`.
    async fn next(&mut self, wait: Duration) -> Result<Batch, LogError>;
}
