//! Creating topics. Names obey Kafka's rules, so that a deployment can move to Kafka as it is.

use std::sync::Arc;

use super::catalog::{Limits, load_topic};
use super::fault::Fault;
use super::schema::new_uuid;
use super::writer::Tx;
use crate::topic_log::{LogError, TopicSpec, is_topic_name};

/// Partitions of one topic at most.
const MAX_PARTITIONS: i32 = 10_000;

/// Creates those that do not exist; replication has no meaning here.
pub(super) fn create_topics(tx: &Tx<'_>, topics: &[TopicSpec]) -> Result<(), Fault> {
    for spec in topics {
        if load_topic(tx.db, &spec.name, &tx.defaults)?.is_none() {
            create(tx, spec)?;
        }
    }
    Ok(())
}

fn create(tx: &Tx<'_>, spec: &TopicSpec) -> Result<(), Fault> {
    check_name(&spec.name)?;
    // -1 is Kafka's "as the broker is configured".
    let partitions = if spec.partitions == -1 { 1 } else { spec.partitions };
    if !(1..=MAX_PARTITIONS).contains(&partitions) {
        let text = format!("topic `{}`: {partitions} partitions; give it 1 to {MAX_PARTITIONS}", spec.name);
        return Err(LogError::Fatal(text).into());
    }
    Limits::parse(&spec.config, &tx.defaults).map_err(|text| LogError::Fatal(format!("topic `{}`: {text}", spec.name)))?;
    if spec.config.get("cleanup.policy").is_some_and(|policy| policy.contains("compact")) {
        tracing::warn!(topic = spec.name, "the embedded log does not compact: this topic keeps every record");
    }
    let config =
        serde_json::to_string(&spec.config).map_err(|error| LogError::Fatal(format!("topic `{}`: {error}", spec.name)))?;
    let id = new_uuid(tx.db)?;
    tx.db.execute("INSERT INTO topics (name, id, config) VALUES (?1, ?2, ?3)", (&spec.name, id, config))?;
    let topic = tx.db.last_insert_rowid();
    let mut insert = tx.db.prepare_cached("INSERT INTO partitions (topic, partition, low, high) VALUES (?1, ?2, 0, 0)")?;
    for partition in 0..partitions {
        insert.execute((topic, partition))?;
    }
    tx.touch(&Arc::from(spec.name.as_str()));
    Ok(())
}

fn check_name(name: &str) -> Result<(), LogError> {
    if is_topic_name(name) {
        return Ok(());
    }
    Err(LogError::Fatal(format!("`{name}` is not a topic name: 1 to 249 letters, digits, dots, dashes and underscores")))
}
