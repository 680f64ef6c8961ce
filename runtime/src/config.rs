//! The validated configuration: what the core works with. Raw TOML never gets past `config/raw.rs`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::capability::secret::Secret;
use crate::topic_log::{Start, TopicSelection};

mod checker;
mod connector;
mod connectors;
mod deployment;
mod diagnostic;
mod document;
mod eating;
mod grant;
mod json_body;
mod kafka;
mod librdkafka;
mod locate;
mod node;
mod oauth;
mod raw;
mod reference;
mod step;
mod transform;
pub(crate) mod unit;
mod unwritten;

#[cfg(test)]
mod tests;

pub use connector::parse_start;
pub(crate) use diagnostic::suggest;
pub use diagnostic::{ConfigErrors, Diagnostic, Findings, Severity};
pub use grant::host as parse_host;
pub use locate::locate;
pub use step::{CastTo, FieldPath, MaskHow, Predicate, Route, SetFrom, TransformConfig, TransformStep};

/// What a check may know besides the file.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Names of the bundled components; `None`: any name passes.
    pub components: Option<Vec<String>>,
    /// Environment variables that are not set count as empty: for looking at a deployment, which takes no secret.
    pub without_secrets: bool,
}

impl Config {
    /// Reads and validates a file; relative paths in it start at its folder. Warnings are dropped: see [`Config::load_with`].
    ///
    /// # Errors
    /// Every finding of the file, in order, ready to be shown.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        Self::load_with(path, &Known::default()).map(|(config, _)| config)
    }

    /// The same with what the caller knows, and with the warnings (an empty list mostly).
    ///
    /// # Errors
    /// Every finding of the file, in order, ready to be shown.
    pub fn load_with(path: &Path, known: &Known) -> Result<(Self, Findings), ConfigErrors> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let unreadable =
                Diagnostic { span: None, ..Diagnostic::error(0..0, format!("cannot read the configuration: {error}")) };
            ConfigErrors(Findings { path: path.to_owned(), text: String::new(), list: vec![unreadable] })
        })?;
        let env = |name: &str| std::env::var_os(name).or_else(|| known.without_secrets.then(OsString::new));
        Self::check(&text, path, known, &env)
    }

    /// Validates a text as if it stood in the file `path`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigErrors> {
        Self::check(text, path, &Known::default(), &|name| std::env::var_os(name)).map(|(config, _)| config)
    }

    fn check(
        text: &str,
        path: &Path,
        known: &Known,
        env: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<(Self, Findings), ConfigErrors> {
        let base_dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut document = document::read(text);
        let mut findings = Findings { path: path.to_owned(), text: text.to_owned(), list: document.findings };
        let Some(file) = document.file.take() else { return Err(ConfigErrors(findings)) };
        let vars = deployment::vars(&file.vars, &mut findings.list);
        let mut checker = checker::Checker {
            findings: findings.list,
            removed: document.removed,
            values: reference::Values { vars, env, base_dir },
            bundled: known.components.as_deref(),
        };
        let config = deployment::deployment(&mut checker, &file, base_dir);
        let failed = checker.failed();
        findings.list = checker.findings;
        findings.list.sort_by_key(|finding| finding.span.as_ref().map_or(0, |span| span.start));
        match config.filter(|_| !failed) {
            Some(config) => Ok((config, findings)),
            None => Err(ConfigErrors(findings)),
        }
    }
}

/// A whole deployment.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of the deployment; part of groups, transactional ids and internal topics.
    pub name: String,
    pub state_dir: PathBuf,
    /// Folder of the configuration file: relative paths start here.
    pub base_dir: PathBuf,
    pub log: LogConfig,
    /// Create missing topics.
    pub create_topics: bool,
    pub topics: BTreeMap<String, TopicConfig>,
    pub listen: Option<Listen>,
    pub connections: BTreeMap<String, Connection>,
    pub sources: Vec<SourceConfig>,
    pub sinks: Vec<SinkConfig>,
    /// Time that a drain may take.
    pub drain_timeout: Duration,
}

/// Which topic log.
#[derive(Debug, Clone)]
pub enum LogConfig {
    /// librdkafka properties by their own names; values may hold secrets.
    Kafka { properties: BTreeMap<String, Secret> },
    /// One SQLite file under `state_dir`; `None`: no limit.
    Embedded { retention: Option<Duration>, retention_bytes: Option<u64> },
}

/// `[topic."name"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicConfig {
    pub partitions: i32,
    pub replication: i32,
    pub config: BTreeMap<String, String>,
}

/// `[listen]`.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Host and port, for example `127.0.0.1:8080`.
    pub address: String,
    pub tls: Option<ListenTls>,
    /// Largest request body, bytes.
    pub max_body: usize,
    /// Requests held at once over all connectors; above it senders get 503 with `Retry-After`.
    pub max_held: usize,
}

