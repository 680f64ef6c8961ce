//! Questions about the cluster and orders to it: identity, topics, ends of partitions. Owns the two clients that everything
//! of a log shares; knows nothing of groups and transactions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};

use super::client::{ASK, Plain, Properties, Voice, blocking, misconfigured};
use super::fault::{code_fault, fault, is_unknown_topic};
use super::lifeline::Lifelines;
use super::native;
use super::times::Times;
use crate::topic_log::{LogError, PartitionInfo, TopicInfo, TopicPartition, TopicSpec};

/// Tries for the ends of a partition whose leader is being chosen, and between them.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// The id of topics on a broker that has none (before 2.8).
const NO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// Which topic of a name is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identity {
    Missing,
    Id(String),
    /// The broker has no ids, or this user may not ask.
    Unknown,
}

/// The shared clients. `client` sees uncommitted records too: it tells where a partition really ends.
pub(super) struct Admin {
    admin: Arc<AdminClient<Plain>>,
    client: Arc<BaseConsumer<Plain>>,
}

impl Admin {
    pub(super) fn new(properties: &Properties, lifelines: &Lifelines) -> Result<Self, LogError> {
        let voice = |name| Plain(Voice::new(name));
        let mut config = properties.plain();
        let admin = Arc::new(config.create_with_context(voice("admin")).map_err(|e| misconfigured(&e))?);
        lifelines.hold(&admin, &config);
        config.set("isolation.level", "read_uncommitted");
        let client = Arc::new(config.create_with_context(voice("metadata")).map_err(|e| misconfigured(&e))?);
        lifelines.hold(&client, &config);
        Ok(Self { admin, client })
    }

    /// For questions; it is in no group.
    pub(super) fn client(&self) -> &Client<Plain> {
        self.client.client()
    }

    /// The same, for offsets.
    pub(super) fn consumer(&self) -> &BaseConsumer<Plain> {
        &self.client
    }

    /// For orders.
    pub(super) fn order_client(&self) -> &Client<Plain> {
        self.admin.inner()
    }

    pub(super) async fn cluster_id(self: &Arc<Self>) -> Result<String, LogError> {
        let this = Arc::clone(self);
        let unknown = || LogError::Retry("Kafka does not answer: is `bootstrap.servers` right, and is it running?".to_owned());
        blocking(move || this.client.client().fetch_cluster_id(ASK).ok_or_else(unknown)).await
    }

    pub(super) async fn create(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        if topics.is_empty() {
            return Ok(());
        }
        let topics: Vec<NewTopic<'_>> = topics.iter().map(new_topic).collect();
        let options = AdminOptions::new().request_timeout(Some(ASK)).operation_timeout(Some(ASK));
        let results = self.admin.create_topics(&topics, &options).await.map_err(|e| fault("creating topics", &e))?;
        for result in results {
            match result {
                Ok(_) | Err((_, Code::TopicAlreadyExists)) => {}
                Err((name, code)) => return Err(code_fault(&format!("creating topic `{name}`"), code)),
            }
        }
        Ok(())
    }

    /// The largest batch that a topic takes, bytes (`max.message.bytes`).
    pub(super) async fn max_message_bytes(&self, topic: &str) -> Result<Option<usize>, LogError> {
        match self.setting(topic, "max.message.bytes").await? {
            Ok(limit) => Ok(limit.and_then(|limit| limit.parse().ok())),
            Err(code) => Err(code_fault(&reading(topic), code)),
        }
    }

