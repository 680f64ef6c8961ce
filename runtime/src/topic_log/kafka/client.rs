//! How clients of librdkafka are configured, and what they say between calls. Owns the order of properties: our defaults,
//! then `[kafka]`, then those of the connector, then those that nobody may change. Opens no connection by itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::capability::secret::Secret;
use crate::topic_log::LogError;

/// Longest wait of one question to the brokers; the caller asks again.
pub(super) const ASK: Duration = Duration::from_secs(10);
/// The same fault of a client is not told again within this time.
const QUIET: Duration = Duration::from_secs(30);

/// Ours, for many clients in one process; the operator may override each.
const DEFAULTS: [(&str, &str); 3] =
    [("client.id", "wharf"), ("enable.metrics.push", "false"), ("socket.keepalive.enable", "true")];
/// 20 sinks with a backlog would hold gigabytes by librdkafka's own defaults; a small queue needs the short backoff.
const CONSUMER_DEFAULTS: [(&str, &str); 3] =
    [("queued.max.messages.kbytes", "4096"), ("fetch.queue.backoff.ms", "10"), ("fetch.message.max.bytes", "1048576")];
/// A broker's thread of librdkafka spins while a batch of a partition is on its way and the next one has waited for `linger.ms`: as long
/// as a slow broker takes. Full batches go at once, and `Shipment::drain` asks for the rest, so that nothing has to wait that long.
/// Records without a key change their partition in short turns all the same.
const PRODUCER_DEFAULTS: [(&str, &str); 2] = [("linger.ms", "500"), ("sticky.partitioning.linger.ms", "2")];
/// Shorter transactions' timeouts turn outages into fences.
const TRANSACTION_DEFAULTS: [(&str, &str); 1] = [("transaction.timeout.ms", "60000")];
/// Two names of one property: a default under one of them must not fight the operator's under the other.
const ALIASES: [(&str, &str); 3] = [
    ("fetch.message.max.bytes", "max.partition.fetch.bytes"),
    ("bootstrap.servers", "metadata.broker.list"),
    ("linger.ms", "queue.buffering.max.ms"),
];

/// Properties of `[kafka]`. Debug shows names only.
#[derive(Clone)]
pub(super) struct Properties(BTreeMap<String, Secret>);

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// Properties of one connector, over those of `[kafka]`.
pub(super) type Overrides = BTreeMap<String, String>;

impl Properties {
    pub(super) const fn new(properties: BTreeMap<String, Secret>) -> Self {
        Self(properties)
    }

    /// For everything that neither consumes nor produces.
    pub(super) fn plain(&self) -> ClientConfig {
        self.layered(&[], &Overrides::new(), &[])
    }

    /// A consumer that chooses its own offsets. `group` names it even where it joins none.
    pub(super) fn consumer(&self, group: &str, overrides: &Overrides) -> ClientConfig {
        let fixed = [
            ("group.id", group),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("enable.partition.eof", "true"),
            ("isolation.level", "read_committed"),
            ("auto.offset.reset", "error"),
            ("allow.auto.create.topics", "false"),
        ];
        self.layered(&CONSUMER_DEFAULTS, overrides, &fixed)
    }

    /// A member of a sink's group: revocations are deferred, which needs the cooperative protocol.
    pub(super) fn member(&self, group: &str, overrides: &Overrides) -> ClientConfig {
        let mut config = self.consumer(group, overrides);
        if is_classic(&config) {
            config.set("partition.assignment.strategy", "cooperative-sticky");
        }
        config
    }

    /// An idempotent producer; with an id, a transactional one.
    pub(super) fn producer(&self, transactional_id: Option<&str>, overrides: &Overrides) -> ClientConfig {
        let mut fixed = vec![("enable.idempotence", "true"), ("partitioner", "murmur2_random")];
        fixed.extend(transactional_id.map(|id| ("transactional.id", id)));
        let transactional = transactional_id.map_or(&[][..], |_| &TRANSACTION_DEFAULTS);
        // librdkafka refuses a linger that is not shorter than the time a record has: who sets that may want it short.
        let timeouts = ["message.timeout.ms", "delivery.timeout.ms"];
        let is_set = |name: &&str| self.0.contains_key(*name) || overrides.contains_key(*name);
        let lingers = if timeouts.iter().any(is_set) { &[][..] } else { &PRODUCER_DEFAULTS };
        self.layered(&[lingers, transactional].concat(), overrides, &fixed)
    }

