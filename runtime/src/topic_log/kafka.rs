//! The topic log on Kafka, through librdkafka. Owns the clients that a process shares and the threads of its sinks' consumers;
//! makes no connection before the first call, and each call answers [`LogError::Retry`] while Kafka is down.
//!
//! | part | file |
//! |---|---|
//! | properties, what clients say | `client.rs` |
//! | cluster id, topics and their ids, ends | `admin.rs` |
//! | delivery reports and the drain, records too old to stay | `produce.rs`, `refused.rs`, `append.rs`, `expiry.rs` |
//! | one source task | `owner.rs`, `transaction.rs`, `positions.rs`, `memory.rs` |
//! | one sink | `group.rs` (membership), `driver.rs` (its thread), `bell.rs` (what wakes it), `scout.rs` (what it has to ask), `lane.rs`, `place.rs`, `filling.rs` |
//! | `topic cat` | `reader.rs` |
//! | offsets and positions from outside | `places.rs` |
//! | clients that lost all brokers, whether Kafka answers | `lifeline.rs`, `look.rs` |
//! | unsafe calls | `native.rs` |

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use self::admin::Admin;
use self::append::Appender;
use self::bell::Bell;
use self::client::{Overrides, Properties, blocking, misconfigured};
use self::driver::{Alive, Driver};
use self::expiry::Expiry;
use self::group::{Group, Member, SinkConsumer};
use self::lane::{Common, Lane};
use self::lifeline::Lifelines;
use self::memory::Memory;
use self::scout::Scout;
use super::{
    LogError, Refused, SinkLog, SinkSpec, SourceLog, SourceOwner, Start, TopicInfo, TopicLog, TopicPartition, TopicReader,
    TopicSpec, Wanted,
};
use crate::batch::Batch;
use crate::capability::secret::Secret;

mod admin;
mod append;
mod bell;
mod client;
mod commit;
mod driver;
mod expiry;
mod fault;
mod filling;
mod group;
mod lane;
mod lifeline;
mod look;
mod memory;
mod native;
mod owner;
mod place;
mod places;
mod positions;
mod produce;
mod reader;
mod refused;
mod scout;
mod times;
mod topic_ids;
mod transaction;

/// How often patterns, new partitions and topic ids are looked at, unless `topic.metadata.refresh.interval.ms` says otherwise.
const REFRESH: Duration = Duration::from_secs(30);
/// Kafka's own default of `max.poll.interval.ms`.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(300);

/// librdkafka's own default of `session.timeout.ms`.
const SESSION: Duration = Duration::from_secs(45);
/// The same of `heartbeat.interval.ms`.
const HEARTBEAT: Duration = Duration::from_secs(3);

/// The topic log on Kafka.
pub struct KafkaLog {
    shared: Arc<Shared>,
}

/// What the log and everything that it handed out share.
pub(crate) struct Shared {
    properties: Properties,
    admin: Arc<Admin>,
    id: OnceCell<String>,
    /// Dead letters of all sinks.
    appender: Appender,
    sources: owner::Sources,
    /// The topic of positions was seen to keep them.
    positions_stay: OnceCell<()>,
    /// Which topics positions were kept in.
    memory: Arc<Memory>,
    lifelines: Arc<Lifelines>,
    expiry: Expiry,
    drivers: Mutex<Vec<Running>>,
    /// This process, as claims name it (host, process id, start), and when it began (milliseconds since the epoch).
    worker: String,
    started: i64,
}

/// The name of this machine, for people who look for a worker.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "host".to_owned())
}

/// A consumer's thread.
struct Running {
    group: String,
    alive: Weak<Alive>,
    thread: JoinHandle<()>,
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLog").field("properties", &self.shared.properties).finish_non_exhaustive()
    }
}

impl KafkaLog {
    /// A log with these librdkafka properties, which remembers nothing between processes.
    ///
    /// # Errors
    /// [`LogError::Fatal`] where librdkafka does not know a property or its value. A Kafka that is down is no error.
    pub fn new(properties: &BTreeMap<String, Secret>) -> Result<Self, LogError> {
        Self::with(properties, Memory::default())
    }

