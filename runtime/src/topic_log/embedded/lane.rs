//! One lane of a sink. Owns which partitions it reads (partition p belongs to lane p % tasks), how far each was read, and
//! the batch that is being filled. Assignment is static: partitions only come, unless a newer join of the group takes over.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Shared;
use super::catalog::{Catalog, Partition};
use super::commit::{Committed, committed};
use super::fetch::{self, Fetched, Gap, Span};
use crate::batch::Batch;
use crate::topic_log::mark::Mark;
use crate::topic_log::{
    Assignment, BatchLimits, End, LogError, Lost, SinkEvent, SinkLog, SinkSpec, Start, TopicPartition, Wanted,
};

/// A partition of this lane.
#[derive(Debug)]
pub(super) struct Slot {
    at: TopicPartition,
    pub(super) topic_id: String,
    stream: i64,
    /// Next offset to fetch, and next offset to hand out: they differ by what the unfinished batch holds.
    pub(super) fetched: i64,
    pub(super) delivered: i64,
    state: State,
    held: bool,
    /// The log ended before this offset when it was read last: it stays stopped there, however far the log has grown since.
    pub(super) stopped_at: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Assigned, no place yet.
    Waiting,
    Flowing,
    /// Its place does not exist.
    Stopped,
}

/// The batch that is being filled; it outlives a call that is dropped.
#[derive(Debug, Default)]
struct Filling {
    batch: Batch,
    since: Option<Instant>,
    full: bool,
}

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) shared: Arc<Shared>,
    seen: watch::Receiver<Arc<Catalog>>,
    pub(super) group: String,
    pub(super) join: u64,
    /// The group has a member as long as a lane holds this.
    _alive: Arc<()>,
    wanted: Wanted,
    start: Start,
    /// For `start = "latest"`: what was there when the group began, by the number of its last stream.
    begun: i64,
    lane: u32,
    tasks: u32,
    slots: Vec<Slot>,
    /// Topics looked at, by number: each is decided on once.
    decided: BTreeSet<i64>,
    stops: VecDeque<(TopicPartition, Lost)>,
    filling: Filling,
}

/// Joins the group, one lane a task; lanes of an earlier join lose their partitions.
pub(super) fn join(shared: &Arc<Shared>, spec: &SinkSpec, begun: i64) -> Result<Vec<Box<dyn SinkLog>>, LogError> {
    shared.writer()?;
    let wanted = Wanted::of_sink(&spec.topics, &spec.deployment, spec.dead_letters.as_deref())?;
    let group = spec.group();
    let (join, alive) = shared.groups.join(&group);
    // Wakes the lanes of an earlier join.
    shared.catalog.send_modify(|_| ());
    let tasks = spec.tasks.max(1);
    let lane = |lane| -> Box<dyn SinkLog> {
        Box::new(Lane {
            shared: Arc::clone(shared),
            seen: shared.catalog.subscribe(),
            group: group.clone(),
            join,
            _alive: Arc::clone(&alive),
            wanted: wanted.clone(),
            start: spec.start,
            begun,
            lane,
            tasks,
            slots: Vec::new(),
            decided: BTreeSet::new(),
            stops: VecDeque::new(),
            filling: Filling::default(),
        })
    };
    Ok((0..tasks).map(lane).collect())
}

impl Lane {
    fn newest(&self) -> bool {
        self.shared.groups.is_newest(&self.group, self.join)
    }

    pub(super) fn slot(&mut self, at: &TopicPartition) -> Result<&mut Slot, LogError> {
        let not_owner = || LogError::NotOwner(vec![at.clone()]);
        self.slots.iter_mut().find(|slot| slot.at == *at).ok_or_else(not_owner)
    }

