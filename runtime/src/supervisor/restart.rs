//! How often a connector is started again: with backoff as long as what failed may pass, a few times for a guest that ends
//! itself without getting on, never for what someone has to change.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{AfterBudget, Retry};
use crate::pipeline::{Stop, TaskError};
use crate::retry::Backoff;
use crate::telemetry::{ConnectorMetrics, TaskState};

/// Starts without progress before a guest that ends itself stays failed.
const DEATHS: u32 = 5;
/// A run this long counts as progress.
const STEADY: Duration = Duration::from_secs(60);

/// Restarts of one connector or task.
#[derive(Debug)]
pub(super) struct Restarts {
    backoff: Backoff,
    deaths: u32,
    started: Instant,
    settled: u64,
}

impl Restarts {
    pub(super) fn new(seed: u64) -> Self {
        let retry = Retry { initial: Duration::from_millis(500), max: STEADY, budget: None, then: AfterBudget::Stop };
        Self { backoff: Backoff::new(&retry, seed), deaths: 0, started: Instant::now(), settled: 0 }
    }

    /// Call at each start, with all tasks that start together.
    pub(super) fn starting(&mut self, tasks: &[Arc<ConnectorMetrics>]) {
        self.started = Instant::now();
        self.settled = settled(tasks);
        tasks.iter().for_each(|metrics| metrics.state(TaskState::Starting, None));
    }

    /// After a fault: waits and answers Ok when the connector is to be started again, or why it stays failed.
    pub(super) async fn after(
        &mut self,
        error: TaskError,
        name: &str,
        tasks: &[Arc<ConnectorMetrics>],
        stop: &mut Stop,
    ) -> Result<(), String> {
        if settled(tasks) > self.settled || self.started.elapsed() > STEADY {
            self.backoff.reset();
            self.deaths = 0;
        }
        let reason = match error {
            TaskError::Failed(reason) => return Err(reason),
            TaskError::Died(reason) => {
                self.deaths += 1;
                if self.deaths >= DEATHS {
                    return Err(format!("ended {DEATHS} times without getting on, it stays where it is: {reason}"));
                }
                reason
            }
            TaskError::Restart(reason) => reason,
        };
        if stop.is_requested() {
            return Ok(());
        }
        let wait = self.backoff.next(Instant::now(), None).unwrap_or(STEADY);
        tracing::warn!(connector = name, reason, ?wait, "starting again after a wait");
        for metrics in tasks {
            metrics.restarted();
            // Nothing is held while it waits: what was in flight is read again.
            metrics.in_flight(0);
            metrics.state(TaskState::Retrying, Some(reason.clone()));
        }
        stop.sleep(wait).await;
        Ok(())
    }
}

/// Records whose fate the tasks have confirmed.
fn settled(tasks: &[Arc<ConnectorMetrics>]) -> u64 {
    tasks.iter().map(|metrics| metrics.settled()).sum()
}

/// A connector that stays failed: said once, shown from then on.
pub(super) fn failed(name: &str, task: u32, reason: &str, metrics: &ConnectorMetrics) {
    tracing::error!(connector = name, task, reason, "connector failed");
    metrics.state(TaskState::Failed, Some(reason.to_owned()));
}
