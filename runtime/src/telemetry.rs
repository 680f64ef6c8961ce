//! What a running deployment shows: counters, states and health of every task, and every metric name (in
//! `telemetry/exposition.rs`) once. Owns no endpoint and starts nothing; pipelines and supervisor tell it what happened.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

mod connector;
mod exposition;
mod health;
mod process;
mod snapshot;
mod state;

pub use connector::{ConnectorMetrics, Tally};
pub use exposition::CONTENT_TYPE;
pub use health::Health;
pub use snapshot::{ConnectorRow, LogRow, Snapshot, TaskRow};
pub use state::{Kind, TaskState};

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
    log_reached: bool,
    /// Why the topic log is not there yet.
    log_reason: Option<String>,
    draining: bool,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { started: SystemTime::now(), tasks: Mutex::default(), whole: Mutex::default(), webhooks: Mutex::default() }
    }
}

impl Telemetry {
    /// The figures of one task; the same ones at each call, so that they outlive a restart.
    pub fn connector(&self, name: &str, kind: Kind, task: u32) -> Arc<ConnectorMetrics> {
        Arc::clone(lock(&self.tasks).entry((name.to_owned(), kind, task)).or_default())
    }

    /// The topic log answers.
    pub fn log_reached(&self) {
        let mut whole = lock(&self.whole);
        whole.log_reached = true;
        whole.log_reason = None;
    }

    /// The topic log is not there yet.
    pub fn log_awaited(&self, reason: &str) {
        lock(&self.whole).log_reason = Some(reason.to_owned());
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
        let tasks: Vec<_> =
            lock(&self.tasks).iter().map(|((name, kind, task), m)| m.row(name.clone(), *kind, *task, now)).collect();
        let whole = lock(&self.whole).clone();
        let health = Health::of(&tasks, whole.log_reached, whole.log_reason.as_deref(), whole.draining);
        Snapshot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: std::process::id(),
            started: snapshot::rfc3339(self.started),
            log: LogRow { reached: whole.log_reached, reason: whole.log_reason },
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