    fn layered(&self, defaults: &[(&str, &str)], overrides: &Overrides, fixed: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        let given: Vec<(&str, &str)> = self.0.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        let own: Vec<_> = overrides.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        for layer in [&DEFAULTS[..], defaults, &given, &own, fixed] {
            for (name, value) in layer {
                for (a, b) in ALIASES.iter().filter(|(a, b)| a == name || b == name) {
                    config.remove(a).remove(b);
                }
                config.set(*name, *value);
            }
        }
        // Who asks librdkafka to talk wants to hear it (with RUST_LOG=librdkafka=debug).
        let talks = config.get("debug").is_some_and(|facilities| !facilities.is_empty());
        config.set_log_level(if talks { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Info });
        config
    }
}

/// A member with these properties is not one by the protocol of KIP-848.
pub(super) fn is_classic(config: &ClientConfig) -> bool {
    config.get("group.protocol").is_none_or(|protocol| protocol == "classic")
}

/// Has librdkafka tell of its metadata (`topic_ids.rs`). Answers whether the operator asked it to talk anyway.
pub(super) fn listen_to_metadata(config: &mut ClientConfig) -> bool {
    let asked = config.get("debug").filter(|facilities| !facilities.is_empty()).map(str::to_owned);
    config.set("debug", asked.as_ref().map_or_else(|| "metadata".to_owned(), |asked| format!("{asked},metadata")));
    config.set_log_level(RDKafkaLogLevel::Debug);
    asked.is_some()
}

/// What a client that cannot be made means: only a property can be wrong then.
pub(super) fn misconfigured(error: &KafkaError) -> LogError {
    match error {
        // The value is not repeated: it may be a secret.
        KafkaError::ClientConfig(_, reason, name, _) => LogError::Fatal(format!("[kafka] property `{name}`: {reason}")),
        error => LogError::Fatal(format!("[kafka]: {error}")),
    }
}

/// Runs what blocks on a thread for such work.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(LogError::Retry(format!("a call to Kafka did not end: {error}"))),
    }
}

/// Carries what librdkafka says on its own account to tracing. `client` tells which one speaks.
#[derive(Debug)]
pub(super) struct Voice {
    client: String,
    last: Mutex<Option<(Instant, String)>>,
}

impl Voice {
    pub(super) fn new(client: impl Into<String>) -> Self {
        Self { client: client.into(), last: Mutex::default() }
    }

    pub(super) fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let client = self.client.as_str();
        // A property of the other kind of client, or a fault that the error callback tells too.
        let minor = matches!(facility, "CONFWARN" | "FAIL" | "ERROR") || is_handover(message);
        match level {
            RDKafkaLogLevel::Debug | RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
                tracing::debug!(target: "librdkafka", client, facility, message);
            }
            _ if minor => tracing::debug!(target: "librdkafka", client, facility, message),
            RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", client, facility, message),
            _ => tracing::error!(target: "librdkafka", client, facility, message),
        }
    }

    pub(super) fn error(&self, error: &KafkaError, reason: &str) {
        // The end of a partition is an event of the consumer, and no fault.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        if is_handover(reason) {
            tracing::debug!(client = self.client, %error, reason, "Kafka client");
            return;
        }
        if self.is_new(error.to_string()) {
            tracing::warn!(client = self.client, %error, reason, "Kafka client");
        }
    }

    /// A fault that came to no callback.
    pub(super) fn fault(&self, reason: &str) {
        if self.is_new(reason.to_owned()) {
            tracing::warn!(client = self.client, reason, "Kafka client");
        }
    }

    fn is_new(&self, text: String) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_some_and(|(at, told)| *told == text && at.elapsed() < QUIET) {
            return false;
        }
        *last = Some((Instant::now(), text));
        true
    }
}

/// A newer producer of the same id has come: another worker took a source over, in order. The owner says what follows.
fn is_handover(message: &str) -> bool {
    ["fenced by a newer instance", "operation with an old epoch"].iter().any(|text| message.contains(text))
}

/// Context of a client without callbacks of its own.
#[derive(Debug)]
pub(super) struct Plain(pub(super) Voice);

impl ClientContext for Plain {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(&error, reason);
    }
}

impl rdkafka::consumer::ConsumerContext for Plain {}
