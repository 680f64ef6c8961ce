//! Stored places on Kafka: offsets of a group from outside of it, and positions of a source without taking it over. Kafka keeps
//! group offsets by topic name and drops them with the topic, so what it has is always of this very topic.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};

use super::client::{ASK, Overrides, Plain, Voice, blocking, misconfigured};
use super::commit::Meaning;
use super::fault::fault;
use super::owner::kept;
use super::place::resolve;
use super::{KafkaLog, Shared, native, positions};
use crate::topic_log::places::{OffsetChange, Places, StoredOffset, StoredPositions};
use crate::topic_log::{LogError, Start, TopicPartition};

/// How long an order is repeated: a coordinator that moves or has yet to load is met once by everybody who asks first.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(200);

/// Runs what blocks, again while Kafka says that it may pass. Every order here may be repeated.
async fn patiently<T: Send + 'static>(work: impl Fn() -> Result<T, LogError> + Send + 'static) -> Result<T, LogError> {
    blocking(move || {
        let began = Instant::now();
        loop {
            match work() {
                Err(LogError::Retry(_)) if began.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
                answer => return answer,
            }
        }
    })
    .await
}

/// A client that names the group and does not join it.
fn outsider(shared: &Shared, group: &str) -> Result<BaseConsumer<Plain>, LogError> {
    let config = shared.properties.consumer(group, &Overrides::new());
    config.create_with_context(Plain(Voice::new(format!("offsets of {group}")))).map_err(|e| misconfigured(&e))
}

fn list<'a>(all: impl IntoIterator<Item = (&'a TopicPartition, Offset)>) -> Result<TopicPartitionList, LogError> {
    let mut list = TopicPartitionList::new();
    for (at, offset) in all {
        list.add_partition_offset(&at.topic, at.partition, offset)
            .map_err(|e| LogError::Fatal(format!("{at} at offset {offset:?}: {e}")))?;
    }
    Ok(list)
}

fn members(shared: &Shared, group: &str) -> Result<Vec<String>, LogError> {
    let what = format!("asking who is in group `{group}`");
    let found = shared.admin.client().fetch_group_list(Some(group), ASK).map_err(|e| fault(&what, &e))?;
    let members = found.groups().iter().filter(|g| g.name() == group).flat_map(rdkafka::groups::GroupInfo::members);
    Ok(members.map(|m| format!("{} ({} at {})", m.id(), m.client_id(), m.client_host().trim_start_matches('/'))).collect())
}

impl Shared {
    /// The group has no member but, at most, the one that asks. Of groups of KIP-848 that is not told. Blocks.
    pub(super) fn is_alone_in(&self, group: &super::group::Group) -> Result<bool, LogError> {
        let least = if group.classic { 0 } else { 1 };
        Ok((least..=1).contains(&members(self, &group.name)?.len()))
    }
}

fn in_use(group: &str, members: &[String]) -> LogError {
    let who = if members.is_empty() { "a member that it does not name".to_owned() } else { members.join(", ") };
    LogError::Fatal(format!(
        "Kafka moves no offset of a group in use, and `{group}` has {who}. Stop that worker first; one that was killed \
         counts as a member until its session ends (`session.timeout.ms`, 45 s by default)"
    ))
}

fn stored(shared: &Shared, group: &str, of: &[TopicPartition]) -> Result<Vec<StoredOffset>, LogError> {
    if of.is_empty() {
        return Ok(Vec::new());
    }
    let asked = list(of.iter().map(|at| (at, Offset::Invalid)))?;
    let what = format!("asking for the offsets of group `{group}`");
    let answer = outsider(shared, group)?.committed_offsets(asked, ASK).map_err(|e| fault(&what, &e))?;
    let one = |at: &TopicPartition| {
        let found = answer.find_partition(&at.topic, at.partition);
        let found = found.ok_or_else(|| LogError::Retry(format!("{what}: no answer for {at}")))?;
        found.error().map_err(|e| fault(&what, &e))?;
        let own = if let Offset::Offset(next) = found.offset() { Some(next) } else { None };
        let mark = Meaning::parse(found.metadata()).mark;
        Ok(StoredOffset { own, mark, others: Vec::new() })
    };
    of.iter().map(one).collect()
}

