//! Who owns which partition of a sink's group, within this process. Owns deferred revocation and the gate that keeps a commit
//! and a loss of partitions apart (`group/rebalance.rs`: the callback; `group/topics.rs`: what the scout tells); reads no records.
//!
//! A partition goes: assigned by the group (`Fresh`) -> looked up by the scout and told to its lane (`Told`) -> revoked: its
//! lane has until the deadline to release it. Only then it is given back. Losing the membership skips the wait.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Notify;

use super::client::Voice;
use super::native::PartitionQueue;
use super::topic_ids::TopicIds;
use crate::topic_log::partitioner::partition_of_key;
use crate::topic_log::{Assignment, LogError, TopicPartition};

mod pulse;
mod rebalance;
mod topics;

use pulse::Pulse;

/// The consumer of a sink.
pub(super) type SinkConsumer = BaseConsumer<Member>;

/// Context of the consumer.
pub(super) struct Member {
    pub(super) group: Arc<Group>,
    /// The operator wants to hear what librdkafka says.
    pub(super) talks: bool,
}

/// What a lane is told, in order.
pub(super) enum Notice {
    Assigned(Vec<New>),
    Revoked(Vec<TopicPartition>),
}

/// A partition that was looked up. `generation` tells this assignment from an earlier one of the same partition.
pub(super) struct LookedUp {
    pub(super) assignment: Assignment,
    pub(super) generation: u64,
    /// Where it stopped in an earlier run, as the log ended before that.
    pub(super) stopped_at: Option<i64>,
    /// It came after the group was placed at the end: without an offset, `start = "latest"` means its beginning.
    pub(super) late: bool,
}

/// The same on its way to its lane.
pub(super) struct New {
    pub(super) found: LookedUp,
    pub(super) queue: PartitionQueue,
}

struct Part {
    lane: usize,
    generation: u64,
    topic_id: Option<String>,
    /// Until the lane has it.
    queue: Option<PartitionQueue>,
    /// Its topic, created anew, does not have it when it was looked up. The group's leader may never notice.
    absent: bool,
}

impl Part {
    /// Its lane has yet to be told.
    const fn is_fresh(&self) -> bool {
        self.queue.is_some() && !self.absent
    }
}

struct Revocation {
    list: Vec<TopicPartition>,
    /// Not yet released.
    left: BTreeSet<TopicPartition>,
    deadline: Instant,
}

#[derive(Default)]
struct State {
    closing: bool,
    /// When the group last assigned or revoked something; `None`: not yet a member.
    changed: Option<Instant>,
    generation: u64,
    owned: BTreeMap<TopicPartition, Part>,
    inboxes: Vec<VecDeque<Notice>>,
    revocation: Option<Revocation>,
    /// Partitions to be read anew from an offset where a seek is not possible.
    restarts: Vec<(TopicPartition, i64)>,
    failed: Option<LogError>,
}

/// A sink's membership.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) ids: TopicIds,
    voice: Voice,
    /// Longest time a lane may take to let go.
    defer: Duration,
    /// A member that died is still in the group until its session ends: partitions that nobody here owns may be its.
    pub(super) ghost: Duration,
    /// Not by the protocol of KIP-848.
    pub(super) classic: bool,
    consumer: OnceLock<Weak<SinkConsumer>>,
    state: Mutex<State>,
    /// Commits hold it shared, giving partitions up holds it alone: a commit never meets a partition that has just gone.
    gate: RwLock<()>,
    /// By lane.
    pub(super) wakes: Vec<Arc<Notify>>,
    /// How often partitions were given back.
    losses: AtomicU64,
    pulse: Pulse,
}

impl Group {
    pub(super) fn new(
        name: String,
        tasks: u32,
        (max_poll_interval, session, heartbeat): (Duration, Duration, Duration),
        classic: bool,
    ) -> Self {
        let tasks = usize::try_from(tasks.max(1)).unwrap_or(1);
        let inboxes = (0..tasks).map(|_| VecDeque::new()).collect();
        Self {
            voice: Voice::new(name.clone()),
            name,
            ids: TopicIds::default(),
            defer: Duration::from_secs(30).min(max_poll_interval / 2),
            ghost: session + Duration::from_secs(5),
            classic,
            consumer: OnceLock::new(),
            state: Mutex::new(State { inboxes, ..State::default() }),
            gate: RwLock::new(()),
            wakes: (0..tasks).map(|_| Arc::new(Notify::new())).collect(),
            losses: AtomicU64::new(0),
            pulse: Pulse::new(session, heartbeat),
        }
    }

