//! Figures of one task. Cheap enough to be moved at every batch; read by [`super::Telemetry::snapshot`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::burials::{Burials, Buried};
use super::lag::Lag;
use super::lock;
use super::snapshot::{self, TaskRow};
use super::state::{Current, Kind, TaskState};
use super::trouble::Over;
use crate::topic_log::{End, TopicPartition};

/// What became of the records of one confirmed step; moves the counters together, so that they always add up (invariant 3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub read: u64,
    /// Records that a split added.
    pub split: u64,
    pub delivered: u64,
    pub filtered: u64,
    pub dead_lettered: u64,
}

impl Tally {
    /// Of `inputs` records, where `origin` names the input of each output and `rejects` that of each rejection, both ascending.
    /// An input that ends more than once was split; one that ends nowhere was filtered.
    #[must_use]
    pub fn of(inputs: usize, origin: &[u32], rejects: impl Iterator<Item = u32>) -> Self {
        let mut ended = origin.to_vec();
        ended.extend(rejects);
        let ends = ended.len();
        ended.sort_unstable();
        ended.dedup();
        Self {
            read: inputs as u64,
            split: (ends - ended.len()) as u64,
            delivered: origin.len() as u64,
            filtered: inputs.saturating_sub(ended.len()) as u64,
            dead_lettered: (ends - origin.len()) as u64,
        }
    }

    /// `n` of those that were to be delivered were refused and are dead letters.
    #[must_use]
    pub const fn refused(self, n: usize) -> Self {
        let n = n as u64;
        Self { delivered: self.delivered.saturating_sub(n), dead_lettered: self.dead_lettered + n, ..self }
    }

    /// Moves the counters of a connector.
    pub fn settle(&self, metrics: &ConnectorMetrics) {
        metrics.settle(self);
    }

    const fn settled(&self) -> u64 {
        self.delivered + self.filtered + self.dead_lettered
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.split += other.split;
        self.delivered += other.delivered;
        self.filtered += other.filtered;
        self.dead_lettered += other.dead_lettered;
    }
}

/// Figures of one task of a connector, over all its lives in this process.
#[derive(Debug)]
pub struct ConnectorMetrics {
    /// Connector and number, for what is said of it.
    task: (String, u32),
    /// Shared by the tasks of the connector.
    burials: Arc<Burials>,
    records: Mutex<Records>,
    state: Mutex<Current>,
    retried: AtomicU64,
    restarts: AtomicU64,
    lost: AtomicU64,
    lag: Mutex<Lag>,
    guest_cpu_nanos: AtomicU64,
    guest_memory: AtomicU64,
    guest_memory_peak: AtomicU64,
}

#[derive(Debug, Default)]
struct Records {
    settled: Tally,
    /// Read, and what became of them is not confirmed yet.
    in_flight: u64,
    committed: Option<SystemTime>,
}

impl Default for ConnectorMetrics {
    fn default() -> Self {
        Self {
            task: Default::default(),
            burials: Arc::default(),
            records: Mutex::default(),
            state: Mutex::default(),
            retried: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            lag: Mutex::default(),
            guest_cpu_nanos: AtomicU64::new(0),
            guest_memory: AtomicU64::new(0),
            guest_memory_peak: AtomicU64::new(0),
        }
    }
}

impl ConnectorMetrics {
    /// Of this task.
    pub(super) fn of(connector: &str, task: u32, burials: Arc<Burials>) -> Self {
        Self { task: (connector.to_owned(), task), burials, ..Self::default() }
    }

    /// One line for each trouble that has lasted, once it is over.
    fn tell(&self, over: Option<Over>) {
        if let Some(Over { lasted, tries }) = over {
            let (connector, task) = (&self.task.0, self.task.1);
            tracing::info!(connector, task, "reached again after {} s ({tries} tries)", lasted.as_secs());
        }
    }

    /// Records whose fate is confirmed: delivered, filtered or dead-lettered.
    #[must_use]
    pub fn settled(&self) -> u64 {
        lock(&self.records).settled.settled()
    }

    /// A step is confirmed: its records are no longer in flight.
    pub fn settle(&self, tally: &Tally) {
        let mut records = lock(&self.records);
        records.settled += *tally;
        records.in_flight = records.in_flight.saturating_sub(tally.read);
    }

    /// Records read and not confirmed yet.
    pub fn in_flight(&self, records: usize) {
        lock(&self.records).in_flight = records as u64;
    }

    /// Positions or offsets moved; whatever was retried works again.
    pub fn committed_now(&self) {
        lock(&self.records).committed = Some(SystemTime::now());
        let over = lock(&self.state).recover(true);
        self.tell(over);
    }

    /// Calls or records that were to be tried again.
    pub fn retried(&self, times: u64) {
        self.retried.fetch_add(times, Relaxed);
    }

    /// The task, or the instance of its guest, was started anew.
    pub fn restarted(&self) {
        self.restarts.fetch_add(1, Relaxed);
    }

    /// Dead letters are confirmed.
    pub fn buried(&self, buried: Buried) {
        self.burials.add(buried);
        self.tell_dead_letters();
    }

    pub(super) fn burials(&self) -> Arc<Burials> {
        Arc::clone(&self.burials)
    }