#[derive(Debug, Clone)]
pub struct ListenTls {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// `[connection.NAME]`.
#[derive(Debug, Clone)]
pub struct Connection {
    /// `postgres://…` or `sqlite://path`.
    pub url: Secret,
    /// PEM file of the authorities to trust; the system's otherwise.
    pub ca_file: Option<PathBuf>,
    /// Most connections to the database at once.
    pub pool: usize,
}

/// What sources and sinks share.
#[derive(Debug, Clone)]
pub struct Connector {
    /// Unique over sources and sinks.
    pub name: String,
    pub component: ComponentRef,
    /// Handed to the guest as JSON; holds no secrets.
    pub config: serde_json::Value,
    pub tasks: u32,
    pub allow: Allow,
    /// Credentials by authority (`host` or `host:port`).
    pub auth: BTreeMap<String, Auth>,
    pub transforms: Vec<TransformConfig>,
    pub format: Format,
    pub dead_letter: DeadLetter,
    pub retry: Retry,
    pub guest: GuestLimits,
    pub batch: Batching,
    /// librdkafka properties of this connector alone.
    pub kafka: BTreeMap<String, Secret>,
    /// Above it a record is dead-lettered, truncated; bytes.
    pub max_record_bytes: usize,
}

#[derive(Debug, Clone)]
pub struct SourceConfig {
    pub connector: Connector,
    pub topic: String,
    pub exactly_once: bool,
    pub listen: Option<SourceListen>,
}

#[derive(Debug, Clone)]
pub struct SinkConfig {
    pub connector: Connector,
    pub topics: TopicSelection,
    pub start: Start,
    /// `None`: on when the sink writes through `sql` only.
    pub exactly_once: Option<bool>,
}

/// A component by name or by place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ComponentRef {
    Bundled(String),
    Path(PathBuf),
}

/// What the operator grants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allow {
    pub http: Vec<AllowedHost>,
    /// Names of connections.
    pub sql: Vec<String>,
    pub files: Vec<AllowedFolder>,
}

/// `host[:port]`, https and 443 unless written `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AllowedHost {
    pub https: bool,
    /// Lower case; a name, or a literal address without brackets.
    pub host: String,
    pub port: u16,
    /// May resolve to private or loopback addresses.
    pub private: bool,
}

/// A folder that the guest sees under `guest`, read-only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedFolder {
    pub host: PathBuf,
    pub guest: String,
}

/// Credentials that the host puts on requests to one authority.
#[derive(Debug, Clone)]
pub enum Auth {
    Basic { user: Secret, password: Secret },
    Bearer(Secret),
    Header { name: String, value: Secret },
    JsonBody(JsonBody),
    OAuth(OAuth),
}

/// An account at a token endpoint, by whose tokens requests are let in (RFC 6749, 4.4: client credentials).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth {
    /// http or https with a host, without user information.
    pub token_url: http::Uri,
    pub client_id: Secret,
    pub client_secret: Secret,
    /// Names of what is asked for, with spaces between them (RFC 6749, 3.3).
    pub scope: Option<String>,
    pub client_auth: ClientAuth,
    /// Further parameters of the token request, as `audience` or `resource`.
    pub parameters: Vec<(String, String)>,
}

/// How the token endpoint is told who asks (RFC 6749, 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// The header `Authorization: Basic` (`client_secret_basic`).
    Basic,
    /// `client_id` and `client_secret` in the body (`client_secret_post`).
    Post,
}

/// A secret that stands inside the JSON body of certain requests, in place of a null or a string.
#[derive(Debug, Clone)]
pub struct JsonBody {
    /// Of the requests, byte for byte and without a query.
    pub path: String,
    pub pointer: Pointer,
    pub value: Secret,
    /// Where in the body which texts must stand, all of them.
    pub only: Vec<(Pointer, Vec<String>)>,
}

/// A place in a JSON document (RFC 6901), never the whole of it. The names and indexes, unescaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

/// `[source.listen]`.
#[derive(Debug, Clone)]
pub struct SourceListen {
    pub path: String,
    pub signature: Option<Signature>,
    /// How long a sender waits at most for durability.
    pub reply_deadline: Duration,
}

#[derive(Debug, Clone)]
pub struct Signature {
    pub scheme: SignatureScheme,
    pub secret: Secret,
}

/// How senders sign: Shopify base64 HMAC-SHA256 of the body in `X-Shopify-Hmac-Sha256`; Stripe `t=…,v1=…` hex HMAC-SHA256 of
/// `t.body` in `Stripe-Signature` (5 minutes of tolerance); plain hex HMAC-SHA256 of the body in a header of the operator's choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureScheme {
    Shopify,
    Stripe,
    Hmac { header: String },
}

/// How values stand in the topic; guests see plain JSON or bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Json,
    /// Connect's `{"schema": …, "payload": …}`.
    JsonEnvelope,
    /// UTF-8 text; a guest sees a JSON string.
    Text,
    /// Handed on as they are.
    Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// `None`: switched off, the first bad record stops the connector.
    pub topic: Option<String>,
    /// False: place, code and field only (`dead-letter.value = "omit"`).
    pub keep_value: bool,
    /// Stop when more than `window_limit` of the last `window_size` records were dead-lettered; size 0: never.
    pub window_size: usize,
    pub window_limit: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    pub initial: Duration,
    pub max: Duration,
    /// Give up after this long: dead letter or stop by `then`. `None`: never.
    pub budget: Option<Duration>,
    pub then: AfterBudget,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterBudget {
    DeadLetter,
    Stop,
}

/// Limits of one instance. The default is that of a connector that sets none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestLimits {
    pub memory: usize,
    /// CPU time of one call; waiting for the host does not count.
    pub call_cpu: Duration,
    /// Time of one call, waiting included.
    pub call_deadline: Duration,
}

impl Default for GuestLimits {
    fn default() -> Self {
        Self { memory: 256 << 20, call_cpu: Duration::from_secs(10), call_deadline: Duration::from_secs(120) }
    }
}

/// Sizes of batches and transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batching {
    pub records: usize,
    pub bytes: usize,
    pub linger: Duration,
}

/// The sizes at which the fixed costs have faded.
impl Batching {
    /// A transaction of a source that sets none.
    pub const SOURCE: Self = Self { records: 10_000, bytes: 8 << 20, linger: Duration::from_millis(100) };
    /// A batch of a sink that sets none.
    pub const SINK: Self = Self { records: 1000, bytes: 1 << 20, ..Self::SOURCE };
}