    pub(super) fn check_owned<'a>(&self, asked: impl Iterator<Item = &'a TopicPartition>) -> Result<(), LogError> {
        let newest = self.newest();
        let lost: Vec<_> = asked.filter(|at| !newest || !self.slots.iter().any(|slot| slot.at == **at)).cloned().collect();
        if lost.is_empty() { Ok(()) } else { Err(LogError::NotOwner(lost)) }
    }

    /// New partitions of topics that this lane has not decided on yet.
    async fn discover(&mut self, catalog: &Catalog) -> Result<Option<SinkEvent>, LogError> {
        if catalog.topics.len() == self.decided.len() {
            return Ok(None);
        }
        let topics = || catalog.topics.values().filter(|topic| !self.decided.contains(&topic.number));
        let mut slots = Vec::new();
        for topic in topics().filter(|topic| self.wanted.takes(&topic.name)) {
            for (partition, Partition { stream, .. }) in topic.numbered() {
                let own = u32::try_from(partition).is_ok_and(|p| p % self.tasks == self.lane);
                let at = TopicPartition { topic: Arc::clone(&topic.name), partition };
                let (topic_id, state) = (topic.id.clone(), State::Waiting);
                let slot = Slot { at, topic_id, stream, fetched: 0, delivered: 0, state, held: false, stopped_at: None };
                slots.extend(own.then_some(slot));
            }
        }
        let asked: Vec<_> = slots.iter().map(|slot| (slot.topic_id.clone(), slot.at.clone())).collect();
        let group = self.group.clone();
        let offsets = self
            .shared
            .readers
            .run(move |db| asked.iter().map(|(id, at)| committed(db, &group, id, at)).collect::<Result<Vec<_>, _>>());
        // Nothing of this lane has changed up to here: a call dropped while it waits loses nothing.
        let offsets = offsets.await?;
        for (slot, committed) in slots.iter_mut().zip(&offsets) {
            slot.stopped_at = committed.filter(|c| c.mark == Mark::PastTheEnd).map(|c| c.next);
        }
        let assignments: Vec<_> =
            slots.iter().zip(offsets).map(|(slot, committed)| assignment(slot, committed, catalog)).collect();
        let decided: Vec<_> = topics().map(|topic| topic.number).collect();
        self.decided.extend(decided);
        self.slots.extend(slots);
        Ok((!assignments.is_empty()).then_some(SinkEvent::Assigned(assignments)))
    }

    /// Reads what there is into the unfinished batch, up to the limits.
    async fn fetch(&mut self, catalog: &Catalog, limits: BatchLimits) -> Result<(), LogError> {
        let has_more = |slot: &&Slot| {
            // Also where the place has fallen below the beginning: the fetch then says so.
            slot.state == State::Flowing && !slot.held && catalog.ends(&slot.at).is_none_or(|ends| slot.fetched < ends.high)
        };
        let spans: Vec<_> = self.slots.iter().filter(has_more).map(Slot::span).collect();
        let records = limits.records.max(1).saturating_sub(self.filling.batch.len());
        let bytes = limits.bytes.saturating_sub(self.filling.batch.data.len());
        if spans.is_empty() || records == 0 {
            return Ok(());
        }
        let reading = spans.clone();
        let fetched = self.shared.readers.run(move |db| fetch::fetch(db, &reading, records, bytes)).await?;
        self.take(&spans, fetched);
        Ok(())
    }

    fn take(&mut self, spans: &[Span], fetched: Fetched) {
        for (span, reached) in spans.iter().zip(&fetched.reached) {
            let Some(slot) = self.slots.iter_mut().find(|slot| slot.stream == span.stream) else { continue };
            match reached {
                Ok(next) => slot.fetched = *next,
                Err(gap) => {
                    slot.state = State::Stopped;
                    self.stops.push_back((slot.at.clone(), out_of_range(&self.group, slot, *gap)));
                }
            }
        }
        // Another partition comes first next time.
        if !self.slots.is_empty() {
            self.slots.rotate_left(1);
        }
        let filling = &mut self.filling;
        filling.full |= fetched.full;
        if filling.batch.is_empty() && !fetched.batch.is_empty() {
            filling.batch = fetched.batch;
            filling.since = Some(Instant::now());
        } else {
            fetched.batch.records().for_each(|record| filling.batch.push(&record));
        }
    }

    /// Drops the unfinished batch; it is read again.
    fn rewind(&mut self) {
        self.filling = Filling::default();
        self.slots.iter_mut().for_each(|slot| slot.fetched = slot.delivered);
    }

    fn deliver(&mut self) -> SinkEvent {
        for slot in self.slots.iter_mut().filter(|slot| slot.delivered != slot.fetched) {
            // It flows: what it stopped at before is past.
            (slot.delivered, slot.stopped_at) = (slot.fetched, None);
        }
        SinkEvent::Records(std::mem::take(&mut self.filling).batch)
    }

    /// Goes on from these offsets; one that the partition does not hold stops it, and `next` says so.
    fn place(&mut self, places: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        self.check_owned(places.iter().map(|(at, _)| at))?;
        self.rewind();
        let catalog = Arc::clone(&self.shared.catalog.borrow());
        for (at, offset) in places {
            let ends = catalog.ends(at);
            let group = self.group.clone();
            let slot = self.slot(at)?;
            (slot.fetched, slot.delivered, slot.held) = (*offset, *offset, false);
            let fits = slot.stopped_at != Some(*offset) && ends.is_some_and(|ends| (ends.low..=ends.high).contains(offset));
            slot.state = if fits { State::Flowing } else { State::Stopped };
            let gap = ends.map_or(Gap { low: 0, high: 0 }, |ends| Gap { low: ends.low, high: ends.high });
            let lost = out_of_range(&group, slot, gap);
            self.stops.retain(|(stopped, _)| stopped != at);
            if !fits {
                self.stops.push_back((at.clone(), lost));
            }
        }
        Ok(())
    }

    /// One that is held stands before its gap: what was read of it is not done yet.
    fn next_stop(&self) -> Option<(TopicPartition, Lost)> {
        let held = |at: &TopicPartition| self.slots.iter().any(|slot| slot.held && slot.at == *at);
        self.stops.iter().find(|(at, _)| !held(at)).cloned()
    }

    /// A newer join of the group took over.
    fn revoked(&mut self) -> Option<SinkEvent> {
        let gone: Vec<_> = self.slots.drain(..).map(|slot| slot.at).collect();
        self.stops.clear();
        self.filling = Filling::default();
        (!gone.is_empty()).then_some(SinkEvent::Revoked(gone))
    }
}

