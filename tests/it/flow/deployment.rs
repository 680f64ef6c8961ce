//! A deployment in a folder of its own: its TOML and data, its topics, and a running one as `supervisor::run` makes it. Each
//! run has a tokio runtime of its own, so that a kill takes everything at once. Holds no assertions about records.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use support::servers::Server;
use tempfile::TempDir;
use tokio::sync::watch;
use wharf_runtime::batch::{Batch, Record};
use wharf_runtime::capability::secret::Secret;
use wharf_runtime::config::Config;
use wharf_runtime::supervisor::{self, Options};
use wharf_runtime::telemetry::Telemetry;
use wharf_runtime::topic_log::embedded::EmbeddedLog;
use wharf_runtime::topic_log::kafka::KafkaLog;
use wharf_runtime::topic_log::{Start, TopicLog, TopicSpec};

use super::components::{self, BUNDLE};

pub use self::running::{Ended, Running, counts, reason, row, task};

mod running;
mod stored;

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
    fn text(&self, body: &str) -> String {
        let kafka = self.kafka.as_ref().map(|bootstrap| {
            format!(
                "[kafka]\nbootstrap.servers = \"{bootstrap}\"\ntopic.metadata.refresh.interval.ms = 500\n\
                 topic.metadata.propagation.max.ms = 3000\nsession.timeout.ms = 6000\n"
            )
        });
        let create = if self.kafka.is_some() && !body.starts_with("create") { "create = true\n" } else { "" };
        let (top, sections) = body.split_at(body.find("\n[").unwrap_or(0));
        let head = format!("name = \"{}\"\nstate-dir = \"state\"\n{create}{top}\n", self.name);
        format!("{head}{}{sections}", kafka.unwrap_or_default()).replace("{t}", &self.topic(""))
    }

    fn config(&self, body: &str) -> Config {
        Config::parse(&self.text(body), &self.path("wharf.toml")).unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// Writes `wharf.toml` for a process of its own, with the components it needs; answers where it is.
    pub async fn prepare(&self, body: &str) -> PathBuf {
        components::link(&self.path("state"));
        components::warm(&self.config(body)).await;
        self.write("wharf.toml", self.text(body));
        self.path("wharf.toml")
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
        // These records are years old: a broker that looks for what has expired would remove them at any moment.
        let config = [("retention.ms".to_owned(), "-1".to_owned())].into();
        let spec = TopicSpec { name: name.clone(), partitions, replication: -1, config };
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

    pub async fn start(&self, body: &str) -> Running {
        self.launch(body, None).await
    }

    /// Runs until nothing is left to do.
    pub async fn until_done(&self, body: &str) -> Ended {
        let (_senders, done) = watch::channel(true);
        self.launch(body, Some(done)).await.ended().await
    }

    /// Runs a whole TOML as it stands, with its own name and log.
    pub async fn start_file(&self, name: &str) -> Running {
        self.run(self.parse_file(name), None).await
    }

    /// A whole TOML in the folder.
    pub fn parse_file(&self, name: &str) -> Config {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        Config::parse(&text, &self.path(name)).unwrap_or_else(|errors| panic!("{errors}"))
    }

    async fn launch(&self, body: &str, until_done: Option<watch::Receiver<bool>>) -> Running {
        self.run(self.config(body), until_done).await
    }

    async fn run(&self, config: Config, until_done: Option<watch::Receiver<bool>>) -> Running {
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
