//! When a source rests, what it waits for, and when it has waited long enough.

use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use crate::guest::GuestError;
use crate::pipeline::TaskError;
use crate::pipeline::source::{SourceTask, settle};
use crate::retry::Backoff;
use crate::telemetry::TaskState;
use crate::topic_log::SourceLog;

/// Longest pause of a source that asks for one while requests wait for it.
const LEFT_WAITING: Duration = Duration::from_millis(100);

impl SourceTask {
    /// `--until-done`: this was the last poll. Of a source that polls it is the one that says to come back later, whatever it
    /// brought; of one with an inbox an empty one, once nothing more is sent.
    pub(super) fn nothing_more(&self, idle: Duration, empty: bool) -> bool {
        let none_now = |feeds: &watch::Receiver<bool>| match &self.grants.inbox {
            Some(inbox) => empty && *feeds.borrow() && inbox.is_drained(),
            None => !idle.is_zero(),
        };
        self.until_done.as_ref().is_some_and(none_now)
    }

    /// Waits until the source may have more, a request arrives, or stopping is requested.
    ///
    /// # Errors
    /// Another owner has taken over: it is not to wait for the next record to be known.
    pub(super) async fn rest(&mut self, idle: Duration, log: &mut dyn SourceLog) -> Result<(), TaskError> {
        let arrival = async {
            match &self.grants.inbox {
                Some(inbox) if inbox.is_drained() => inbox.arrived().await,
                // The source left them on purpose: asking again at once would spin.
                Some(_) => tokio::time::sleep(LEFT_WAITING).await,
                None => std::future::pending().await,
            }
        };
        // Cancel-safe: all branches only wait.
        tokio::select! {
            _ = self.stop.sleep(idle) => Ok(()),
            () = arrival => Ok(()),
            error = log.lost() => Err(error.into()),
        }
    }

    /// Waits before the same append is tried again: the guest need not read anew.
    pub(super) async fn wait_for_log(&mut self, message: String, backoff: &mut Backoff) -> Result<(), TaskError> {
        let Some(wait) = backoff.next(Instant::now(), None) else {
            return Err(TaskError::Restart(format!("topic log: {message}")));
        };
        self.grants.metrics.retried(1);
        tracing::warn!(
            connector = self.grants.connector,
            reason = message,
            ?wait,
            attempt = backoff.attempt(),
            "the topic log is retried"
        );
        self.grants.metrics.state(TaskState::Retrying, Some(backoff.told(&message, wait, SystemTime::now())));
        if self.stop.sleep(wait).await {
            return Err(TaskError::Restart(format!("stopped while the topic log was retried: {message}")));
        }
        Ok(())
    }

    /// A failed call: waits if it may pass, otherwise ends the task.
    pub(super) async fn wait_or_give_up(&mut self, error: GuestError, backoff: &mut Backoff) -> Result<(), TaskError> {
        let GuestError::Retry { message, after } = error else {
            return Err(match error {
                GuestError::Reject(reason) => TaskError::Failed(format!("the source cannot read on: {reason}")),
                other => other.into(),
            });
        };
        let Some(wait) = backoff.next(Instant::now(), after) else {
            return Err(TaskError::Failed(format!("{}: {message}", backoff.given_up())));
        };
        settle(self.grants.inbox.as_deref(), false);
        self.grants.metrics.retried(1);
        self.grants.metrics.state(TaskState::Retrying, Some(backoff.told(&message, wait, SystemTime::now())));
        tracing::warn!(connector = self.grants.connector, reason = message, wait = ?wait, attempt = backoff.attempt(), "retrying");
        self.stop.sleep(wait.max(Duration::from_millis(1))).await;
        Ok(())
    }
}
