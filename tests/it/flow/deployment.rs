//! A deployment in a folder of its own: its TOML and data, its topics, and a running one as `supervisor::run` makes it. Each
//! run has a tokio runtime of its own, so that a kill takes everything at once. Holds no assertions about records.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use support::servers::Server;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wharf_runtime::batch::{Batch, Record};
use wharf_runtime::capability::secret::Secret;
use wharf_runtime::config::Config;
use wharf_runtime::offsets::SourcePlaces;
use wharf_runtime::supervisor::{self, Options, Outcome, StartError};
use wharf_runtime::telemetry::{ConnectorRow, Snapshot, TaskRow, TaskState, Telemetry};
use wharf_runtime::topic_log::embedded::EmbeddedLog;
use wharf_runtime::topic_log::kafka::KafkaLog;
use wharf_runtime::topic_log::places::OffsetChange;
use wharf_runtime::topic_log::{Position, Start, TopicLog, TopicPartition, TopicSpec, open, positions_topic};

use super::components::{self, BUNDLE};

/// Nothing that is expected takes this long.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// One test's folder and log.
pub struct Deployment {
    folder: TempDir,
    /// Bootstrap servers; `None`: the embedded log.
    kafka: Option<String>,
    /// Name of the deployment, unique in a cluster that other tests use.
    name: String,
}

/// A record as it stands in a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub partition: i32,
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<String>,
    pub value: Option<Vec<u8>>,
    headers: Vec<(String, String)>,
}

impl Row {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.value.as_deref().unwrap_or_default()).into_owned()
    }

    /// A header as text; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The code that a dead letter carries.
    pub fn code(&self) -> &str {
        self.header("wharf.code")
    }
}

pub fn texts(rows: &[Row]) -> Vec<String> {
    rows.iter().map(Row::text).collect()
}

impl Deployment {
    pub fn embedded() -> Self {
        Self { folder: TempDir::new().unwrap(), kafka: None, name: "flow".to_owned() }
    }

    /// On the Kafka that tests have; `None` when there is none.
    pub fn kafka(test: &str) -> Option<Self> {
        let kafka = Server::Kafka.address(test)?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        Some(Self { folder: TempDir::new().unwrap(), kafka: Some(kafka), name: format!("{test}-{now}") })
    }

    /// A second worker of the same deployment, on the same cluster and warehouse.
    pub fn twin(&self) -> Self {
        let twin = self.beside();
        std::os::unix::fs::symlink(self.path("warehouse.sqlite"), twin.path("warehouse.sqlite")).unwrap();
        twin
    }

    /// The same deployment once more, in a folder of its own: another worker, where the log is Kafka.
    pub fn beside(&self) -> Self {
        Self { folder: TempDir::new().unwrap(), kafka: self.kafka.clone(), name: self.name.clone() }
    }

    /// Another deployment on the same log.
    pub fn renamed(&self, suffix: &str) -> Self {
        Self { name: format!("{}-{suffix}", self.name), ..self.beside() }
    }

