//! One lane of a sink: its partitions' queues, how far each was read, and the batch that is being filled. Owns no membership;
//! a queue that is not polled is the back-pressure.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode as Code;
use tokio::time::Instant;

use super::Shared;
use super::client::blocking;
use super::driver::Alive;
use super::filling::Filling;
use super::group::{Group, LookedUp, New, Notice, SinkConsumer};
use super::native::{self, PartitionQueue};
use super::place::{no_answer, resolve};
use crate::batch::Batch;
use crate::topic_log::mark::Mark;
use crate::topic_log::{Assignment, BatchLimits, End, LogError, SinkEvent, SinkLog, Start, TopicPartition, Wanted};

/// Queues are looked at this often even where nothing woke the lane.
const LOOK: Duration = Duration::from_millis(500);

/// A partition of this lane.
pub(super) struct Slot {
    pub(super) at: TopicPartition,
    pub(super) topic_id: String,
    pub(super) generation: u64,
    queue: PartitionQueue,
    /// Next offset to hand out, and to take from the queue: they differ by what the batch that is being filled holds.
    pub(super) delivered: i64,
    pub(super) next: i64,
    /// The end when it was assigned, or when it was reached last.
    high: i64,
    pub(super) at_end: bool,
    pub(super) state: Phase,
    /// It does not fetch: it was not placed yet.
    pub(super) paused: bool,
    /// The log ended before this offset when it was read last: it stays stopped there, however far the log has grown since.
    pub(super) stopped_at: Option<i64>,
    /// It came after the group was placed at the end.
    late: bool,
    /// The consumer reads from another topic of the name: nothing is taken of it, until it comes back as that one's.
    pub(super) foreign: bool,
    /// Nothing of it is handed out; what the batch that is being filled had of it waits here.
    pub(super) held: Option<Batch>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Assigned, no place yet.
    Waiting,
    Flowing,
    /// Its place does not exist.
    Stopped,
    /// Revoked, not yet released.
    Leaving,
}

// Order matters when it is dropped: queues, the consumer, the sign of life that its thread looks for, and `shared`, which
// waits for that thread, last.
pub(super) struct Lane {
    pub(super) slots: Vec<Slot>,
    pub(super) consumer: Arc<SinkConsumer>,
    #[expect(dead_code, reason = "held: the consumer's thread ends with the last lane")]
    alive: Arc<Alive>,
    pub(super) group: Arc<Group>,
    pub(super) wanted: Arc<Wanted>,
    pub(super) lane: usize,
    start: Start,
    pub(super) stops: VecDeque<(TopicPartition, Option<i64>)>,
    filling: Filling,
    /// Of the group, when all partitions here were this lane's still.
    losses: u64,
    /// Of the ids that the consumer fetches by, when they were looked at last; `None`: there are new slots.
    heard: Option<u64>,
    pub(super) shared: Arc<Shared>,
}

/// What all lanes of a sink have in common.
#[derive(Clone)]
pub(super) struct Common {
    pub(super) consumer: Arc<SinkConsumer>,
    pub(super) group: Arc<Group>,
    pub(super) wanted: Arc<Wanted>,
    pub(super) shared: Arc<Shared>,
    pub(super) start: Start,
    pub(super) alive: Arc<Alive>,
}

impl Lane {
    pub(super) fn new(common: Common, lane: usize) -> Self {
        let Common { consumer, group, wanted, shared, start, alive } = common;
        let (slots, stops, filling) = (Vec::new(), VecDeque::new(), Filling::default());
        let losses = group.losses();
        Self { slots, consumer, group, wanted, shared, lane, start, stops, filling, losses, heard: None, alive }
    }

    /// What the group has to say comes before records.
    fn notice(&mut self) -> Result<Option<SinkEvent>, LogError> {
        match self.group.notice(self.lane)? {
            None => Ok(None),
            Some(Notice::Assigned(new)) => Ok(Some(SinkEvent::Assigned(new.into_iter().map(|new| self.take(new)).collect()))),
            Some(Notice::Revoked(list)) => {
                self.slots.iter_mut().filter(|slot| list.contains(&slot.at)).for_each(|slot| slot.state = Phase::Leaving);
                self.drop_read(&list);
                Ok(Some(SinkEvent::Revoked(list)))
            }
        }
    }

    fn take(&mut self, new: New) -> Assignment {
        let New { found: LookedUp { assignment, generation, stopped_at, late }, mut queue } = new;
        // An earlier queue of the same partition would switch the waking of this one off when it goes.
        self.slots.retain(|slot| slot.at != assignment.partition);
        if let Some(wake) = self.group.wakes.get(self.lane).cloned() {
            queue.wakes(wake);
        }
        self.heard = None;
        self.slots.push(Slot {
            at: assignment.partition.clone(),
            topic_id: assignment.topic_id.clone(),
            generation,
            queue,
            delivered: assignment.low,
            next: assignment.low,
            high: assignment.high,
            at_end: false,
            state: Phase::Waiting,
            paused: true,
            stopped_at,
            late,
            foreign: false,
            held: None,
        });
        assignment
    }

