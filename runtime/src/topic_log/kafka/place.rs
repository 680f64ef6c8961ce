//! Where a lane stands: going on from an offset, whether its end is reached, and what is said where the log lost the place.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};

use super::admin::{ends, offsets};
use super::client::blocking;
use super::fault::{code_fault, fault};
use super::lane::{Lane, Phase, Slot};
use crate::topic_log::{LogError, Lost, SinkEvent, Start, TopicPartition};

/// A topic that has just been made is not known everywhere at once: this long none counts as none.
const UNKNOWN: Duration = Duration::from_secs(10);
/// Longest wait for the answer to a question that is only asked to wake a thread.
const WAKE: Duration = Duration::from_secs(1);
/// Longest wait for a seek.
const SEEK: Duration = Duration::from_secs(5);

impl Lane {
    /// The slots of these partitions, all of them still owned.
    pub(super) fn owned<'a>(
        &self,
        asked: impl Iterator<Item = &'a TopicPartition>,
    ) -> Result<Vec<(TopicPartition, u64)>, LogError> {
        let (mut found, mut lost) = (Vec::new(), Vec::new());
        for at in asked {
            match self.slots.iter().find(|slot| slot.at == *at) {
                Some(slot) => found.push((at.clone(), slot.generation)),
                None => lost.push(at.clone()),
            }
        }
        lost.extend(self.group.lost(&found));
        if lost.is_empty() { Ok(found) } else { Err(LogError::NotOwner(lost)) }
    }

    /// Goes on from these offsets. An offset that does not exist stops the partition, and `next` says so.
    pub(super) async fn place(&mut self, places: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        self.owned(places.iter().map(|(at, _)| at))?;
        let partitions: Vec<_> = places.iter().map(|(at, _)| at.clone()).collect();
        self.drop_read(&partitions);
        let mut list = TopicPartitionList::with_capacity(places.len());
        let mut paused = TopicPartitionList::new();
        for (at, offset) in places {
            let Some(slot) = self.slots.iter_mut().find(|slot| slot.at == *at) else { continue };
            // On its way to another owner, who reads on from what is committed.
            if slot.state == Phase::Leaving {
                continue;
            }
            (slot.delivered, slot.next, slot.at_end) = (*offset, *offset, false);
            if slot.stopped_at == Some(*offset) {
                // It stays paused, where it has not flowed yet.
                slot.state = Phase::Stopped;
                self.stops.push_back((at.clone(), Some(*offset)));
                continue;
            }
            let flows = slot.state != Phase::Stopped;
            // Nothing is taken from the queue before the seek has emptied it.
            slot.state = Phase::Waiting;
            if std::mem::take(&mut slot.paused) {
                paused.add_partition(&at.topic, at.partition);
            }
            if flows {
                list.add_partition_offset(&at.topic, at.partition, Offset::Offset(*offset))
                    .map_err(|e| LogError::Fatal(format!("{at} at offset {offset}: {e}")))?;
            } else {
                self.group.restart_at(at, *offset);
            }
        }
        self.seek_all(list, paused).await?;
        for slot in self.slots.iter_mut().filter(|slot| slot.state == Phase::Waiting && partitions.contains(&slot.at)) {
            slot.state = Phase::Flowing;
        }
        Ok(())
    }

    async fn seek_all(&self, list: TopicPartitionList, paused: TopicPartitionList) -> Result<(), LogError> {
        if list.count() == 0 {
            return Ok(());
        }
        let (consumer, group) = (Arc::clone(&self.consumer), Arc::clone(&self.group));
        let mut asked = TopicPartitionList::with_capacity(list.count());
        for element in list.elements() {
            let what = |e: KafkaError| LogError::Fatal(format!("{}/{}: {e}", element.topic(), element.partition()));
            asked.add_partition_offset(element.topic(), element.partition(), Offset::End).map_err(what)?;
        }
        blocking(move || {
            let seek = || consumer.seek_partitions(list.clone(), SEEK).map_err(|e| fault("seeking", &e));
            let mut answer = seek()?;
            if paused.count() > 0 {
                // Placed before it is resumed, so that it never fetches elsewhere; and once more, as only a seek wakes librdkafka's
                // broker thread, which else sleeps for up to a second.
                consumer.resume(&paused).map_err(|e| fault("reading on", &e))?;
                answer = seek()?;
            }
            // What the seek has changed is heard by the broker's thread at its next turn only: a question to each leader is one. That it
            // is not answered says nothing here.
            drop(consumer.offsets_for_times(asked, WAKE));
            for element in answer.elements() {
                let at = TopicPartition { topic: element.topic().into(), partition: element.partition() };
                match (element.error().map_err(|e| e.rdkafka_error_code()), element.offset()) {
                    (Ok(()), _) => {}
                    // It does not flow: not started yet, or stopped by librdkafka.
                    (Err(Some(Code::State)), Offset::Offset(offset)) => group.restart_at(&at, offset),
                    (Err(code), _) => return Err(code_fault(&format!("seeking in {at}"), code.unwrap_or(Code::Unknown))),
                }
            }
            Ok(())
        })
        .await
    }

    /// Nothing is left to read: the ends are asked for, as what librdkafka knows of them may be old.
    pub(super) async fn all_is_read(&self) -> Result<bool, LogError> {
        let counts = |slot: &&Slot| slot.state != Phase::Stopped;
        let Some((since, owned)) = self.group.settled(self.lane) else { return Ok(false) };
        // Also one that has stopped: what was read of it is not done, and why it stopped is not told yet.
        if self.slots.iter().any(|slot| slot.held.is_some()) {
            return Ok(false);
        }
        if !self.slots.iter().filter(counts).all(|slot| slot.state == Phase::Flowing && slot.at_end && !slot.foreign) {
            return Ok(false);
        }
        let (consumer, shared, wanted) = (Arc::clone(&self.consumer), Arc::clone(&self.shared), Arc::clone(&self.wanted));
        let places: Vec<_> = self.slots.iter().filter(counts).map(|slot| (slot.at.clone(), slot.delivered)).collect();
        let group = Arc::clone(&self.group);
        blocking(move || {
            // What is not owned here is another member's, also one's that died and whose session has not ended. Where there is no
            // other, it is about to come.
            let all = shared.partitions_of(&wanted)?;
            if all == 0 && since.elapsed() < UNKNOWN {
                return Ok(false);
            }
            if all > owned && (since.elapsed() < group.ghost || shared.is_alone_in(&group)?) {
                return Ok(false);
            }
            let partitions: Vec<_> = places.iter().map(|(at, _)| at.clone()).collect();
            let ends = offsets(&consumer, &partitions, Offset::End)?;
            // The position passes over what is no record: markers of transactions, aborted records.
            let read = consumer.position().map_err(|e| fault("asking for the position", &e))?;
            let position = |at: &TopicPartition| read.find_partition(&at.topic, at.partition)?.offset().to_raw();
            Ok(places.iter().zip(ends).all(|((at, delivered), end)| position(at).unwrap_or(-1).max(*delivered) >= end))
        })
        .await
    }

    /// Why a partition stopped, with what the log has now. `None`: the log has its place after all, and it is read on there.
    pub(super) async fn out_of_range(&mut self, at: TopicPartition, offset: Option<i64>) -> Result<Option<SinkEvent>, LogError> {
        let slot = self.slots.iter().find(|slot| slot.at == at);
        let offset = offset.unwrap_or(slot.map_or(0, |slot| slot.delivered));
        let before = slot.is_some_and(|slot| slot.stopped_at == Some(offset));
        let group = &self.group.name;
        let (consumer, asked) = (Arc::clone(&self.consumer), vec![at.clone()]);
        let known = blocking(move || Ok(ends(&consumer, &asked)?.first().copied())).await;
        let lost = match known {
            Ok(Some((_, high))) if before => Lost::still_past_the_end(&at, group, offset, high),
            Ok(Some((low, _))) if offset < low => {
                let removed = low - offset;
                let text = format!(
                    "{at}: group `{group}` stands at offset {offset}, but the log begins at {low}: retention removed {removed} \
                     records before this sink had read them. Give the topic a longer `retention.ms`"
                );
                Lost::Removed { low, records: removed.unsigned_abs(), text }
            }
            // What librdkafka had asked for before the log was as it is now.
            Ok(Some((_, high))) if offset <= high => {
                self.group.restart_at(&at, offset);
                return Ok(None);
            }
            Ok(Some((_, high))) => Lost::PastTheEnd(format!(
                "{at}: group `{group}` stands at offset {offset}, but the log ends at {high}: records were lost there, or the topic \
                 was created anew"
            )),
            // Asked again: what is told as past the end stays so, over restarts too.
            Err(error @ LogError::Retry(_)) => return Err(error),
            Ok(None) | Err(_) => {
                Lost::PastTheEnd(format!("{at}: group `{group}` stands at offset {offset}, which the log does not have"))
            }
        };
        Ok(Some(SinkEvent::OutOfRange(at, lost)))
    }
}

pub(super) fn no_answer() -> LogError {
    LogError::Retry("Kafka did not answer where a partition begins".to_owned())
}

/// What `start` means for partitions now. Blocks.
pub(super) fn resolve<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    start: Start,
) -> Result<Vec<i64>, LogError> {
    match start {
        Start::Earliest => offsets(consumer, partitions, Offset::Beginning),
        Start::Latest => offsets(consumer, partitions, Offset::End),
        Start::At(time) => {
            let found = offsets(consumer, partitions, Offset::Offset(time.max(0)))?;
            let ends = offsets(consumer, partitions, Offset::End)?;
            Ok(found.into_iter().zip(ends).map(|(offset, end)| if offset < 0 { end } else { offset }).collect())
        }
    }
}
