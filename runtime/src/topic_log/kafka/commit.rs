//! What a lane commits to its group: offsets, and in their metadata which topic they are of and whether the partition stopped
//! there. Kafka keeps the metadata as it is, and gives it back with the offset.

use std::sync::Arc;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};

use super::client::blocking;
use super::fault::fault;
use super::lane::Lane;
use crate::topic_log::{LogError, TopicPartition};

/// Follows the topic's id where the log ended before the offset.
const STOPPED: &str = "past-the-end";

/// The metadata of a committed offset.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Meaning<'a> {
    /// Empty: somebody else committed it, and says nothing about the topic.
    pub(super) topic_id: &'a str,
    pub(super) stopped: bool,
}

impl<'a> Meaning<'a> {
    pub(super) fn parse(metadata: &'a str) -> Self {
        let (topic_id, mark) = metadata.split_once(' ').unwrap_or((metadata, ""));
        Self { topic_id, stopped: mark == STOPPED }
    }

    fn write(&self) -> String {
        if self.stopped { format!("{} {STOPPED}", self.topic_id) } else { self.topic_id.to_owned() }
    }
}

impl Lane {
    /// Commits, as long as the group gives these partitions to this lane.
    pub(super) async fn store(&self, offsets: &[(TopicPartition, i64)], stopped: bool) -> Result<(), LogError> {
        let asked = self.owned(offsets.iter().map(|(at, _)| at))?;
        if offsets.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (at, offset) in offsets {
            let mut element = list.add_partition(&at.topic, at.partition);
            element.set_offset(Offset::Offset(*offset)).map_err(|e| LogError::Fatal(format!("{at} at offset {offset}: {e}")))?;
            if let Some(slot) = self.slots.iter().find(|slot| slot.at == *at) {
                element.set_metadata(Meaning { topic_id: &slot.topic_id, stopped }.write());
            }
        }
        let (consumer, group) = (Arc::clone(&self.consumer), Arc::clone(&self.group));
        blocking(move || {
            group.while_owned(&asked, || consumer.commit(&list, CommitMode::Sync).map_err(|e| refused(&group.name, &asked, &e)))
        })
        .await
    }

    /// That it stopped outlives this process: the log may have grown past its place by the next start.
    pub(super) async fn keep_stopped(&mut self, at: &TopicPartition, offset: i64) -> Result<(), LogError> {
        if self.slots.iter().any(|slot| slot.at == *at && slot.stopped_at == Some(offset)) {
            return Ok(());
        }
        self.store(&[(at.clone(), offset)], true).await?;
        self.slots.iter_mut().filter(|slot| slot.at == *at).for_each(|slot| slot.stopped_at = Some(offset));
        Ok(())
    }
}

/// What a refused commit means.
fn refused(group: &str, asked: &[(TopicPartition, u64)], error: &KafkaError) -> LogError {
    match error.rdkafka_error_code() {
        Some(
            Code::IllegalGeneration
            | Code::UnknownMemberId
            | Code::FencedMemberEpoch
            | Code::StaleMemberEpoch
            | Code::FencedInstanceId,
        ) => LogError::NotOwner(asked.iter().map(|(at, _)| at.clone()).collect()),
        _ => fault(&format!("committing offsets of group `{group}`"), error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_plain_or_foreign_metadata_has_none() {
        for stopped in [true, false] {
            let written = Meaning { topic_id: "x1Y", stopped }.write();
            assert_eq!(Meaning::parse(&written), Meaning { topic_id: "x1Y", stopped });
        }
        assert_eq!(Meaning::parse(""), Meaning { topic_id: "", stopped: false });
        assert_eq!(Meaning::parse("x1Y past"), Meaning { topic_id: "x1Y", stopped: false });
    }
}
