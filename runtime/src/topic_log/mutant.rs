//! A log that breaks a rule on purpose (`fault_point::Mutant`), so that `tests/chaos` can show that it would be found. It
//! exists with the feature `chaos` only, and passes everything else on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::places::{OffsetChange, Places, StoredOffset, StoredPositions};
use super::{
    BatchLimits, End, LogError, Position, Refused, SinkEvent, SinkLog, SinkSpec, SourceLog, SourceOwner, Start, TopicInfo,
    TopicLog, TopicPartition, TopicReader, TopicSpec,
};
use crate::batch::Batch;
use crate::fault_point::{Mutant, Phase, mutant, pass};

/// The log itself, or one that breaks the rule the environment names.
pub(super) fn wrap(log: Arc<dyn TopicLog>) -> Arc<dyn TopicLog> {
    match mutant() {
        Some(mutant) => Arc::new(Mutated { log, mutant }),
        None => log,
    }
}

struct Mutated<L> {
    log: L,
    mutant: Mutant,
}

#[async_trait]
impl TopicLog for Mutated<Arc<dyn TopicLog>> {
    async fn id(&self) -> Result<String, LogError> {
        self.log.id().await
    }

    async fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        self.log.create_topics(topics).await
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        self.log.topics().await
    }

    async fn find_topics(&self, names: &[&str]) -> Result<Vec<TopicInfo>, LogError> {
        self.log.find_topics(names).await
    }

    async fn source(&self, owner: &SourceOwner) -> Result<Box<dyn SourceLog>, LogError> {
        Ok(Box::new(Mutated { log: self.log.source(owner).await?, mutant: self.mutant }))
    }

    async fn sink(&self, spec: &SinkSpec) -> Result<Vec<Box<dyn SinkLog>>, LogError> {
        let lanes = self.log.sink(spec).await?;
        Ok(lanes.into_iter().map(|log| Box::new(Mutated { log, mutant: self.mutant }) as Box<dyn SinkLog>).collect())
    }

    async fn age_limit(&self, topic: &str) -> Result<Option<Duration>, LogError> {
        self.log.age_limit(topic).await
    }

    async fn is_compacted(&self, topic: &str) -> Result<bool, LogError> {
        self.log.is_compacted(topic).await
    }

    async fn append(&self, records: &Batch) -> Result<Vec<Refused>, LogError> {
        self.log.append(records).await
    }

    async fn look(&self, partitions: &[TopicPartition]) -> Result<BTreeMap<TopicPartition, i64>, LogError> {
        self.log.look(partitions).await
    }

    async fn read(&self, topic: &str, from: Start) -> Result<Box<dyn TopicReader>, LogError> {
        self.log.read(topic, from).await
    }
}

#[async_trait]
impl Places for Mutated<Arc<dyn TopicLog>> {
    async fn members(&self, group: &str) -> Result<Vec<String>, LogError> {
        self.log.members(group).await
    }

    async fn group_offsets(&self, group: &str, of: &[(TopicPartition, String)]) -> Result<Vec<StoredOffset>, LogError> {
        self.log.group_offsets(group, of).await
    }

    async fn move_group(&self, group: &str, changes: &[OffsetChange]) -> Result<(), LogError> {
        self.log.move_group(group, changes).await
    }

    async fn offsets_at(&self, partitions: &[TopicPartition], start: Start) -> Result<Vec<i64>, LogError> {
        self.log.offsets_at(partitions, start).await
    }

    async fn positions(&self, deployment: &str, source: &str) -> Result<StoredPositions, LogError> {
        self.log.positions(deployment, source).await
    }

    async fn lost_positions(&self, deployment: &str, source: &str) -> Result<Option<String>, LogError> {
        self.log.lost_positions(deployment, source).await
    }

    fn accept_loss(&self, source: &str) {
        self.log.accept_loss(source);
    }
}

#[async_trait]
impl SourceLog for Mutated<Box<dyn SourceLog>> {
    fn positions(&self) -> &[Position] {
        self.log.positions()
    }

    async fn append(&mut self, records: &Arc<Batch>, positions: &[Position]) -> Result<Vec<Refused>, LogError> {
        let nothing = Arc::default();
        match self.mutant {
            Mutant::NoCas => self.log.append(records, positions).await,
            Mutant::CommitFirst => {
                self.log.append(&nothing, positions).await?;
                pass(Phase::Transaction, records.len());
                self.log.append(records, &[]).await
            }
            Mutant::NoTransaction => {
                let refused = self.log.append(records, &[]).await?;
                if refused.is_empty() {
                    pass(Phase::Transaction, records.len());
                    self.log.append(&nothing, positions).await?;
                }
                Ok(refused)
            }
        }
    }

    async fn lost(&mut self) -> LogError {
        self.log.lost().await
    }

    async fn release(&mut self) -> Result<(), LogError> {
        self.log.release().await
    }
}

#[async_trait]
impl SinkLog for Mutated<Box<dyn SinkLog>> {
    async fn next(&mut self, limits: BatchLimits, wait: Duration) -> Result<SinkEvent, LogError> {
        let event = self.log.next(limits, wait).await?;
        if let (Mutant::CommitFirst, SinkEvent::Records(batch)) = (self.mutant, &event) {
            let mut next = BTreeMap::new();
            for record in batch.records() {
                next.insert(TopicPartition { topic: record.topic.into(), partition: record.partition }, record.offset + 1);
            }
            self.log.commit(&next.into_iter().collect::<Vec<_>>()).await?;
        }
        Ok(event)
    }

    async fn caught_up(&mut self) -> Result<bool, LogError> {
        self.log.caught_up().await
    }

    async fn begin(&mut self, starts: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        self.log.begin(starts).await
    }

    async fn commit(&mut self, offsets: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        self.log.commit(offsets).await
    }

    async fn follow(&mut self, offsets: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        match self.mutant {
            // It does not begin at the database's offsets: then the group's must not say that they are copies of those.
            Mutant::NoCas => self.log.commit(offsets).await,
            _ => self.log.follow(offsets).await,
        }
    }

    fn stop(&mut self, partition: &TopicPartition) {
        self.log.stop(partition);
    }

    async fn keep_stopped(&mut self, partition: &TopicPartition) -> Result<(), LogError> {
        self.log.keep_stopped(partition).await
    }

    async fn seek(&mut self, offsets: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        self.log.seek(offsets).await
    }

    fn hold(&mut self, partitions: &[TopicPartition]) {
        self.log.hold(partitions);
    }

    fn resume(&mut self, partitions: &[TopicPartition]) {
        self.log.resume(partitions);
    }

    fn has_lost(&mut self, records: &Batch) -> bool {
        self.log.has_lost(records)
    }

    async fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.log.release(partitions).await
    }

    async fn resolve_start(&mut self, partition: &TopicPartition) -> Result<i64, LogError> {
        self.log.resolve_start(partition).await
    }

    fn awaits_group(&self) -> Option<&str> {
        self.log.awaits_group()
    }

    fn ends(&self) -> Vec<(TopicPartition, End)> {
        self.log.ends()
    }
}
