//! How often a connector is started again: with backoff as long as what failed may pass, a few times for a guest that ends
//! itself without getting on, never for what someone has to change.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::config::{AfterBudget, Retry};
use crate::pipeline::{Stop, TaskError};
use crate::retry::Backoff;
use crate::telemetry::{ConnectorMetrics, TaskState};

/// Starts without progress before a guest that ends itself stays failed.
const DEATHS: u32 = 5;
/// Between two looks at whether the other worker still has the work.
const STANDBY: Duration = Duration::from_secs(5);
/// A run this long counts as progress.
const STEADY: Duration = Duration::from_secs(60);

/// Restarts of one connector or task.
#[derive(Debug)]
pub(super) struct Restarts {
    backoff: Backoff,
    deaths: u32,
    started: Instant,
    settled: u64,
    /// Why it was to be started again last.
    reason: Option<String>,
    /// Another worker has the work.
    standby: bool,
}

impl Restarts {
    pub(super) fn new(seed: u64) -> Self {
        let retry = Retry { initial: Duration::from_millis(500), max: STEADY, budget: None, then: AfterBudget::Stop };
        Self { backoff: Backoff::new(&retry, seed), deaths: 0, started: Instant::now(), settled: 0, reason: None, standby: false }
    }

    /// Call at each start, with all tasks that start together.
    pub(super) fn starting(&mut self, tasks: &[Arc<ConnectorMetrics>]) {
        self.started = Instant::now();
        self.settled = settled(tasks);
        // A look at whether the other worker is still there is no start.
        if !self.standby {
            tasks.iter().for_each(|metrics| metrics.state(TaskState::Starting, None));
        }
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
            TaskError::Standby(reason) => {
                self.stand_by(name, &reason, tasks, stop).await;
                return Ok(());
            }
        };
        self.standby = false;
        self.reason = Some(reason.clone());
        if stop.is_requested() {
            return Ok(());
        }
        let wait = self.backoff.next(Instant::now(), None).unwrap_or(STEADY);
        tracing::warn!(connector = name, reason, ?wait, "starting again after a wait");
        for metrics in tasks {
            metrics.restarted();
            // Nothing is held while it waits: what was in flight is read again.
            metrics.in_flight(0);
            metrics.state(TaskState::Retrying, Some(self.backoff.told(&reason, wait, SystemTime::now())));
        }
        stop.sleep(wait).await;
        Ok(())
    }

    /// Said when it begins; looked at again after a while. Nothing was in flight that the other worker does not read.
    async fn stand_by(&mut self, name: &str, reason: &str, tasks: &[Arc<ConnectorMetrics>], stop: &mut Stop) {
        if !self.standby {
            tracing::warn!(connector = name, reason, "another worker has this work");
        }
        self.standby = true;
        self.backoff.reset();
        for metrics in tasks {
            metrics.state(TaskState::Standby, Some(reason.to_owned()));
        }
        stop.sleep(STANDBY).await;
    }

    /// Stopping was requested after a fault: what was in flight is not confirmed, and that is shown.
    pub(super) fn stopped(&self, name: &str, tasks: &[Arc<ConnectorMetrics>]) {
        if self.standby {
            tasks.iter().for_each(|metrics| metrics.state(TaskState::Stopped, None));
            return;
        }
        let reason = self.reason.as_deref().unwrap_or_default();
        tracing::warn!(connector = name, reason, "stopped before all was confirmed: it comes again at the next start");
        for metrics in tasks {
            metrics.state(TaskState::Stopped, Some(format!("what was in flight comes again at the next start: {reason}")));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What follows a fault, without the wait: stopping is requested already.
    async fn after(restarts: &mut Restarts, error: TaskError) -> Result<(), String> {
        let (sender, mut stop) = Stop::new();
        sender.send_replace(true);
        restarts.after(error, "s", &[Arc::default()], &mut stop).await
    }

    fn died() -> TaskError {
        TaskError::Died("trap".to_owned())
    }

    #[tokio::test]
    async fn what_someone_has_to_change_is_never_started_again() {
        let failed = TaskError::Failed("set a topic".to_owned());
        assert_eq!(after(&mut Restarts::new(0), failed).await, Err("set a topic".to_owned()));
    }

    #[tokio::test]
    async fn what_may_pass_is_started_again_without_end() {
        let mut restarts = Restarts::new(0);
        for _ in 0..100 {
            assert_eq!(after(&mut restarts, TaskError::Restart("down".to_owned())).await, Ok(()));
        }
    }

    #[tokio::test]
    async fn a_guest_that_ends_itself_stays_failed_after_a_few_starts_without_progress() {
        let mut restarts = Restarts::new(0);
        for _ in 1..DEATHS {
            assert_eq!(after(&mut restarts, died()).await, Ok(()));
        }
        let reason = after(&mut restarts, died()).await.unwrap_err();
        assert!(reason.contains("5 times") && reason.contains("trap"), "{reason}");
    }

    #[tokio::test]
    async fn who_stands_by_is_seen_to_and_stops_without_a_fault() {
        let mut restarts = Restarts::new(0);
        let (sender, mut stop) = Stop::new();
        sender.send_replace(true);
        let metrics = [Arc::<ConnectorMetrics>::default()];
        restarts.after(TaskError::Standby("worker 7".to_owned()), "s", &metrics, &mut stop).await.unwrap();
        restarts.starting(&metrics);
        assert_eq!(metrics[0].task_state(), TaskState::Standby);
        restarts.stopped("s", &metrics);
        assert_eq!(metrics[0].task_state(), TaskState::Stopped);
    }

    #[tokio::test]
    async fn a_long_run_counts_as_progress() {
        let mut restarts = Restarts::new(0);
        for _ in 1..DEATHS {
            after(&mut restarts, died()).await.unwrap();
        }
        restarts.started = Instant::now().checked_sub(STEADY * 2).unwrap();
        assert_eq!(after(&mut restarts, died()).await, Ok(()));
        assert_eq!(restarts.deaths, 1);
    }

    #[tokio::test]
    async fn a_request_to_stop_cuts_the_wait_short() {
        let (sender, mut stop) = Stop::new();
        let mut restarts = Restarts::new(0);
        // The fortieth wait would last a minute.
        (0..40).for_each(|_| assert!(restarts.backoff.next(Instant::now(), None).is_some()));
        let metrics = [Arc::default()];
        let waiting = restarts.after(TaskError::Restart("down".to_owned()), "s", &metrics, &mut stop);
        let (ended, _) = tokio::join!(waiting, async { sender.send_replace(true) });
        assert_eq!(ended, Ok(()));
    }
}