    /// Differs from what it was before where partitions were given back since.
    pub(super) fn losses(&self) -> u64 {
        self.losses.load(Ordering::Acquire)
    }

    /// Called at each turn of the thread that serves the group.
    pub(super) fn beat(&self) {
        self.pulse.beat(Instant::now());
    }

    /// The group was not served for about as long as a session lasts: it may have given everything to others, and what is known here is
    /// from before.
    pub(super) fn stood_still(&self) -> bool {
        self.pulse.has_stopped(Instant::now())
    }

    pub(super) fn set_consumer(&self, consumer: &Arc<SinkConsumer>) {
        // Set once, right after the consumer was made.
        drop(self.consumer.set(Arc::downgrade(consumer)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Partitions of all topics spread over the lanes; one partition always meets the same lane.
    fn lane(&self, at: &TopicPartition) -> usize {
        let lanes = i32::try_from(self.wakes.len()).unwrap_or(1);
        let lane = partition_of_key(at.topic.as_bytes(), lanes).wrapping_add(at.partition).rem_euclid(lanes);
        usize::try_from(lane).unwrap_or(0)
    }

    fn tell(&self, state: &mut State, lane: usize, notice: Notice) {
        if let (Some(inbox), Some(wake)) = (state.inboxes.get_mut(lane), self.wakes.get(lane)) {
            inbox.push_back(notice);
            wake.notify_one();
        }
    }

    /// Tells the lanes that partitions go. A partition that its lane does not know yet needs no telling.
    fn tell_revoked(&self, state: &mut State, list: &[TopicPartition]) -> BTreeSet<TopicPartition> {
        let mut told: BTreeMap<usize, Vec<TopicPartition>> = BTreeMap::new();
        for at in list {
            let known = state.owned.get(at).filter(|part| part.queue.is_none());
            if let Some(part) = known {
                told.entry(part.lane).or_default().push(at.clone());
            }
        }
        let left = told.values().flatten().cloned().collect();
        for (lane, list) in told {
            self.tell(state, lane, Notice::Revoked(list));
        }
        left
    }

    /// The next thing that a lane has to know; an error ends the life of the sink.
    pub(super) fn notice(&self, lane: usize) -> Result<Option<Notice>, LogError> {
        let mut state = self.state();
        match &state.failed {
            Some(error) => Err(error.clone()),
            None => Ok(state.inboxes.get_mut(lane).and_then(VecDeque::pop_front)),
        }
    }

    /// Nothing more is read; every lane learns why.
    pub(super) fn fail(&self, error: LogError) {
        self.state().failed.get_or_insert(error);
        self.wakes.iter().for_each(|wake| wake.notify_one());
    }

    /// From now on partitions are given back without asking anyone: a revocation that waits would keep the consumer from
    /// closing. Queues go first, as each holds the consumer.
    pub(super) fn close(&self, consumer: &SinkConsumer) {
        let gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        state.closing = true;
        let (owned, inboxes) = (std::mem::take(&mut state.owned), std::mem::take(&mut state.inboxes));
        let revocation = state.revocation.take();
        drop(state);
        self.losses.fetch_add(1, Ordering::Release);
        drop((owned, inboxes));
        if let Some(revocation) = revocation {
            self.give_back(consumer, &revocation.list);
        }
        drop(gate);
    }

    /// Those of the asked partitions that are no longer owned by virtue of this assignment.
    pub(super) fn lost(&self, asked: &[(TopicPartition, u64)]) -> Vec<TopicPartition> {
        let state = self.state();
        let owns = |at: &TopicPartition, generation: u64| state.owned.get(at).is_some_and(|part| part.generation == generation);
        asked.iter().filter(|(at, generation)| !owns(at, *generation)).map(|(at, _)| at.clone()).collect()
    }

    /// Runs a commit while no partition can go.
    pub(super) fn while_owned<T>(
        &self,
        asked: &[(TopicPartition, u64)],
        commit: impl FnOnce() -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let lost = self.lost(asked);
        let result = if lost.is_empty() { commit() } else { Err(LogError::NotOwner(lost)) };
        drop(gate);
        result
    }

    /// A lane lets go of partitions.
    pub(super) fn release(&self, partitions: &[TopicPartition]) {
        if let Some(revocation) = &mut self.state().revocation {
            revocation.left.retain(|at| !partitions.contains(at));
        }
    }

    /// Gives back what was revoked once all lanes have let go, the deadline has passed or the membership is lost.
    pub(super) fn settle(&self, consumer: &SinkConsumer) {
        let due = |revocation: &Revocation| {
            revocation.left.is_empty() || Instant::now() >= revocation.deadline || consumer.assignment_lost()
        };
        if !self.state().revocation.as_ref().is_some_and(due) {
            return;
        }
        let gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let Some(revocation) = self.state().revocation.take() else { return };
        if !revocation.left.is_empty() {
            tracing::warn!(group = self.name, partitions = ?revocation.left, "given back without waiting for what is in flight");
        }
        self.give_back(consumer, &revocation.list);
        drop(gate);
    }

    /// The gate must be held.
    fn give_back(&self, consumer: &SinkConsumer, list: &[TopicPartition]) {
        let gone: Vec<_> = {
            let mut state = self.state();
            state.changed = Some(Instant::now());
            state.restarts.retain(|(at, _)| !list.contains(at));
            list.iter().filter_map(|at| state.owned.remove(at)).collect()
        };
        self.losses.fetch_add(1, Ordering::Release);
        drop(gone);
        self.answered("giving partitions back", consumer.incremental_unassign(&positions(list, Offset::Invalid)));
    }

    fn answered(&self, what: &str, result: KafkaResult<()>) {
        if let Err(error) = result {
            self.fail(LogError::Fenced(format!("group `{}`: {what}: {error}", self.name)));
        }
    }

    /// Reads a partition from an offset, where it is not flowing any more and cannot be sought.
    pub(super) fn restart_at(&self, at: &TopicPartition, offset: i64) {
        let mut state = self.state();
        state.restarts.retain(|(other, _)| other != at);
        state.restarts.push((at.clone(), offset));
    }

    /// Does what [`Group::restart_at`] asked for. Not while a revocation waits: it would be taken for its answer.
    pub(super) fn restart(&self, consumer: &SinkConsumer) {
        let mut state = self.state();
        if state.restarts.is_empty() || state.revocation.is_some() {
            return;
        }
        let restarts = std::mem::take(&mut state.restarts);
        let owned: Vec<_> = restarts.into_iter().filter(|(at, _)| state.owned.contains_key(at)).collect();
        drop(state);
        for (at, offset) in owned {
            let list = std::slice::from_ref(&at);
            let place = positions(list, Offset::Offset(offset));
            let gone = consumer.incremental_unassign(&positions(list, Offset::Invalid));
            // Resumed before it is assigned: only that wakes librdkafka's broker thread.
            let back = gone.and_then(|()| consumer.resume(&place)).and_then(|()| consumer.incremental_assign(&place));
            self.answered("reading on", back);
        }
    }

    /// Since when the membership is as it is, and how many partitions this process owns; `None` while something is under way.
    pub(super) fn settled(&self, lane: usize) -> Option<(Instant, usize)> {
        let state = self.state();
        let waiting = state.inboxes.get(lane).is_none_or(|inbox| !inbox.is_empty());
        let fresh = state.owned.values().any(Part::is_fresh);
        if waiting || fresh || state.revocation.is_some() || state.failed.is_some() {
            return None;
        }
        Some((state.changed?, state.owned.values().filter(|part| !part.absent).count()))
    }

    /// The group has assigned something, be it nothing.
    pub(super) fn has_joined(&self) -> bool {
        self.state().changed.is_some()
    }

    /// There is nothing to join for: no topic matches.
    pub(super) fn without_topics(&self) {
        self.state().changed.get_or_insert_with(Instant::now);
    }
}

fn positions(list: &[TopicPartition], offset: Offset) -> TopicPartitionList {
    let mut positions = TopicPartitionList::with_capacity(list.len());
    for at in list {
        if let Err(error) = positions.add_partition_offset(&at.topic, at.partition, offset) {
            tracing::error!(partition = %at, %error, "an offset that Kafka cannot express");
        }
    }
    positions
}