impl Slot {
    fn span(&self) -> Span {
        Span { stream: self.stream, topic: Arc::clone(&self.at.topic), partition: self.at.partition, from: self.fetched }
    }
}

fn assignment(slot: &Slot, committed: Option<Committed>, catalog: &Catalog) -> Assignment {
    let (low, high) = catalog.ends(&slot.at).map_or((0, 0), |ends| (ends.low, ends.high));
    let followed = committed.is_some_and(|c| c.mark == Mark::Followed);
    let committed = committed.map(|c| c.next);
    Assignment { partition: slot.at.clone(), topic_id: slot.topic_id.clone(), committed, followed, low, high }
}

fn out_of_range(group: &str, slot: &Slot, gap: Gap) -> Lost {
    let (at, offset, Gap { low, high }) = (&slot.at, slot.fetched, gap);
    if offset < low {
        let removed = low - offset;
        let text = format!(
            "{at}: group `{group}` stands at offset {offset}, but the log begins at {low}: retention removed {removed} records \
             before this sink had read them. Give the topic a longer `retention.ms`"
        );
        return Lost::Removed { low, records: removed.unsigned_abs(), text };
    }
    if slot.stopped_at == Some(offset) {
        return Lost::still_past_the_end(at, group, offset, high);
    }
    Lost::PastTheEnd(format!(
        "{at}: group `{group}` stands at offset {offset}, but the log ends at {high}: it is not the log that this offset came from \
         (an older copy of the state-dir, perhaps)"
    ))
}