    /// What times of records a topic takes; `None` where this user may not ask.
    pub(super) async fn times(&self, topic: &str) -> Result<Option<Times>, LogError> {
        let config = match self.settings(topic).await? {
            Ok(config) => config,
            Err(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => return Ok(None),
            Err(code) => return Err(code_fault(&reading(topic), code)),
        };
        let ms = |name: &str| config.get(name).and_then(|entry| entry.value.as_deref()?.parse().ok());
        // Before Kafka 3.6 one setting was for both.
        let both = ms("message.timestamp.difference.max.ms");
        let limit = |name| ms(name).or(both).unwrap_or(i64::MAX);
        Ok(Some(Times { before: limit("message.timestamp.before.max.ms"), after: limit("message.timestamp.after.max.ms") }))
    }

    /// What becomes of a topic's old records (`cleanup.policy`); `None` where this user may not ask.
    pub(super) async fn cleanup_policy(&self, topic: &str) -> Result<Option<String>, LogError> {
        match self.setting(topic, "cleanup.policy").await? {
            Err(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => Ok(None),
            Err(code) => Err(code_fault(&reading(topic), code)),
            Ok(policy) => Ok(policy),
        }
    }

    /// How long a topic keeps a record after the record's own time (`retention.ms`); `None`: that time does not count, for
    /// ever, or this user may not ask.
    pub(super) async fn age_limit(&self, topic: &str) -> Result<Option<Duration>, LogError> {
        let config = match self.settings(topic).await? {
            Ok(config) => config,
            Err(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => return Ok(None),
            Err(code) => return Err(code_fault(&reading(topic), code)),
        };
        let value = |name: &str| config.get(name).and_then(|entry| entry.value.as_deref());
        let deletes = value("cleanup.policy").is_some_and(|policy| policy.split(',').any(|part| part.trim() == "delete"));
        let own_time = value("message.timestamp.type") == Some("CreateTime");
        let kept = value("retention.ms").and_then(|ms| ms.parse().ok()).map(Duration::from_millis);
        Ok(kept.filter(|_| deletes && own_time))
    }

    async fn setting(&self, topic: &str, name: &str) -> Result<Result<Option<String>, Code>, LogError> {
        Ok(self.settings(topic).await?.map(|config| config.get(name)?.value.clone()))
    }

    async fn settings(&self, topic: &str) -> Result<Result<ConfigResource, Code>, LogError> {
        let options = AdminOptions::new().request_timeout(Some(ASK));
        let answer = self.admin.describe_configs(&[ResourceSpecifier::Topic(topic)], &options).await;
        let first = answer.map_err(|e| fault(&reading(topic), &e))?.into_iter().next();
        Ok(first.unwrap_or(Err(Code::UnknownTopicOrPartition)))
    }

    /// The ids of topics by name; those that do not exist are left out. Blocks.
    pub(super) fn topic_ids(&self, names: &[&str]) -> Result<BTreeMap<String, String>, LogError> {
        let mut ids = BTreeMap::new();
        if names.is_empty() {
            return Ok(ids);
        }
        let answer = native::topic_ids(self.admin.inner(), names, ASK).map_err(|e| fault("asking for topic ids", &e))?;
        for (name, id) in answer {
            match id {
                Ok(id) => drop(ids.insert(name, id)),
                Err(code) if is_unknown_topic(code) => {}
                Err(code) => return Err(code_fault(&format!("asking for the id of topic `{name}`"), code)),
            }
        }
        Ok(ids)
    }

    /// Which topic of that name is there. Blocks.
    pub(super) fn identity(&self, name: &str) -> Result<Identity, LogError> {
        let what = || format!("asking for the id of topic `{name}`");
        let answer = match native::topic_ids(self.admin.inner(), &[name], ASK) {
            // It is too old to be asked.
            Err(error) if matches!(error.rdkafka_error_code(), Some(Code::UnsupportedFeature | Code::UnsupportedVersion)) => {
                return Ok(Identity::Unknown);
            }
            answer => answer.map_err(|e| fault(&what(), &e))?,
        };
        match answer.into_iter().find(|(found, _)| found == name).map(|(_, id)| id) {
            Some(Ok(id)) if id == NO_ID => Ok(Identity::Unknown),
            Some(Ok(id)) => Ok(Identity::Id(id)),
            Some(Err(code)) if is_unknown_topic(code) => Ok(Identity::Missing),
            Some(Err(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed)) => Ok(Identity::Unknown),
            Some(Err(code)) => Err(code_fault(&what(), code)),
            None => Err(LogError::Retry(format!("{}: no answer", what()))),
        }
    }

    /// Partitions of a topic; `None` where it does not exist. Blocks.
    pub(super) fn partitions(&self, topic: &str) -> Result<Option<Vec<i32>>, LogError> {
        partitions(&self.client, topic)
    }

    pub(super) async fn exists(&self, topic: &str) -> Result<bool, LogError> {
        let (client, topic) = (Arc::clone(&self.client), topic.to_owned());
        blocking(move || Ok(partitions(&client, &topic)?.is_some())).await
    }

    /// Names of all topics that are not Kafka's own. Blocks.
    pub(super) fn topic_names(&self) -> Result<Vec<String>, LogError> {
        let metadata = self.client.fetch_metadata(None, ASK).map_err(|e| fault("listing topics", &e))?;
        let mut names: Vec<_> = metadata.topics().iter().map(|t| t.name().to_owned()).collect();
        names.retain(|name| !name.starts_with("__"));
        names.sort();
        Ok(names)
    }

    /// Those of the named topics that exist, by name. Blocks.
    pub(super) fn topics(&self, names: &[String]) -> Result<Vec<TopicInfo>, LogError> {
        let ids = self.topic_ids(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
        let mut infos = Vec::new();
        for (name, id) in ids {
            let Some(numbers) = self.partitions(&name)? else { continue };
            let topic: Arc<str> = name.as_str().into();
            let at: Vec<_> = numbers.iter().map(|&partition| TopicPartition { topic: Arc::clone(&topic), partition }).collect();
            let ends = self.ends_where_known(&at)?;
            let info = |(partition, (low, high))| PartitionInfo { partition, low, high };
            infos.push(TopicInfo { name, id, partitions: numbers.into_iter().zip(ends).map(info).collect() });
        }
        Ok(infos)
    }

    /// A partition without a leader must not hide all topics: -1 stands for what is not known.
    fn ends_where_known(&self, partitions: &[TopicPartition]) -> Result<Vec<(i64, i64)>, LogError> {
        for _ in 0..TRIES {
            match self.ends(partitions) {
                Err(LogError::Retry(_)) => std::thread::sleep(PAUSE),
                answer => return answer,
            }
        }
        let one = |at: &TopicPartition| match self.ends(std::slice::from_ref(at)) {
            Ok(ends) => Ok(ends.first().copied().unwrap_or((-1, -1))),
            Err(LogError::Retry(_)) => Ok((-1, -1)),
            Err(error) => Err(error),
        };
        partitions.iter().map(one).collect()
    }

    /// First offset and next offset to be written, uncommitted records included. Blocks.
    pub(super) fn ends(&self, partitions: &[TopicPartition]) -> Result<Vec<(i64, i64)>, LogError> {
        ends(&self.client, partitions)
    }
}

fn partitions(client: &BaseConsumer<Plain>, topic: &str) -> Result<Option<Vec<i32>>, LogError> {
    let what = format!("asking about topic `{topic}`");
    let metadata = client.fetch_metadata(Some(topic), ASK).map_err(|e| fault(&what, &e))?;
    let Some(found) = metadata.topics().iter().find(|t| t.name() == topic) else { return Ok(None) };
    match found.error().map(Code::from) {
        None => Ok(Some(found.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect())),
        Some(code) if is_unknown_topic(code) => Ok(None),
        Some(code) => Err(code_fault(&what, code)),
    }
}

fn reading(topic: &str) -> String {
    format!("reading the configuration of topic `{topic}`")
}

fn new_topic(spec: &TopicSpec) -> NewTopic<'_> {
    let TopicSpec { name, partitions, replication, config } = spec;
    let new = NewTopic::new(name, *partitions, TopicReplication::Fixed(*replication));
    config.iter().fold(new, |new, (key, value)| new.set(key, value))
}

/// First offset and end of partitions, the end as this client's isolation level sees it. Two requests a broker. Blocks.
pub(super) fn ends<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
) -> Result<Vec<(i64, i64)>, LogError> {
    let low = offsets(consumer, partitions, Offset::Beginning)?;
    let high = offsets(consumer, partitions, Offset::End)?;
    Ok(low.into_iter().zip(high).collect())
}

/// The offset of a time in each partition: `Beginning`, `End`, or milliseconds since the epoch (-1: no record is that young).
pub(super) fn offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    time: Offset,
) -> Result<Vec<i64>, LogError> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let what = |at: &TopicPartition| format!("asking for offsets of {at}");
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for at in partitions {
        list.add_partition_offset(&at.topic, at.partition, time).map_err(|e| fault(&what(at), &e))?;
    }
    let answer = consumer.offsets_for_times(list, ASK).map_err(|e| fault("asking for offsets", &e))?;
    let one = |at: &TopicPartition| {
        let found = answer.find_partition(&at.topic, at.partition);
        let found = found.ok_or_else(|| LogError::Retry(format!("{}: no answer", what(at))))?;
        found.error().map_err(|e| fault(&what(at), &e))?;
        // The end comes back as `End` where nothing is at or after the time.
        Ok(found.offset().to_raw().unwrap_or(-1))
    };
    partitions.iter().map(one).collect()
}
