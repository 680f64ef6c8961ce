//! The embedded log: topics in one SQLite file under `state-dir`, for deployments without Kafka. Owns the file; holds no
//! connector logic and locks no folder (the supervisor does).
//!
//! One thread writes (`embedded/writer.rs`): a call is one savepoint, and the calls that wait together share one commit.
//! Reading goes through a few connections of its own (`embedded/readers.rs`) and never waits for a writer (WAL).
//! After each commit the writer publishes the topics' ends (`embedded/catalog.rs`); whoever waits for records waits for that.
//!
//! Differences from Kafka, all deliberate: retention counts age from the append, not from the record's own timestamp (a
//! first load of old documents must not vanish on arrival); `cleanup.policy=compact` keeps every record (nothing is
//! compacted, and retention does not apply); a group has one member, and a newer `sink` call of its group takes over.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use self::append::AppendJob;
use self::catalog::{Catalog, Defaults, Topic};
use self::readers::Readers;
use self::writer::Writer;
use super::{
    LogError, Refused, SinkLog, SinkSpec, SourceLog, SourceOwner, Start, TopicInfo, TopicLog, TopicPartition, TopicReader,
    TopicSpec,
};
use crate::batch::Batch;

mod append;
mod catalog;
mod commit;
mod create;
mod fault;
mod fetch;
mod lane;
mod owner;
mod places;
mod reader;
mod readers;
mod retention;
mod schema;
mod writer;

#[cfg(test)]
mod tests;

/// Name of the log's file under `state-dir`. SQLite keeps `-wal` and `-shm` files beside it while it is open.
pub const FILE: &str = "log.sqlite";

/// How often a process that only reads looks for new records of the one that writes.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The topic log in one SQLite file.
#[derive(Debug)]
pub struct EmbeddedLog {
    shared: Arc<Shared>,
}

/// What the log and everything that it handed out share. The last one to go closes the file.
pub(crate) struct Shared {
    path: PathBuf,
    id: String,
    /// `None`: opened for reading only.
    writer: Option<Writer>,
    readers: Arc<Readers>,
    catalog: Arc<watch::Sender<Arc<Catalog>>>,
    groups: Arc<Groups>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("path", &self.path).field("id", &self.id).finish_non_exhaustive()
    }
}

/// Which join of each group is the newest: lanes of an older one no longer own anything.
#[derive(Debug, Default)]
struct Groups(Mutex<BTreeMap<String, Join>>);

/// The newest join of a group; its lanes hold `alive`.
#[derive(Debug, Default)]
struct Join {
    number: u64,
    alive: Weak<()>,
}

impl Groups {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Join>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self, group: &str) -> (u64, Arc<()>) {
        let alive = Arc::new(());
        let mut groups = self.lock();
        let newest = groups.entry(group.to_owned()).or_default();
        *newest = Join { number: newest.number + 1, alive: Arc::downgrade(&alive) };
        (newest.number, alive)
    }

    /// The newest join has lanes that are not all gone.
    fn is_joined(&self, group: &str) -> bool {
        self.lock().get(group).is_some_and(|newest| newest.alive.strong_count() > 0)
    }

    fn is_newest(&self, group: &str, join: u64) -> bool {
        self.lock().get(group).is_some_and(|newest| newest.number == join)
    }
}

