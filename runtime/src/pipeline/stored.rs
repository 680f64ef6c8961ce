//! The offsets of one task in the target's database: what is stored there by now, and the rows of partitions that come.

use std::collections::BTreeMap;

use crate::capability::sql::{OffsetMove, OffsetScope};
use crate::guest::SharedSession;
use crate::pipeline::TaskError;
use crate::pipeline::assign::database;
use crate::pipeline::sink::Running;
use crate::topic_log::{Assignment, TopicPartition};

/// The offsets of one task in the target's database.
#[derive(Debug)]
pub struct Offsets {
    pub session: SharedSession,
    pub scope: OffsetScope,
    /// Per partition: topic id and the offset stored last.
    pub(super) stored: BTreeMap<TopicPartition, (String, i64)>,
}

impl Offsets {
    #[must_use]
    pub const fn new(session: SharedSession, scope: OffsetScope) -> Self {
        Self { session, scope, stored: BTreeMap::new() }
    }

    pub(super) fn forget(&mut self, partitions: &[TopicPartition]) {
        self.stored.retain(|p, _| !partitions.contains(p));
    }

    pub(super) fn moves(&self, next: &BTreeMap<TopicPartition, i64>) -> Result<Vec<OffsetMove>, TaskError> {
        next.iter()
            .map(|(partition, &next)| {
                let (topic_id, expected) = self
                    .stored
                    .get(partition)
                    .ok_or_else(|| TaskError::Restart(format!("no stored offset is known for {partition}")))?;
                Ok(OffsetMove { partition: partition.clone(), topic_id: topic_id.clone(), expected: *expected, next })
            })
            .collect()
    }

    /// A record before the stored offset is in the database already. The log hands none out; were it to, the compare-and-set
    /// would not see it, as there is room for gaps.
    pub(super) fn check(&self, first: &BTreeMap<TopicPartition, i64>) -> Result<(), TaskError> {
        for (partition, first) in first {
            if let Some((_, stored)) = self.stored.get(partition).filter(|(_, stored)| first < stored) {
                return Err(TaskError::Restart(format!(
                    "record {partition}/{first} was read again, though the database has all before offset {stored}"
                )));
            }
        }
        Ok(())
    }

    pub(super) fn moved(&mut self, next: &BTreeMap<TopicPartition, i64>) {
        for (partition, &offset) in next {
            if let Some((_, stored)) = self.stored.get_mut(partition) {
                *stored = offset;
            }
        }
    }
}

impl Running<'_> {
    /// The offsets that the database keeps for new partitions; `None` each where there is none or nothing is kept there.
    pub(super) async fn stored_offsets(&mut self, list: &[Assignment]) -> Result<Vec<Option<i64>>, TaskError> {
        let Some(offsets) = &self.task.offsets else { return Ok(vec![None; list.len()]) };
        let partitions: Vec<_> = list.iter().map(|a| (a.partition.clone(), a.topic_id.clone())).collect();
        let mut session = offsets.session.lock().await;
        session.load_offsets(&offsets.scope, &partitions).await.map_err(database)
    }

    /// Makes the row of a new partition, so that a compare-and-set has something to compare.
    pub(super) async fn claim(&mut self, assignment: &Assignment, offset: i64) -> Result<(), TaskError> {
        let Some(offsets) = &mut self.task.offsets else { return Ok(()) };
        let mut session = offsets.session.lock().await;
        session.claim_offset(&offsets.scope, &assignment.partition, &assignment.topic_id, offset).await.map_err(database)?;
        offsets.stored.insert(assignment.partition.clone(), (assignment.topic_id.clone(), offset));
        Ok(())
    }

    /// Moves a stored offset after records were lost at the log.
    pub(super) async fn reset_claim(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), TaskError> {
        let Some(offsets) = &mut self.task.offsets else { return Ok(()) };
        let next = BTreeMap::from([(partition.clone(), offset)]);
        let moves = offsets.moves(&next)?;
        let mut session = offsets.session.lock().await;
        if !session.advance_offsets(&offsets.scope, &moves).await.map_err(database)? {
            return Err(TaskError::Restart(format!("another owner moved the stored offset of {partition}")));
        }
        drop(session);
        offsets.moved(&next);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::capability::sql::Connections;
    use crate::config::Config;

    #[test]
    fn a_record_before_the_stored_offset_is_refused_and_a_gap_is_not() {
        let text = "name = \"d\"\n[connection.w]\nurl = \"sqlite://w.sqlite\"\n[[sink]]\nname = \"s\"\ncomponent = \"sql\"\ntopics = [\"t\"]\n";
        let config = Config::parse(text, Path::new("d.toml")).unwrap();
        let session = Connections::new(&config.connections, Path::new(".")).unwrap().session("w").unwrap();
        let scope = OffsetScope { log_id: "log".to_owned(), group: "g".to_owned() };
        let mut offsets = Offsets::new(Arc::new(tokio::sync::Mutex::new(session)), scope);
        let at = |partition| TopicPartition { topic: "orders".into(), partition };
        offsets.stored.insert(at(0), ("id".to_owned(), 5));
        offsets.stored.insert(at(1), ("id".to_owned(), 0));
        assert!(offsets.check(&BTreeMap::from([(at(0), 5), (at(1), 3)])).is_ok());
        match offsets.check(&BTreeMap::from([(at(0), 4), (at(1), 3)])) {
            Err(TaskError::Restart(reason)) => assert!(reason.contains("orders/0/4") && reason.contains("offset 5"), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}