    /// The log of a worker with this state-dir: a source whose positions this worker has kept in a topic that is gone does not
    /// start. The folder has to be there before a source is taken over.
    ///
    /// # Errors
    /// As of [`KafkaLog::new`].
    pub fn of_worker(properties: &BTreeMap<String, Secret>, state_dir: &Path) -> Result<Self, LogError> {
        Self::with(properties, Memory::of(state_dir))
    }

    fn with(properties: &BTreeMap<String, Secret>, memory: Memory) -> Result<Self, LogError> {
        let properties = Properties::new(properties.clone());
        let lifelines =
            Lifelines::start().map_err(|e| LogError::Fatal(format!("a thread of the Kafka clients did not start: {e}")))?;
        let lifelines = Arc::new(lifelines);
        let admin = Arc::new(Admin::new(&properties, &lifelines)?);
        let started = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let shared = Shared {
            admin,
            id: OnceCell::new(),
            appender: Appender::new(properties.clone(), Overrides::new(), "dead letters".to_owned(), Arc::clone(&lifelines)),
            lifelines,
            expiry: Expiry::default(),
            sources: owner::Sources::default(),
            positions_stay: OnceCell::new(),
            memory: Arc::new(memory),
            drivers: Mutex::default(),
            worker: format!("{}-{}-{:x}", host(), std::process::id(), started.as_nanos()),
            started: i64::try_from(started.as_millis()).unwrap_or(i64::MAX),
            properties,
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Shared {
    async fn id(&self) -> Result<String, LogError> {
        self.id.get_or_try_init(|| self.admin.cluster_id()).await.cloned()
    }

    fn drivers(&self) -> MutexGuard<'_, Vec<Running>> {
        self.drivers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Partitions of all topics that a sink takes. Blocks.
    fn partitions_of(&self, wanted: &Wanted) -> Result<usize, LogError> {
        let count = |name: &String| Ok(self.admin.partitions(name)?.map_or(0, |partitions| partitions.len()));
        scout::names(wanted, &self.admin)?.iter().map(count).sum()
    }

    /// Waits for consumers of this group that are on their way out: else the group would wait for them. Blocks.
    fn join_leavers(&self, group: &str) {
        let mut drivers = self.drivers();
        let (leaving, staying) = std::mem::take(&mut *drivers)
            .into_iter()
            .partition(|d| d.thread.is_finished() || (d.group == group && d.alive.strong_count() == 0));
        *drivers = staying;
        drop(drivers);
        leaving.into_iter().for_each(join);
    }
}

fn join(running: Running) {
    if running.thread.join().is_err() {
        tracing::error!(group = running.group, "the consumer's thread panicked");
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Lanes hold this: all are gone, and their threads are leaving their groups.
        std::mem::take(&mut *self.drivers()).into_iter().for_each(join);
    }
}

#[async_trait]
impl TopicLog for KafkaLog {
    async fn id(&self) -> Result<String, LogError> {
        self.shared.id().await
    }

    async fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        self.shared.id().await?;
        self.shared.admin.create(topics).await
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        let admin = Arc::clone(&self.shared.admin);
        blocking(move || admin.topics(&admin.topic_names()?)).await
    }

    async fn find_topics(&self, names: &[&str]) -> Result<Vec<TopicInfo>, LogError> {
        let admin = Arc::clone(&self.shared.admin);
        let names: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
        blocking(move || {
            // Not asked for by name: Kafka answers an error for one that no topic can have, and for one that this user may not see.
            let mut there = admin.topic_names()?;
            there.retain(|name| names.contains(name));
            admin.topics(&there)
        })
        .await
    }

    async fn source(&self, owner: &SourceOwner) -> Result<Box<dyn SourceLog>, LogError> {
        Ok(Box::new(owner::Owner::take_over(&self.shared, owner).await?))
    }

    async fn sink(&self, spec: &SinkSpec) -> Result<Vec<Box<dyn SinkLog>>, LogError> {
        // A Kafka that is down is told here rather than by silence.
        self.shared.id().await?;
        let (shared, spec) = (Arc::clone(&self.shared), spec.clone());
        blocking(move || join_group(&shared, &spec)).await
    }

    async fn age_limit(&self, topic: &str) -> Result<Option<Duration>, LogError> {
        self.shared.admin.age_limit(topic).await
    }

    async fn is_compacted(&self, topic: &str) -> Result<bool, LogError> {
        let policy = self.shared.admin.cleanup_policy(topic).await?;
        Ok(policy.is_some_and(|policy| policy.split(',').any(|part| part.trim() == "compact")))
    }

    async fn append(&self, records: &Batch) -> Result<Vec<Refused>, LogError> {
        let refused = self.shared.appender.append(&self.shared.admin, &Arc::new(records.clone())).await?;
        self.shared.expiry.look(&self.shared.admin, records);
        Ok(refused)
    }

    async fn look(&self, partitions: &[TopicPartition]) -> Result<BTreeMap<TopicPartition, i64>, LogError> {
        let (admin, partitions) = (Arc::clone(&self.shared.admin), partitions.to_vec());
        blocking(move || look::look(&admin, &partitions)).await
    }

    async fn read(&self, topic: &str, from: Start) -> Result<Box<dyn TopicReader>, LogError> {
        let (shared, topic) = (Arc::clone(&self.shared), topic.to_owned());
        blocking(move || Ok(Box::new(reader::Reader::open(&shared, &topic, from)?) as Box<dyn TopicReader>)).await
    }
}

/// One consumer, its thread, and a lane for each task. Blocks.
fn join_group(shared: &Arc<Shared>, spec: &SinkSpec) -> Result<Vec<Box<dyn SinkLog>>, LogError> {
    let wanted = Arc::new(Wanted::of_sink(&spec.topics, &spec.deployment, spec.dead_letters.as_deref())?);
    let name = spec.group();
    shared.join_leavers(&name);
    let mut config = shared.properties.member(&name, &spec.properties);
    let millis = |name| config.get(name).and_then(|value| value.parse().ok()).map(Duration::from_millis);
    let refresh = millis("topic.metadata.refresh.interval.ms").unwrap_or(REFRESH);
    let max_poll_interval = millis("max.poll.interval.ms").unwrap_or(MAX_POLL_INTERVAL);
    let session = millis("session.timeout.ms").unwrap_or(SESSION);
    let heartbeat = millis("heartbeat.interval.ms").unwrap_or(HEARTBEAT);
    config.set("topic.metadata.refresh.interval.ms", refresh.as_millis().to_string());
    let talks = client::listen_to_metadata(&mut config);
    let group = Group::new(name.clone(), spec.tasks, (max_poll_interval, session, heartbeat), client::is_classic(&config));
    let group = Arc::new(group);
    let mut consumer: SinkConsumer =
        config.create_with_context(Member { group: Arc::clone(&group), talks }).map_err(|e| misconfigured(&e))?;
    let bell = Bell::of(&mut consumer);
    let consumer = Arc::new(consumer);
    shared.lifelines.hold(&consumer, &config);
    group.set_consumer(&consumer);
    let alive = Arc::new(Alive);
    let takes = (Arc::clone(&wanted), spec.start);
    let known = (Arc::clone(&shared.memory), shared.id.get().cloned().unwrap_or_default());
    let scout = Scout::new(Arc::clone(&group), Arc::clone(&consumer), Arc::clone(&shared.admin), takes, known);
    let driver = Driver {
        group: Arc::clone(&group),
        consumer: Arc::clone(&consumer),
        bell,
        scout: Arc::new(scout),
        alive: Arc::downgrade(&alive),
        refresh,
    };
    let thread = std::thread::Builder::new().name(format!("kafka-{}", spec.sink)).spawn(move || driver.run());
    let thread = thread.map_err(|e| LogError::Retry(format!("the consumer's thread did not start: {e}")))?;
    shared.drivers().push(Running { group: name, alive: Arc::downgrade(&alive), thread });
    let lanes = group.wakes.len();
    let common = Common { consumer, group, wanted, shared: Arc::clone(shared), start: spec.start, alive };
    Ok((0..lanes).map(|lane| Box::new(Lane::new(common.clone(), lane)) as Box<dyn SinkLog>).collect())
}
