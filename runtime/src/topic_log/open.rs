//! Which log a deployment uses, decided in one place.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::embedded::EmbeddedLog;
use super::kafka::KafkaLog;
use super::{LogError, TopicLog};
use crate::capability::secret::Secret;
use crate::config::{Config, LogConfig};

/// Opens the log for whoever holds the state-dir: a worker, or one who stands in for it.
///
/// # Errors
/// [`LogError`] when it can never be opened like this. A Kafka that is down is no error here: each call says so.
pub fn open(config: &Config) -> Result<Arc<dyn TopicLog>, LogError> {
    open_as(config, |properties| KafkaLog::of_worker(properties, &config.state_dir))
}

/// Opens the log for one who writes beside a worker, where there may be one: what that remembers under its state-dir is neither
/// read nor written. The embedded log has one writer, who holds the state-dir.
///
/// # Errors
/// As of [`open`].
pub fn open_beside(config: &Config) -> Result<Arc<dyn TopicLog>, LogError> {
    open_as(config, KafkaLog::new)
}

fn open_as(
    config: &Config,
    kafka: impl FnOnce(&BTreeMap<String, Secret>) -> Result<KafkaLog, LogError>,
) -> Result<Arc<dyn TopicLog>, LogError> {
    let log: Arc<dyn TopicLog> = match &config.log {
        LogConfig::Kafka { properties } => Arc::new(kafka(properties)?),
        LogConfig::Embedded { retention, retention_bytes } => {
            Arc::new(EmbeddedLog::open(&config.state_dir, *retention, *retention_bytes)?)
        }
    };
    #[cfg(feature = "chaos")]
    let log = super::mutant::wrap(log);
    Ok(log)
}

/// Opens the log to look at it, beside a worker that may be running: `id`, `topics`, `read`
/// and what tells stored places work.
///
/// # Errors
/// [`LogError::Fatal`] when there is no log to look at.
pub fn open_read_only(config: &Config) -> Result<Arc<dyn TopicLog>, LogError> {
    match &config.log {
        LogConfig::Kafka { .. } => open(config),
        LogConfig::Embedded { .. } => Ok(Arc::new(EmbeddedLog::open_read_only(&config.state_dir)?)),
    }
}