/// Kafka itself refuses both orders while the group has a member, also one that came after the question.
fn move_group(shared: &Shared, group: &str, changes: &[OffsetChange]) -> Result<(), LogError> {
    let there = members(shared, group)?;
    if !there.is_empty() {
        return Err(in_use(group, &there));
    }
    let what = format!("moving offsets of group `{group}`");
    let refused = |code: Option<Code>| {
        matches!(
            code,
            Some(Code::UnknownMemberId | Code::NonEmptyGroup | Code::GroupSubscribedToTopic | Code::RebalanceInProgress)
        )
    };
    let set: Vec<_> = changes.iter().filter_map(|c| Some((&c.partition, Offset::Offset(c.next?)))).collect();
    if !set.is_empty() {
        let committed = outsider(shared, group)?.commit(&list(set)?, CommitMode::Sync);
        committed.map_err(|e| if refused(e.rdkafka_error_code()) { in_use(group, &[]) } else { fault(&what, &e) })?;
    }
    let forget: Vec<_> = changes.iter().filter(|c| c.next.is_none()).map(|c| (&c.partition, Offset::Invalid)).collect();
    if !forget.is_empty() {
        match native::delete_offsets(shared.admin.order_client(), group, &list(forget)?, ASK) {
            // There is no such group: nothing is stored.
            Ok(()) | Err(Code::GroupIdNotFound) => {}
            Err(code) if refused(Some(code)) => return Err(in_use(group, &[])),
            Err(code) => return Err(super::fault::code_fault(&what, code)),
        }
    }
    Ok(())
}

#[async_trait]
impl Places for KafkaLog {
    async fn members(&self, group: &str) -> Result<Vec<String>, LogError> {
        let (shared, group) = (Arc::clone(&self.shared), group.to_owned());
        patiently(move || members(&shared, &group)).await
    }

    async fn group_offsets(&self, group: &str, of: &[(TopicPartition, String)]) -> Result<Vec<StoredOffset>, LogError> {
        let (shared, group) = (Arc::clone(&self.shared), group.to_owned());
        let of: Vec<_> = of.iter().map(|(at, _)| at.clone()).collect();
        patiently(move || stored(&shared, &group, &of)).await
    }

    async fn move_group(&self, group: &str, changes: &[OffsetChange]) -> Result<(), LogError> {
        let (shared, group, changes) = (Arc::clone(&self.shared), group.to_owned(), changes.to_vec());
        patiently(move || move_group(&shared, &group, &changes)).await
    }

    async fn offsets_at(&self, partitions: &[TopicPartition], start: Start) -> Result<Vec<i64>, LogError> {
        let (shared, partitions) = (Arc::clone(&self.shared), partitions.to_vec());
        patiently(move || resolve(&outsider(&shared, "wharf.offsets")?, &partitions, start)).await
    }

    async fn positions(&self, deployment: &str, source: &str) -> Result<StoredPositions, LogError> {
        let log = self.shared.id().await?;
        let (shared, deployment, source) = (Arc::clone(&self.shared), deployment.to_owned(), source.to_owned());
        patiently(move || {
            if shared.admin.partitions(&positions::topic(&deployment))?.is_none() {
                return Ok(StoredPositions::default());
            }
            let found = positions::read(&shared.admin, &shared.properties, &deployment, &source, &log)?;
            Ok(StoredPositions { positions: found.positions, foreign: found.foreign })
        })
        .await
    }

    async fn lost_positions(&self, deployment: &str, source: &str) -> Result<Option<String>, LogError> {
        let log = self.shared.id().await?;
        match kept::check(&self.shared, (deployment, source), &log).await {
            Ok(_) => Ok(None),
            Err(LogError::Fatal(text)) => Ok(Some(text)),
            Err(error) => Err(error),
        }
    }

    fn accept_loss(&self, source: &str) {
        self.shared.memory.accept(source);
    }
}
