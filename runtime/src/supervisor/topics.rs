//! Which topics a deployment writes to, created where the operator says so, and checked where not.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::config::{AfterBudget, Config, LogConfig, Retry, Route, SinkConfig, TransformStep};
use crate::retry::{Backoff, seed};
use crate::telemetry::Telemetry;
use crate::topic_log::{LogError, TopicLog, TopicSelection, TopicSpec};

use super::LOOK_AGAIN;

/// Creates what is missing (with `create = true`); waits for a log that is not there yet.
///
/// # Errors
/// [`LogError::Fatal`] when the log refuses a topic for good.
pub(super) async fn create(config: &Config, log: &dyn TopicLog, telemetry: &Telemetry) -> Result<(), LogError> {
    if !config.create_topics {
        return tell_missing(config, log).await;
    }
    let retry = Retry { initial: LOOK_AGAIN / 4, max: LOOK_AGAIN * 8, budget: None, then: AfterBudget::Stop };
    let mut backoff = Backoff::new(&retry, seed(&config.name, 0));
    let specs = specs(config);
    loop {
        match log.create_topics(&specs).await {
            Ok(()) => return Ok(()),
            Err(LogError::Retry(message)) => {
                telemetry.log_awaited(&message);
                tracing::warn!(reason = message, "the topic log is not there yet, trying again");
                tokio::time::sleep(backoff.next(Instant::now(), None).unwrap_or(LOOK_AGAIN)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Where nothing is created: says which topics are not there before a record needs one.
async fn tell_missing(config: &Config, log: &dyn TopicLog) -> Result<(), LogError> {
    let missing = match missing(config, log).await {
        Ok(missing) => missing,
        // The log's identity is waited for next.
        Err(LogError::Retry(_)) => return Ok(()),
        Err(error) => return Err(error),
    };
    for topic in missing {
        tracing::warn!(topic, "this topic does not exist and `create` is off: what goes there will be refused");
    }
    Ok(())
}

/// Topics that are written to, and are not there though nothing creates them. Without rights to see a topic it is not there
/// either, so this can only be told.
///
/// # Errors
/// [`LogError`] where the log does not say.
pub async fn missing(config: &Config, log: &dyn TopicLog) -> Result<Vec<String>, LogError> {
    if config.create_topics {
        return Ok(Vec::new());
    }
    let specs = specs(config);
    let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    let there: Vec<String> = log.find_topics(&names).await?.into_iter().map(|topic| topic.name).collect();
    Ok(specs.into_iter().map(|spec| spec.name).filter(|name| !there.contains(name)).collect())
}

/// Partitions of all topics of a sink together; `None` where they are not known, as of a pattern or a topic that is not there.
///
/// # Errors
/// [`LogError`] where the log does not say.
pub async fn partitions(sink: &SinkConfig, log: &dyn TopicLog) -> Result<Option<usize>, LogError> {
    let TopicSelection::Names(names) = &sink.topics else { return Ok(None) };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = log.find_topics(&names).await?;
    Ok((found.len() == names.len()).then(|| found.iter().map(|topic| topic.partitions.len()).sum()))
}

/// Topics of sources, of constant routes, of dead letters and those listed under `[topic]`.
fn specs(config: &Config) -> Vec<TopicSpec> {
    let mut names: BTreeSet<&str> = config.topics.keys().map(String::as_str).collect();
    for source in &config.sources {
        names.insert(&source.topic);
        for transform in &source.connector.transforms {
            if let TransformStep::Route(Route::To(topic)) = &transform.step {
                names.insert(topic);
            }
        }
    }
    for connector in config.connectors() {
        if let Some(topic) = &connector.dead_letter.topic {
            names.insert(topic);
        }
    }
    let mut specs: Vec<_> = names.into_iter().map(|name| spec(config, name)).collect();
    if matches!(config.log, LogConfig::Kafka { .. }) {
        let is_read = |name: &str| config.sources.iter().any(|source| source.topic == name);
        let letters: BTreeSet<_> = config.connectors().filter_map(|connector| connector.dead_letter.topic.as_deref()).collect();
        // A letter has the time of its record, and Kafka counts from that: one of an old record would be gone within minutes.
        for spec in specs.iter_mut().filter(|spec| letters.contains(spec.name.as_str()) && !is_read(&spec.name)) {
            spec.config.entry("retention.ms".to_owned()).or_insert_with(|| "-1".to_owned());
        }
    }
    specs
}

fn spec(config: &Config, name: &str) -> TopicSpec {
    let given = config.topics.get(name);
    TopicSpec {
        name: name.to_owned(),
        partitions: given.map_or(1, |t| t.partitions),
        replication: given.map_or(-1, |t| t.replication),
        config: given.map(|t| t.config.clone()).unwrap_or_default(),
    }
}

/// The log's identity, waiting for a log that is not there yet.
///
/// # Errors
/// [`LogError`] other than a retry.
pub(super) async fn identity(log: &dyn TopicLog, telemetry: &Telemetry) -> Result<String, LogError> {
    loop {
        match log.id().await {
            Err(LogError::Retry(message)) => {
                telemetry.log_awaited(&message);
                tracing::warn!(reason = message, "the topic log is not there yet, trying again");
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::topic_log::embedded::EmbeddedLog;

    fn config(text: &str) -> Config {
        let all = format!("name = \"d\"\n{text}");
        Config::parse(&all, Path::new("d.toml")).unwrap_or_else(|errors| panic!("{errors}"))
    }

    const RETAIL: &str = r#"
[topic."orders"]
partitions = 6
config = { "retention.ms" = "1000" }
[topic."listed"]
partitions = 2
[[source]]
name = "erp"
component = "csv"
topic = "orders"
[[source.transform]]
when = { tombstone = true }
route = { to = "orders.deleted" }
[[source.transform]]
route = { field = "kind", to = "by-kind.{}" }
[[sink]]
name = "dwh"
component = "http"
topics = ["orders", "elsewhere"]
[[sink]]
name = "quiet"
component = "http"
topics = ["orders"]
dead-letter = "none"
"#;

    #[test]
    fn topics_that_are_written_to_are_listed_once_with_their_configuration() {
        let specs = specs(&config(RETAIL));
        let names: Vec<_> = specs.iter().map(|s| (s.name.as_str(), s.partitions)).collect();
        let expected = [("dlq.d.dwh", 1), ("dlq.d.erp", 1), ("listed", 2), ("none", 1), ("orders", 6), ("orders.deleted", 1)];
        assert_eq!(names, expected, "what is only read is not made");
        let orders = specs.iter().find(|s| s.name == "orders").unwrap();
        assert_eq!((orders.config["retention.ms"].as_str(), orders.replication), ("1000", -1));
    }

    #[test]
    fn a_topic_of_dead_letters_on_kafka_keeps_them_however_old_their_records_are() {
        let on_kafka = |more: &str| config(&format!("[kafka]\n\"bootstrap.servers\" = \"b:9092\"\n{more}{RETAIL}"));
        let given = "[topic.\"dlq.d.dwh\"]\nconfig = { \"retention.ms\" = \"9\", \"cleanup.policy\" = \"delete\" }\n";
        let keeps = |config: &Config| {
            let specs = specs(config).into_iter().map(|spec| (spec.name, spec.config.get("retention.ms").cloned()));
            specs.filter_map(|(name, ms)| ms.map(|ms| format!("{name} {ms}"))).collect::<Vec<_>>()
        };
        assert_eq!(keeps(&on_kafka(given)), ["dlq.d.dwh 9", "dlq.d.erp -1", "none -1", "orders 1000"]);
        assert_eq!(keeps(&config(RETAIL)), ["orders 1000"], "the embedded log counts from the append");
    }

    #[tokio::test]
    async fn topics_are_made_only_where_the_operator_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(folder.path(), None, None).unwrap();
        let mut config = config(RETAIL);
        config.create_topics = false;
        create(&config, &log, &Telemetry::default()).await.unwrap();
        assert_eq!(log.topics().await.unwrap(), []);
        let listed = ["dlq.d.dwh", "dlq.d.erp", "listed", "none", "orders", "orders.deleted"];
        assert_eq!(missing(&config, &log).await.unwrap(), listed);
        assert_eq!(partitions(&config.sinks[0], &log).await.unwrap(), None);
        config.create_topics = true;
        create(&config, &log, &Telemetry::default()).await.unwrap();
        assert_eq!(log.topics().await.unwrap().len(), 6);
        config.create_topics = false;
        assert_eq!(missing(&config, &log).await.unwrap(), [] as [&str; 0]);
        assert_eq!(partitions(&config.sinks[0], &log).await.unwrap(), None, "`elsewhere` is not there");
        assert_eq!(partitions(&config.sinks[1], &log).await.unwrap(), Some(6));
    }
}
