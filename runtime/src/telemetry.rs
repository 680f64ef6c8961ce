//! What a running deployment shows: counters, states and health of every task, and every metric name (in
//! `telemetry/exposition.rs`) once. Owns no endpoint and starts nothing; pipelines and supervisor tell it what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::topic_log::TopicPartition;

mod burials;
mod connector;
mod exposition;
mod health;
mod lag;
mod process;
mod snapshot;
mod state;
mod trouble;

pub use burials::Buried;
pub use connector::{ConnectorMetrics, Tally};
pub use exposition::CONTENT_TYPE;
pub use health::Health;
pub use snapshot::{ConnectorRow, LogRow, Snapshot, TaskRow};
pub use state::{Kind, TaskState};

/// A log that is silent for less is no outage to the tasks.
const LOST: Duration = Duration::from_secs(5);

/// One task: connector, kind, number.
type Key = (String, Kind, u32);

/// Everything that is known about a running deployment.
#[derive(Debug)]
pub struct Telemetry {
    started: SystemTime,
    tasks: Mutex<BTreeMap<Key, Arc<ConnectorMetrics>>>,
    whole: Mutex<Whole>,
    /// Answers to webhook requests by connector and HTTP status.
    webhooks: Mutex<BTreeMap<(String, u16), u64>>,
}

/// What concerns the process as a whole.
#[derive(Debug, Clone, Default)]
struct Whole {
    /// The topic log was reached once.
    log_known: bool,
    /// Since when the topic log does not answer, where it did before.
    log_lost: Option<SystemTime>,
    /// Why the topic log does not answer.
    log_reason: Option<String>,
    draining: bool,
}

impl Whole {
    /// While the log does not answer, no task that goes by itself is running, even if it has nothing to ask of the log just now.
    fn tell(&self, tasks: &mut [TaskRow], now: SystemTime) {
        let Some(since) = self.log_lost else { return };
        let away = now.duration_since(since).unwrap_or_default();
        if away < LOST {
            return;
        }
        for task in tasks.iter_mut().filter(|task| task.state == TaskState::Running) {
            let why = self.log_reason.as_deref().unwrap_or_default();
            task.state = TaskState::Retrying;
            task.reason = Some(format!("the topic log does not answer: {why}"));
            (task.since, task.since_seconds) = (snapshot::rfc3339(since), away.as_secs_f64());
        }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { started: SystemTime::now(), tasks: Mutex::default(), whole: Mutex::default(), webhooks: Mutex::default() }
    }
}

impl Telemetry {
    /// The figures of one task; the same ones at each call, so that they outlive a restart.
    pub fn connector(&self, name: &str, kind: Kind, task: u32) -> Arc<ConnectorMetrics> {
        let mut tasks = lock(&self.tasks);
        let sibling = tasks.iter().find(|((connector, of, _), _)| connector == name && *of == kind);
        let burials = sibling.map(|(_, metrics)| metrics.burials()).unwrap_or_default();
        let of = || Arc::new(ConnectorMetrics::of(name, task, burials));
        Arc::clone(tasks.entry((name.to_owned(), kind, task)).or_insert_with(of))
    }

    /// The topic log answers. Tells for how long it had not.
    pub fn log_reached(&self) -> Option<Duration> {
        let mut whole = lock(&self.whole);
        whole.log_known = true;
        whole.log_reason = None;
        whole.log_lost.take().map(|since| since.elapsed().unwrap_or_default())
    }

    /// The topic log is not there yet, or no longer. True: it was there until now.
    pub fn log_awaited(&self, reason: &str) -> bool {
        let mut whole = lock(&self.whole);
        whole.log_reason = Some(reason.to_owned());
        let new = whole.log_known && whole.log_lost.is_none();
        if new {
            whole.log_lost = Some(SystemTime::now());
        }
        new
    }

    /// Tells of dead letters that came since the last line about them.
    pub fn tell_dead_letters(&self) {
        lock(&self.tasks).values().for_each(|metrics| metrics.tell_dead_letters());
    }

    /// The partitions that sinks of this process read.
    #[must_use]
    pub fn partitions(&self) -> Vec<TopicPartition> {
        let all: BTreeSet<_> = lock(&self.tasks).values().flat_map(|metrics| metrics.partitions()).collect();
        all.into_iter().collect()
    }

    /// The ends of those, whatever their tasks do just now.
    pub fn ends(&self, ends: &BTreeMap<TopicPartition, i64>) {
        lock(&self.tasks).values().for_each(|metrics| metrics.looked(ends));
    }

    /// The process was asked to stop: from now on it is not ready.
    pub fn draining(&self) {
        lock(&self.whole).draining = true;
    }

    /// Tasks that have not ended by now never will.
    pub fn abandoned(&self, reason: &str) {
        for metrics in lock(&self.tasks).values() {
            if !matches!(metrics.task_state(), TaskState::Failed | TaskState::Finished | TaskState::Stopped) {
                metrics.state(TaskState::Stopped, Some(reason.to_owned()));
            }
        }
    }

    /// A request to a webhook path was answered with this HTTP status.
    pub fn webhook(&self, connector: &str, status: u16) {
        let mut webhooks = lock(&self.webhooks);
        *webhooks.entry((connector.to_owned(), status)).or_default() += 1;
    }

    /// Everything at this moment. The counters of one task belong together: they always add up.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = SystemTime::now();
        let mut tasks: Vec<_> =
            lock(&self.tasks).iter().map(|((name, kind, task), m)| m.row(name.clone(), *kind, *task, now)).collect();
        let whole = lock(&self.whole).clone();
        whole.tell(&mut tasks, now);
        let health = Health::of(&tasks, whole.log_known, whole.log_reason.as_deref(), whole.draining);
        Snapshot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: std::process::id(),
            started: snapshot::rfc3339(self.started),
            log: LogRow { reached: whole.log_known && whole.log_lost.is_none(), reason: whole.log_reason },
            health,
            tasks,
        }
    }

    /// The metrics in the OpenMetrics text format, for `GET /metrics`.
    #[must_use]
    pub fn exposition(&self) -> String {
        let webhooks = lock(&self.webhooks).clone();
        exposition::text(&self.snapshot(), &webhooks, self.started)
    }
}

/// No holder of these locks can leave what they guard half-done, so a poisoned one is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