    pub(super) fn tell_dead_letters(&self) {
        self.burials.tell(&self.task.0);
    }

    /// Records that the log has removed before they were read.
    pub fn lost(&self, records: u64) {
        self.lost.fetch_add(records, Relaxed);
    }

    /// The log tells the ends of the partitions that the task owns.
    pub fn ends(&self, ends: Vec<(TopicPartition, End)>) {
        lock(&self.lag).ends(ends);
    }

    /// A partition is the task's, which delivers it from `confirmed` on; `end` is where it ends now.
    pub fn partition_placed(&self, partition: &TopicPartition, confirmed: i64, end: i64) {
        lock(&self.lag).placed(partition, confirmed, end);
    }

    /// For each partition the next offset to deliver: what lies before it is delivered, filtered or a dead letter for good.
    pub fn confirmed<'a>(&self, offsets: impl IntoIterator<Item = (&'a TopicPartition, &'a i64)>) {
        lock(&self.lag).confirmed(offsets);
    }

    /// Whose ends are worth a question.
    pub(super) fn partitions(&self) -> Vec<TopicPartition> {
        lock(&self.lag).partitions().cloned().collect()
    }

    /// The log was asked for the ends of partitions.
    pub(super) fn looked(&self, ends: &BTreeMap<TopicPartition, i64>) {
        let running = lock(&self.state).running_for();
        lock(&self.lag).looked(ends, running);
    }

    /// CPU time of one call of a guest.
    pub fn guest_cpu(&self, time: Duration) {
        self.guest_cpu_nanos.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Memory of the instance that answered last; a task with Wasm transforms has several.
    pub fn guest_memory(&self, bytes: u64) {
        self.guest_memory.store(bytes, Relaxed);
        self.guest_memory_peak.fetch_max(bytes, Relaxed);
    }

    /// The task is in this state, for this reason. A repeated state keeps the time it began.
    pub fn state(&self, state: TaskState, reason: Option<String>) {
        if state.holds_nothing() {
            self.in_flight(0);
        }
        if state == TaskState::Starting {
            lock(&self.lag).left();
        }
        lock(&self.state).change(state, reason);
    }

    /// Records were given up: what was in the way is not told as over.
    pub fn gave_up(&self) {
        lock(&self.state).give_up();
    }

    /// What a task that is STARTING waits for.
    pub fn starting(&self, reason: String) {
        let mut state = lock(&self.state);
        if state.state == TaskState::Starting {
            state.reason = Some(reason);
        }
    }

    /// What was retried works again: back to RUNNING, or to STARTING where the task has not come up yet.
    pub fn recovered(&self) {
        let over = lock(&self.state).recover(false);
        self.tell(over);
    }

    /// Partitions wait for a retry while the others flow on: RETRYING for this reason until `None` is told, whatever recovers.
    pub fn held(&self, reason: Option<String>) {
        let over = lock(&self.state).hold(reason);
        self.tell(over);
    }

    #[must_use]
    pub fn task_state(&self) -> TaskState {
        lock(&self.state).state
    }

    /// A partition stays where it is while the others flow on; shown until the task starts anew or loses the partition.
    pub fn partition_stopped(&self, partition: &str, reason: String) {
        lock(&self.state).stopped.insert(partition.to_owned(), reason);
    }

    /// Why partitions of this task stand still.
    #[must_use]
    pub fn stopped_partitions(&self) -> Vec<String> {
        lock(&self.state).stopped.values().cloned().collect()
    }

    /// The partitions went to another owner.
    pub fn partitions_gone(&self, partitions: &[TopicPartition]) {
        lock(&self.lag).gone(partitions);
        let mut state = lock(&self.state);
        partitions.iter().for_each(|partition| drop(state.stopped.remove(&partition.to_string())));
    }

    pub(super) fn row(&self, connector: String, kind: Kind, task: u32, now: SystemTime) -> TaskRow {
        let age = |then: SystemTime| now.duration_since(then).unwrap_or_default().as_secs_f64();
        let (tally, in_flight, committed) = {
            let records = lock(&self.records);
            (records.settled, records.in_flight, records.committed)
        };
        let lag = lock(&self.lag).records();
        let current = lock(&self.state);
        TaskRow {
            connector,
            kind,
            task,
            state: current.state,
            reason: current.reason.clone(),
            since: snapshot::rfc3339(current.since),
            since_seconds: age(current.since),
            has_run: current.has_run,
            stopped_partitions: current.stopped.clone(),
            read: tally.read + in_flight,
            split: tally.split,
            delivered: tally.delivered,
            filtered: tally.filtered,
            dead_lettered: tally.dead_lettered,
            in_flight,
            retried: self.retried.load(Relaxed),
            restarts: self.restarts.load(Relaxed),
            lost: self.lost.load(Relaxed),
            lag,
            last_commit: committed.map(snapshot::rfc3339),
            commit_age_seconds: committed.map(age),
            guest_cpu_seconds: Duration::from_nanos(self.guest_cpu_nanos.load(Relaxed)).as_secs_f64(),
            guest_memory_bytes: self.guest_memory.load(Relaxed),
            guest_memory_peak_bytes: self.guest_memory_peak.load(Relaxed),
        }
    }
}
