//! `max-record-bytes` against what the TOML has Kafka take: the producer's `message.max.bytes`, and `max.message.bytes` of a topic that
//! the file makes. What brokers and existing topics take is not known without asking them.

use crate::config::{Config, Connector, LogConfig, SourceConfig};

/// librdkafka's default of `message.max.bytes`.
const PRODUCER: usize = 1_000_000;

/// A limit below `max-record-bytes`, as people find it in the file. `source`: where the connector is one; dead letters of sinks go by
/// the producer of `[kafka]` alone.
pub(super) fn below(config: &Config, connector: &Connector, source: Option<&SourceConfig>) -> Option<(String, usize)> {
    let LogConfig::Kafka { properties } = &config.log else { return None };
    let own = source.and_then(|_| connector.kafka.get("message.max.bytes"));
    let written = own.or_else(|| properties.get("message.max.bytes"));
    // One that is not a number is an error of the file.
    let producer = written.map_or(Some(PRODUCER), |value| value.expose().trim().parse().ok());
    let by_default = if written.is_some() { "" } else { ", by default," };
    let producer = producer.map(|limit| (format!("the producer's `message.max.bytes`{by_default}"), limit));
    let topic = source.map(|source| &source.topic).and_then(|topic| {
        let limit = config.topics.get(topic)?.config.get("max.message.bytes")?.trim().parse().ok()?;
        Some((format!("`max.message.bytes` of [topic.\"{topic}\"]"), limit))
    });
    let limits = producer.into_iter().chain(topic);
    limits.filter(|(_, limit)| *limit < connector.max_record_bytes).min_by_key(|(_, limit)| *limit)
}
