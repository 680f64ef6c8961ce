//! Which log a deployment uses, decided in one place.

use std::sync::Arc;

use super::embedded::EmbeddedLog;
use super::kafka::KafkaLog;
use super::{LogError, TopicLog};
use crate::config::{Config, LogConfig};

/// Opens the log for a worker.
///
/// # Errors
/// [`LogError`] when it can never be opened like this. A Kafka that is down is no error here: each call says so.
pub fn open(config: &Config) -> Result<Arc<dyn TopicLog>, LogError> {
    let log: Arc<dyn TopicLog> = match &config.log {
        LogConfig::Kafka { properties } => Arc::new(KafkaLog::new(properties)?),
        LogConfig::Embedded { retention, retention_bytes } => {
            Arc::new(EmbeddedLog::open(&config.state_dir, *retention, *retention_bytes)?)
        }
    };
    #[cfg(feature = "chaos")]
    let log = super::mutant::wrap(log);
    Ok(log)
}

/// Opens the log to look at it, beside a worker that may be running: `id`, `topics` and `read` work.
///
/// # Errors
/// [`LogError::Fatal`] when there is no log to look at.
pub fn open_read_only(config: &Config) -> Result<Arc<dyn TopicLog>, LogError> {
    match &config.log {
        LogConfig::Kafka { .. } => open(config),
        LogConfig::Embedded { .. } => Ok(Arc::new(EmbeddedLog::open_read_only(&config.state_dir)?)),
    }
}