#[async_trait]
impl SinkLog for Lane {
    async fn next(&mut self, limits: BatchLimits, wait: Duration) -> Result<SinkEvent, LogError> {
        let until = Instant::now() + wait;
        // A dropped call may have read more than this one may hand out.
        if self.filling.batch.len() > limits.records.max(1) || self.filling.batch.data.len() > limits.bytes {
            self.rewind();
        }
        loop {
            let catalog = Arc::clone(&self.seen.borrow_and_update());
            if self.newest() {
                if let Some(event) = self.discover(&catalog).await? {
                    return Ok(event);
                }
                self.fetch(&catalog, limits).await?;
            } else if let Some(event) = self.revoked() {
                return Ok(event);
            }
            let linger = self.filling.since.map(|since| since + limits.linger);
            let full = self.filling.full || self.filling.batch.len() >= limits.records;
            if linger.is_some_and(|linger| full || linger <= Instant::now()) {
                return Ok(self.deliver());
            }
            if linger.is_none()
                && let Some((at, lost)) = self.next_stop()
            {
                self.stops.retain(|(stopped, _)| *stopped != at);
                return Ok(SinkEvent::OutOfRange(at, lost));
            }
            if !self.shared.changed(&mut self.seen, linger.unwrap_or(until)).await? {
                // Records first: that they came is what ends the linger.
                return Ok(if linger.is_some() { self.deliver() } else { SinkEvent::Idle });
            }
        }
    }

    async fn caught_up(&mut self) -> Result<bool, LogError> {
        let catalog = self.shared.catalog.borrow();
        let at_end = |slot: &Slot| catalog.ends(&slot.at).is_some_and(|ends| slot.delivered >= ends.high);
        let flown = |slot: &Slot| slot.state == State::Stopped || (slot.state == State::Flowing && at_end(slot));
        let done = |slot: &Slot| !slot.held && flown(slot);
        Ok(self.newest() && self.stops.is_empty() && self.slots.iter().all(done))
    }

    async fn begin(&mut self, starts: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        self.place(starts)
    }

    async fn commit(&mut self, offsets: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        self.store(offsets, Mark::Plain).await
    }

    async fn follow(&mut self, offsets: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        self.store(offsets, Mark::Followed).await
    }

    fn stop(&mut self, partition: &TopicPartition) {
        self.slots.iter_mut().filter(|slot| slot.at == *partition).for_each(|slot| slot.state = State::Stopped);
    }

    async fn keep_stopped(&mut self, partition: &TopicPartition) -> Result<(), LogError> {
        self.store_stopped(partition).await
    }

    async fn seek(&mut self, offsets: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        self.place(offsets)
    }

    fn hold(&mut self, partitions: &[TopicPartition]) {
        // What the unfinished batch has of them must not go out; it costs little to read it again.
        self.rewind();
        self.slots.iter_mut().filter(|slot| partitions.contains(&slot.at)).for_each(|slot| slot.held = true);
    }

    fn resume(&mut self, partitions: &[TopicPartition]) {
        self.slots.iter_mut().filter(|slot| partitions.contains(&slot.at)).for_each(|slot| slot.held = false);
    }

    async fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.rewind();
        self.slots.retain(|slot| !partitions.contains(&slot.at));
        self.stops.retain(|(at, _)| !partitions.contains(at));
        Ok(())
    }

    async fn resolve_start(&mut self, partition: &TopicPartition) -> Result<i64, LogError> {
        let stream = self.slot(partition)?.stream;
        // What came after the group's first start is read from its beginning.
        let start = if stream > self.begun { Start::Earliest } else { self.start };
        self.shared.readers.run(move |db| fetch::resolve(db, stream, start)).await
    }

    fn awaits_group(&self) -> Option<&str> {
        (self.shared.catalog.borrow().topics.len() != self.decided.len()).then_some(&self.group)
    }

    fn ends(&self) -> Vec<(TopicPartition, End)> {
        let catalog = self.shared.catalog.borrow();
        let end = |slot: &Slot| catalog.ends(&slot.at).map(|ends| (slot.at.clone(), End { log: ends.high, records: ends.high }));
        self.slots.iter().filter_map(end).collect()
    }
}