    /// Forgets what was read of these partitions and not handed out; they are held no more.
    pub(super) fn drop_read(&mut self, partitions: &[TopicPartition]) {
        self.filling.take_of(partitions);
        self.stops.retain(|(at, _)| !partitions.contains(at));
        self.slots.iter_mut().filter(|slot| partitions.contains(&slot.at)).for_each(|slot| slot.held = None);
    }

    /// The next partition to say of that its place does not exist, and that place. One that is held stands before it: what was
    /// read of it is not done yet.
    fn next_stop(&self) -> Option<(TopicPartition, Option<i64>)> {
        let held = |at: &TopicPartition| self.slots.iter().any(|slot| slot.held.is_some() && slot.at == *at);
        self.stops.iter().find(|(at, _)| !held(at)).cloned()
    }

    /// Drops what may be of another topic than its lane was told. Called after records were taken: the change of a topic's id
    /// is heard before the first record of the new one comes. What is left of the old one goes with it.
    fn drop_foreign(&mut self) {
        let changes = self.group.ids.changes();
        if self.heard.replace(changes) == Some(changes) {
            return;
        }
        for slot in &mut self.slots {
            slot.foreign = self.group.ids.differs(&slot.at.topic, &slot.topic_id);
            if slot.foreign {
                self.filling.take_of(std::slice::from_ref(&slot.at));
            }
        }
    }

    /// Takes what has arrived until the batch is full: an equal share of each partition first, so that a sink may write them beside
    /// each other, then what is there.
    fn fill(&mut self, limits: BatchLimits) {
        // Partitions that may have more.
        let mut fuller = self.slots.iter().filter(|slot| slot.flows()).count();
        while fuller > 0 && !self.filling.is_full(limits) {
            fuller = self.fill_from_each(limits, self.filling.share(limits, fuller));
        }
        self.drop_foreign();
        // Another partition comes first next time.
        if !self.slots.is_empty() {
            self.slots.rotate_left(1);
        }
    }

    /// Answers how many partitions had all of their share.
    fn fill_from_each(&mut self, limits: BatchLimits, share: BatchLimits) -> usize {
        let mut fuller = 0;
        for slot in self.slots.iter_mut().filter(|slot| slot.flows()) {
            let most = self.filling.and(share, limits);
            while !self.filling.is_full(most) {
                match slot.queue.next() {
                    None => break,
                    Some(Ok(message)) => {
                        slot.at_end = false;
                        // A partition that is assigned anew while it flows (`Group::restart`) begins again behind what was taken.
                        if message.offset() >= slot.next {
                            slot.next = message.offset() + 1;
                            self.filling.push(&message, &slot.at.topic);
                        }
                    }
                    Some(Err((Code::PartitionEOF, _))) => {
                        slot.at_end = true;
                        let end = native::known_end(self.consumer.client(), &slot.at.topic, slot.at.partition);
                        slot.high = end.unwrap_or(slot.high);
                    }
                    Some(Err((Code::AutoOffsetReset | Code::OffsetOutOfRange, _))) => {
                        slot.state = Phase::Stopped;
                        self.stops.push_back((slot.at.clone(), self.filling.next_of(&slot.at)));
                        break;
                    }
                    Some(Err((error, reason))) => {
                        tracing::warn!(group = self.group.name, partition = %slot.at, %error, reason, "reading");
                    }
                }
            }
            fuller += usize::from(self.filling.is_full(most));
        }
        fuller
    }

    fn deliver(&mut self, limits: BatchLimits) -> SinkEvent {
        let batch = self.filling.take(limits);
        let mut ends = BTreeSet::new();
        // From the end: the first seen of a partition is its last.
        for (topic, partition, offset) in (0..batch.len()).rev().filter_map(|index| batch.place(index)) {
            let new = ends.insert((topic, partition));
            let slot = self.slots.iter_mut().find(|slot| new && slot.at.partition == partition && &*slot.at.topic == topic);
            if let Some(slot) = slot {
                // It flows: what it stopped at before is past.
                (slot.delivered, slot.stopped_at) = (offset + 1, None);
            }
        }
        SinkEvent::Records(batch)
    }
}

impl Slot {
    fn flows(&self) -> bool {
        self.state == Phase::Flowing && self.held.is_none() && !self.foreign
    }

    fn known_end(&self, consumer: &SinkConsumer) -> i64 {
        native::known_end(consumer.client(), &self.at.topic, self.at.partition).unwrap_or(self.high)
    }
}