impl EmbeddedLog {
    /// Opens the log under `state_dir`, and makes folder and file where they are missing. `retention` (age since the append)
    /// and `retention_bytes` (of keys, values and headers, per partition) hold for topics that set no `retention.ms` or
    /// `retention.bytes` of their own; `None`: no limit. Blocks for some milliseconds; call it once, at start.
    ///
    /// # Errors
    /// [`LogError::Fatal`] where the file is foreign, damaged, of a newer version or not writable, with what to do;
    /// [`LogError::Retry`] where the disk is full or another process holds the file.
    pub fn open(state_dir: &Path, retention: Option<Duration>, retention_bytes: Option<u64>) -> Result<Self, LogError> {
        let path = state_dir.join(FILE);
        let defaults = Defaults::new(retention, retention_bytes);
        let (db, id) = schema::open(&path)?;
        let catalog = Catalog::load(&db, &defaults).map_err(|fault| fault.at(&path))?;
        let catalog = Arc::new(watch::Sender::new(Arc::new(catalog)));
        let readers = Arc::new(Readers::new(path.clone()));
        let writer = Writer::start(db, path.clone(), defaults, Arc::clone(&catalog))?;
        let shared = Shared { path, id, writer: Some(writer), readers, catalog, groups: Arc::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Opens the log of a worker that may be running, to look at it: [`TopicLog::id`], [`TopicLog::topics`] and
    /// [`TopicLog::read`] work and see new records; everything else is refused.
    ///
    /// # Errors
    /// [`LogError::Fatal`] where there is no log, or not one of this version.
    pub fn open_read_only(state_dir: &Path) -> Result<Self, LogError> {
        let path = state_dir.join(FILE);
        let (db, id) = schema::open_read_only(&path)?;
        let catalog = Catalog::load(&db, &Defaults::default()).map_err(|fault| fault.at(&path))?;
        let catalog = Arc::new(watch::Sender::new(Arc::new(catalog)));
        let readers = Arc::new(Readers::new(path.clone()));
        let shared = Shared { path, id, writer: None, readers, catalog, groups: Arc::default() };
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Shared {
    fn writer(&self) -> Result<&Writer, LogError> {
        self.writer.as_ref().ok_or_else(|| LogError::Fatal(format!("`{}` was opened for reading only", self.path.display())))
    }

    fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.catalog.borrow().topics.get(name).cloned()
    }

    /// Loads the catalog anew where no writer of this process publishes it.
    async fn look_again(&self) -> Result<(), LogError> {
        if self.writer.is_none() {
            let catalog = self.readers.run(|db| Catalog::load(db, &Defaults::default())).await?;
            self.catalog.send_replace(Arc::new(catalog));
        }
        Ok(())
    }

    /// Waits for the next change of the catalog, or until `until`: false when that came first. Cancel-safe, as
    /// `watch::Receiver::changed` and `sleep` are.
    async fn changed(&self, seen: &mut watch::Receiver<Arc<Catalog>>, until: tokio::time::Instant) -> Result<bool, LogError> {
        if self.writer.is_some() {
            return Ok(tokio::time::timeout_at(until, seen.changed()).await.is_ok());
        }
        let now = tokio::time::Instant::now();
        if now >= until {
            return Ok(false);
        }
        tokio::time::sleep_until(until.min(now + LOOK_AGAIN)).await;
        self.look_again().await?;
        Ok(true)
    }
}

#[async_trait]
impl TopicLog for EmbeddedLog {
    async fn id(&self) -> Result<String, LogError> {
        Ok(self.shared.id.clone())
    }

    async fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        let topics = topics.to_vec();
        self.shared.writer()?.run(move |tx| create::create_topics(tx, &topics)).await
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        self.shared.look_again().await?;
        let catalog = Arc::clone(&self.shared.catalog.borrow());
        Ok(catalog.topics.values().map(|topic| topic.info()).collect())
    }

    async fn find_topics(&self, names: &[&str]) -> Result<Vec<TopicInfo>, LogError> {
        let all = self.topics().await?;
        Ok(all.into_iter().filter(|topic| names.contains(&topic.name.as_str())).collect())
    }

    async fn source(&self, owner: &SourceOwner) -> Result<Box<dyn SourceLog>, LogError> {
        Ok(Box::new(owner::Owner::take_over(Arc::clone(&self.shared), owner).await?))
    }

    async fn sink(&self, spec: &SinkSpec) -> Result<Vec<Box<dyn SinkLog>>, LogError> {
        let group = spec.group();
        let begun = match spec.start {
            Start::Latest => self.shared.writer()?.run(move |tx| catalog::begun(tx.db, &group)).await?,
            Start::Earliest | Start::At(_) => i64::MAX,
        };
        lane::join(&self.shared, spec, begun)
    }

    async fn append(&self, records: &Batch) -> Result<Vec<Refused>, LogError> {
        let job = AppendJob { batch: Arc::new(records.clone()), whole: false };
        self.shared.writer()?.run(move |tx| job.run(tx)).await
    }

    async fn look(&self, partitions: &[TopicPartition]) -> Result<BTreeMap<TopicPartition, i64>, LogError> {
        self.shared.look_again().await?;
        let catalog = self.shared.catalog.borrow();
        let end = |at: &TopicPartition| Some((at.clone(), catalog.ends(at)?.high));
        Ok(partitions.iter().filter_map(end).collect())
    }

    async fn read(&self, topic: &str, from: Start) -> Result<Box<dyn TopicReader>, LogError> {
        self.shared.look_again().await?;
        let Some(topic) = self.shared.topic(topic) else {
            let names: BTreeSet<_> = self.shared.catalog.borrow().topics.keys().map(ToString::to_string).collect();
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            return Err(LogError::Fatal(format!("there is no topic `{topic}`; there are: {names}")));
        };
        Ok(Box::new(reader::Reader::open(Arc::clone(&self.shared), &topic, from).await?))
    }
}