    /// Its name, as in the names of its groups.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bootstrap servers of its log.
    pub fn bootstrap(&self) -> &str {
        self.kafka.as_deref().expect("on Kafka")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), content).unwrap();
    }

    pub fn append(&self, name: &str, content: &str) {
        // A file that is written anew may be seen while it is empty, and counts as another one then.
        let mut file = std::fs::OpenOptions::new().append(true).open(self.path(name)).unwrap();
        file.write_all(content.as_bytes()).unwrap();
    }

    /// Topic names on a cluster carry the deployment's: `{t}` in a TOML stands for this.
    pub fn topic(&self, base: &str) -> String {
        if self.kafka.is_some() { format!("{}.{base}", self.name) } else { base.to_owned() }
    }

    /// The sections of `body` under what every deployment here begins with.
    fn config(&self, body: &str) -> Config {
        let kafka = self.kafka.as_ref().map(|bootstrap| {
            format!(
                "[kafka]\nbootstrap.servers = \"{bootstrap}\"\ntopic.metadata.refresh.interval.ms = 500\n\
                 topic.metadata.propagation.max.ms = 3000\nsession.timeout.ms = 6000\n"
            )
        });
        let create = if self.kafka.is_some() && !body.starts_with("create") { "create = true\n" } else { "" };
        let (top, sections) = body.split_at(body.find("\n[").unwrap_or(0));
        let head = format!("name = \"{}\"\nstate-dir = \"state\"\n{create}{top}\n", self.name);
        let text = format!("{head}{}{sections}", kafka.unwrap_or_default()).replace("{t}", &self.topic(""));
        Config::parse(&text, &self.path("wharf.toml")).unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn log(&self) -> Arc<dyn TopicLog> {
        match &self.kafka {
            None => {
                std::fs::create_dir_all(self.path("state")).unwrap();
                Arc::new(EmbeddedLog::open(&self.path("state"), None, None).unwrap())
            }
            Some(bootstrap) => {
                let property = ("bootstrap.servers".to_owned(), Secret::new(bootstrap.clone()));
                Arc::new(KafkaLog::new(&[property].into()).unwrap())
            }
        }
    }

    /// Makes a topic and puts records into it, each of a key and a value. On the embedded log nothing may run meanwhile.
    pub async fn produce(&self, topic: &str, partitions: i32, records: &[(Option<&str>, Option<&[u8]>)]) {
        let (log, name) = (self.log(), self.topic(topic));
        let spec = TopicSpec { name: name.clone(), partitions, replication: -1, config: [].into() };
        log.create_topics(&[spec]).await.unwrap();
        let mut batch = Batch::default();
        for (key, value) in records {
            let key = key.map(str::as_bytes);
            let record = Record {
                topic: &name,
                partition: -1,
                offset: -1,
                timestamp: 1_700_000_000_000,
                key,
                value: *value,
                headers: Vec::new(),
                attempt: 1,
            };
            batch.push(&record);
        }
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = log.append(&batch).await {
            assert!(Instant::now() < deadline, "{name}: {error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::task::spawn_blocking(move || drop(log)).await.unwrap();
    }

    /// Values without keys.
    pub async fn produce_values(&self, topic: &str, values: &[&str]) {
        let records: Vec<_> = values.iter().map(|value| (None, Some(value.as_bytes()))).collect();
        self.produce(topic, 1, &records).await;
    }

    /// All records of a topic, by partition and offset.
    pub async fn read(&self, topic: &str) -> Vec<Row> {
        self.read_whole(&self.topic(topic)).await
    }

    /// The dead letters of a connector.
    pub async fn read_dead(&self, connector: &str) -> Vec<Row> {
        self.read_whole(&format!("dlq.{}.{connector}", self.name)).await
    }

    async fn read_whole(&self, name: &str) -> Vec<Row> {
        let log: Arc<dyn TopicLog> = match &self.kafka {
            None => Arc::new(EmbeddedLog::open_read_only(&self.path("state")).unwrap()),
            Some(_) => self.log(),
        };
        let mut reader = log.read(name, Start::Earliest).await.unwrap();
        let mut rows = Vec::new();
        loop {
            let batch = reader.next(Duration::from_millis(300)).await.unwrap();
            if batch.is_empty() {
                break;
            }
            rows.extend(batch.records().map(|record| Row {
                partition: record.partition,
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key.map(|key| String::from_utf8_lossy(key).into_owned()),
                value: record.value.map(<[u8]>::to_vec),
                headers: record.headers.iter().map(|(name, value)| (utf8(name), utf8(value.unwrap_or_default()))).collect(),
            }));
        }
        drop(reader);
        tokio::task::spawn_blocking(move || drop(log)).await.unwrap();
        rows.sort_by_key(|row| (row.partition, row.offset));
        rows
    }

    /// The rows of a query on `warehouse.sqlite`, their columns joined by `|`.
    pub fn query(&self, sql: &str) -> Vec<String> {
        query(&self.path("warehouse.sqlite"), sql)
    }

    pub fn execute(&self, sql: &str) {
        let db = rusqlite::Connection::open(self.path("warehouse.sqlite")).unwrap();
        db.busy_timeout(PATIENCE).unwrap();
        db.execute_batch(sql).unwrap();
    }

    /// Holds the embedded log so that nothing can be written to it, until it is dropped.
    pub fn locked_log(&self) -> rusqlite::Connection {
        let db = rusqlite::Connection::open(self.path("state/log.sqlite")).unwrap();
        db.busy_timeout(PATIENCE).unwrap();
        db.execute_batch("BEGIN IMMEDIATE").unwrap();
        db
    }

    /// Waits until a topic does not exist.
    pub async fn when_gone(&self, topic: &str) {
        let (log, name) = (self.log(), self.topic(topic));
        let deadline = Instant::now() + PATIENCE;
        while !log.find_topics(&[&name]).await.unwrap().is_empty() {
            assert!(Instant::now() < deadline, "{name} does not go");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::task::spawn_blocking(move || drop(log)).await.unwrap();
    }

    /// Deletes the topic of positions; `anew`: somebody, as a broker does, makes it again.
    pub async fn lose_positions(&self, anew: bool) {
        let (log, name) = (self.log(), positions_topic(&self.name));
        let before = log.find_topics(&[&name]).await.unwrap()[0].id.clone();
        let mut config = rdkafka::ClientConfig::new();
        let admin: AdminClient<DefaultClientContext> = config.set("bootstrap.servers", self.bootstrap()).create().unwrap();
        admin.delete_topics(&[&name], &AdminOptions::new()).await.unwrap()[0].clone().unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let there = log.find_topics(&[&name]).await.unwrap();
            match there.first() {
                Some(topic) if topic.id == before => {}
                _ => break,
            }
            assert!(Instant::now() < deadline, "{name} does not go");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::task::spawn_blocking(move || drop(log)).await.unwrap();
        if anew {
            self.remake_positions().await;
        }
    }

    /// Makes the topic of positions, where it is missing, as it should be but empty.
    pub async fn remake_positions(&self) {
        let log = self.log();
        let config = [("cleanup.policy".to_owned(), "compact".to_owned())].into();
        let spec = TopicSpec { name: positions_topic(&self.name), partitions: 1, replication: -1, config };
        log.create_topics(&[spec]).await.unwrap();
        tokio::task::spawn_blocking(move || drop(log)).await.unwrap();
    }

    /// Whether there is a topic of positions.
    pub async fn has_positions(&self) -> bool {
        let log = self.log();
        let found = log.find_topics(&[&positions_topic(&self.name)]).await.unwrap();
        tokio::task::spawn_blocking(move || drop(log)).await.unwrap();
        !found.is_empty()
    }

    /// Has a source read everything again, as `wharf offsets reset` does.
    pub async fn reset_source(&self, body: &str, source: &str) {
        let config = self.config(body);
        let log = open::open(&config).unwrap();
        let found = config.sources.iter().find(|s| s.connector.name == source).unwrap();
        let places = SourcePlaces::new(Arc::clone(&log), &config, found);
        let stored = places.list().await.unwrap().positions;
        let forgotten: Vec<_> = stored.into_iter().map(|p| Position { place: Vec::new(), ..p }).collect();
        places.store(&forgotten).await.unwrap();
        tokio::task::spawn_blocking(move || drop((places, log))).await.unwrap();
    }

    /// Puts a sink's group to an offset of partition 0, as `wharf offsets set` does where the log keeps it.
    pub async fn move_offset(&self, sink: &str, topic: &str, next: i64) {
        let (log, name) = (self.log(), self.topic(topic));
        let topic_id = log.find_topics(&[&name]).await.unwrap()[0].id.clone();
        let partition = TopicPartition { topic: name.into(), partition: 0 };
        let change = OffsetChange { partition, topic_id, next: Some(next) };
        log.move_group(&format!("wharf.{}.{sink}", self.name), &[change]).await.unwrap();
        tokio::task::spawn_blocking(move || drop(log)).await.unwrap();
    }

    /// Offsets that a sink's group has committed in the embedded log, as `partition|next`.
    pub fn offsets(&self, sink: &str) -> Vec<String> {
        let sql = format!("SELECT partition, next FROM offsets WHERE grp = 'wharf.flow.{sink}' ORDER BY topic, partition");
        query(&self.path("state/log.sqlite"), &sql)
    }

    /// Positions of a source in the embedded log.
    pub fn positions(&self, source: &str) -> Vec<String> {
        let sql = format!("SELECT slice, CAST(place AS TEXT) FROM positions WHERE source = '{source}' ORDER BY slice");
        query(&self.path("state/log.sqlite"), &sql)
    }

    pub async fn start(&self, body: &str) -> Running {
        self.launch(body, None).await
    }

    /// Runs until nothing is left to do.
    pub async fn until_done(&self, body: &str) -> Ended {
        let (_senders, done) = watch::channel(true);
        self.launch(body, Some(done)).await.ended().await
    }

    async fn launch(&self, body: &str, until_done: Option<watch::Receiver<bool>>) -> Running {
        let config = self.config(body);
        components::link(&self.path("state"));
        components::warm(&config).await;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (stop, stopping) = watch::channel(false);
        let telemetry = Arc::new(Telemetry::default());
        let running = Arc::clone(&telemetry);
        let task =
            runtime.spawn(async move { supervisor::run(config, BUNDLE, &running, Options { until_done, stop: stopping }).await });
        Running { runtime, telemetry, stop, task }
    }
}

fn utf8(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn query(path: &Path, sql: &str) -> Vec<String> {
    let db = rusqlite::Connection::open(path).unwrap();
    db.busy_timeout(PATIENCE).unwrap();
    let mut statement = db.prepare(sql).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        let cell = |index| {
            Ok(match row.get_ref(index)? {
                rusqlite::types::ValueRef::Null => "NULL".to_owned(),
                rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                rusqlite::types::ValueRef::Real(number) => number.to_string(),
                rusqlite::types::ValueRef::Text(text) | rusqlite::types::ValueRef::Blob(text) => utf8(text),
            })
        };
        (0..columns).map(cell).collect::<Result<Vec<_>, rusqlite::Error>>()
    };
    statement.query_map([], row).unwrap().map(|cells| cells.unwrap().join("|")).collect()
}

/// A deployment that runs.
pub struct Running {
    runtime: Runtime,
    pub telemetry: Arc<Telemetry>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<Outcome, StartError>>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    pub outcome: Outcome,
    pub snapshot: Snapshot,
}

impl Running {
    /// Waits until the snapshot is as described.
    pub async fn when(&self, what: &str, is: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let snapshot = self.telemetry.snapshot();
            // Before they are announced there is nothing to ask about.
            if !snapshot.tasks.is_empty() && is(&snapshot) {
                return snapshot;
            }
            assert!(!self.task.is_finished(), "ended before {what}: {snapshot:#?}");
            assert!(Instant::now() < deadline, "never {what}: {snapshot:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn when_failed(&self, connector: &str) -> Snapshot {
        self.when(&format!("{connector} FAILED"), |snapshot| task(snapshot, connector).state == TaskState::Failed).await
    }

    /// Waits until a connector has settled so many records.
    pub async fn when_settled(&self, connector: &str, records: u64) -> Snapshot {
        self.when(&format!("{connector} has settled {records}"), |snapshot| {
            let row = row(snapshot, connector);
            row.delivered + row.filtered + row.dead_lettered >= records
        })
        .await
    }

    /// Asks it to stop, and waits.
    pub async fn drain(self) -> Ended {
        self.stop.send_replace(true);
        self.ended().await
    }

    /// Waits until it has ended by itself.
    pub async fn ended(self) -> Ended {
        let Self { runtime, telemetry, stop, task } = self;
        let ended = tokio::time::timeout(PATIENCE, task).await;
        let snapshot = telemetry.snapshot();
        let ended = ended.unwrap_or_else(|_| panic!("does not end: {snapshot:#?}"));
        drop(stop);
        tokio::task::spawn_blocking(move || drop(runtime)).await.unwrap();
        Ended { outcome: ended.unwrap().unwrap_or_else(|error| panic!("did not start: {error}")), snapshot }
    }

    /// Ends it at once, wherever it stands: nothing is drained, closed or committed.
    pub async fn kill(self) {
        let Self { runtime, task, .. } = self;
        tokio::task::spawn_blocking(move || drop(runtime)).await.unwrap();
        assert!(task.await.is_err_and(|error| error.is_cancelled()), "it had ended before it was killed");
    }
}

/// The counters of a connector.
pub fn row(snapshot: &Snapshot, connector: &str) -> ConnectorRow {
    let found = snapshot.connectors().into_iter().find(|row| row.connector == connector);
    found.unwrap_or_else(|| panic!("no connector `{connector}`: {snapshot:#?}"))
}

/// `read`, `split`, `delivered`, `filtered`, `dead-lettered` of a connector, whose counters must add up.
pub fn counts(snapshot: &Snapshot, connector: &str) -> [u64; 5] {
    let row = row(snapshot, connector);
    assert!(row.adds_up() && row.in_flight == 0, "{row:#?}");
    [row.read, row.split, row.delivered, row.filtered, row.dead_lettered]
}

/// The first task of a connector.
pub fn task<'a>(snapshot: &'a Snapshot, connector: &str) -> &'a TaskRow {
    let found = snapshot.tasks.iter().find(|task| task.connector == connector);
    found.unwrap_or_else(|| panic!("no connector `{connector}`: {snapshot:#?}"))
}

pub fn reason(snapshot: &Snapshot, connector: &str) -> String {
    task(snapshot, connector).reason.clone().unwrap_or_default()
}
