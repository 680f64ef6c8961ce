//! What a lane commits to its group: offsets, and in their metadata which topic they are of and how they are meant. Kafka keeps the metadata as it is, and gives it back with the offset.

use std::sync::Arc;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};

use super::client::blocking;
use super::fault::fault;
use super::lane::Lane;
use crate::topic_log::mark::Mark;
use crate::topic_log::{LogError, TopicPartition};

/// The metadata of a committed offset: the topic's id, and the mark's word where there is one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Meaning<'a> {
    /// Empty: somebody else committed it, and says nothing about the topic.
    pub(super) topic_id: &'a str,
    pub(super) mark: Mark,
}

impl<'a> Meaning<'a> {
    pub(super) fn parse(metadata: &'a str) -> Self {
        let (topic_id, word) = metadata.split_once(' ').unwrap_or((metadata, ""));
        Self { topic_id, mark: Mark::of(word) }
    }

    fn write(&self) -> String {
        format!("{} {}", self.topic_id, self.mark.word()).trim_end().to_owned()
    }
}

impl Lane {
    /// Commits, as long as the group gives these partitions to this lane.
    pub(super) async fn store(&self, offsets: &[(TopicPartition, i64)], mark: Mark) -> Result<(), LogError> {
        let asked = self.owned(offsets.iter().map(|(at, _)| at))?;
        if offsets.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (at, offset) in offsets {
            let mut element = list.add_partition(&at.topic, at.partition);
            element.set_offset(Offset::Offset(*offset)).map_err(|e| LogError::Fatal(format!("{at} at offset {offset}: {e}")))?;
            if let Some(slot) = self.slots.iter().find(|slot| slot.at == *at) {
                // What was delivered before it stopped is committed after that: it is stopped all the same.
                let mark = if slot.stopped_at == Some(*offset) { Mark::PastTheEnd } else { mark };
                element.set_metadata(Meaning { topic_id: &slot.topic_id, mark }.write());
            }
        }
        let (consumer, group) = (Arc::clone(&self.consumer), Arc::clone(&self.group));
        blocking(move || {
            group.while_owned(&asked, || consumer.commit(&list, CommitMode::Sync).map_err(|e| refused(&group.name, &asked, &e)))
        })
        .await
    }

    /// Its place is behind the last record that was handed out.
    pub(super) async fn store_stopped(&mut self, at: &TopicPartition) -> Result<(), LogError> {
        let place = self.slots.iter().find(|slot| slot.at == *at).map(|slot| (slot.delivered, slot.stopped_at));
        let Some((offset, stopped_at)) = place else { return Err(LogError::NotOwner(vec![at.clone()])) };
        if stopped_at == Some(offset) {
            return Ok(());
        }
        self.store(&[(at.clone(), offset)], Mark::PastTheEnd).await?;
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
        for mark in [Mark::Plain, Mark::PastTheEnd, Mark::Followed] {
            let written = Meaning { topic_id: "x1Y", mark }.write();
            assert_eq!(Meaning::parse(&written), Meaning { topic_id: "x1Y", mark });
        }
        for (metadata, topic_id) in [("", ""), ("x1Y", "x1Y"), ("x1Y past", "x1Y")] {
            assert_eq!(Meaning::parse(metadata), Meaning { topic_id, mark: Mark::Plain });
        }
    }
}