#[async_trait]
impl SinkLog for Lane {
    async fn next(&mut self, limits: BatchLimits, wait: Duration) -> Result<SinkEvent, LogError> {
        let until = Instant::now() + wait;
        let Some(wake) = self.group.wakes.get(self.lane).cloned() else {
            return Err(LogError::Fatal("a lane without a number".to_owned()));
        };
        loop {
            if let Some(event) = self.notice()? {
                return Ok(event);
            }
            self.fill(limits);
            let linger = self.filling.since.map(|since| since + limits.linger);
            if linger.is_some_and(|linger| linger <= Instant::now() || self.filling.is_full(limits)) {
                return Ok(self.deliver(limits));
            }
            if linger.is_none()
                && let Some((at, offset)) = self.next_stop()
            {
                let event = self.out_of_range(at.clone(), offset).await?;
                self.stops.retain(|(stopped, _)| *stopped != at);
                if let Some(event) = event {
                    return Ok(event);
                }
                self.slots.iter_mut().filter(|slot| slot.at == at).for_each(|slot| slot.state = Phase::Flowing);
                continue;
            }
            let now = Instant::now();
            let due = linger.unwrap_or(until);
            if now >= due {
                // Records first: that they came is what ends the linger.
                if linger.is_some() {
                    return Ok(self.deliver(limits));
                }
                return Ok(SinkEvent::Idle);
            }
            // Cancel-safe: a permit of `notify_one` that gets lost with a dropped call is made up for by the look that begins
            // every call. That the time passed is no fault.
            drop(tokio::time::timeout_at(due.min(now + LOOK), wake.notified()).await);
        }
    }

    async fn caught_up(&mut self) -> Result<bool, LogError> {
        self.all_is_read().await
    }

    async fn begin(&mut self, starts: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        self.place(starts).await
    }

    async fn commit(&mut self, offsets: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        self.store(offsets, Mark::Plain).await
    }

    async fn follow(&mut self, offsets: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        self.store(offsets, Mark::Followed).await
    }

    fn stop(&mut self, partition: &TopicPartition) {
        self.slots.iter_mut().filter(|slot| slot.at == *partition).for_each(|slot| slot.state = Phase::Stopped);
    }

    async fn keep_stopped(&mut self, partition: &TopicPartition) -> Result<(), LogError> {
        self.store_stopped(partition).await
    }

    async fn seek(&mut self, offsets: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        self.place(offsets).await
    }

    fn hold(&mut self, partitions: &[TopicPartition]) {
        for slot in self.slots.iter_mut().filter(|slot| slot.held.is_none() && partitions.contains(&slot.at)) {
            slot.held = Some(self.filling.take_of(std::slice::from_ref(&slot.at)));
        }
    }

    fn resume(&mut self, partitions: &[TopicPartition]) {
        for slot in self.slots.iter_mut().filter(|slot| partitions.contains(&slot.at)) {
            self.filling.put_back(&slot.held.take().unwrap_or_default());
        }
    }

    fn has_lost(&mut self, records: &Batch) -> bool {
        let all = self.group.stood_still() || self.consumer.assignment_lost();
        let losses = self.group.losses();
        if !all && losses == self.losses {
            return false;
        }
        let asked: Vec<_> = self.slots.iter().map(|slot| (slot.at.clone(), slot.generation)).collect();
        let lost = self.group.lost(&asked);
        if !all && lost.is_empty() {
            self.losses = losses;
        }
        let is_lost = |topic: &str, partition| lost.iter().any(|at| at.partition == partition && *at.topic == *topic);
        all || (0..records.len()).filter_map(|index| records.place(index)).any(|(topic, partition, _)| is_lost(topic, partition))
    }

    async fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.drop_read(partitions);
        self.slots.retain(|slot| slot.state != Phase::Leaving || !partitions.contains(&slot.at));
        self.group.release(partitions);
        let (consumer, group) = (Arc::clone(&self.consumer), Arc::clone(&self.group));
        blocking(move || {
            group.settle(&consumer);
            Ok(())
        })
        .await
    }

    async fn resolve_start(&mut self, partition: &TopicPartition) -> Result<i64, LogError> {
        self.owned(std::iter::once(partition))?;
        let late = self.slots.iter().any(|slot| slot.at == *partition && slot.late);
        let start = if late { Start::Earliest } else { self.start };
        let (consumer, asked) = (Arc::clone(&self.consumer), vec![partition.clone()]);
        blocking(move || resolve(&consumer, &asked, start)?.first().copied().ok_or_else(no_answer)).await
    }

    fn awaits_group(&self) -> Option<&str> {
        self.group.settled(self.lane).is_none().then_some(&self.group.name)
    }

    fn ends(&self) -> Vec<(TopicPartition, End)> {
        let end = |slot: &Slot| {
            let log = slot.known_end(&self.consumer);
            // Markers at the end are no records. Of a partition that is held, the end was seen before it was.
            let reached = slot.at_end && slot.held.is_none() && log <= slot.high;
            let records = if reached { self.filling.next_of(&slot.at).unwrap_or(slot.delivered) } else { log };
            (slot.at.clone(), End { log, records })
        };
        self.slots.iter().map(end).collect()
    }
}
