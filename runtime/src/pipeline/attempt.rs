//! One call of a sink's guest and what follows a failed one: a wait, a fresh instance, or giving up.

use std::time::{Duration, Instant};

use crate::batch::Batch;
use crate::config::AfterBudget;
use crate::guest::{GuestError, SinkGuest};
use crate::outcome::{Rejection, Written};
use crate::pipeline::TaskError;
use crate::pipeline::sink::Running;
use crate::telemetry::TaskState;

/// What one call of the sink came to.
pub(super) enum Attempt {
    Written(Written),
    /// It asked to be called again, and the wait is over.
    Again,
    /// The retry budget is used up.
    Exhausted(Rejection),
    /// The call as a whole can never work.
    Unfit(Rejection),
    Died(GuestError),
}

impl Running<'_> {
    /// One call of the sink.
    pub(super) async fn write(&mut self, records: &Batch) -> Result<Attempt, TaskError> {
        if records.is_empty() {
            return Ok(Attempt::Written(Written::default()));
        }
        let Some(guest) = self.guest.as_mut() else {
            return Err(TaskError::Restart("no instance is running".to_owned()));
        };
        match guest.write(records).await {
            Ok(written) => Ok(Attempt::Written(written)),
            Err(GuestError::Reject(reason)) => Ok(Attempt::Unfit(Rejection::new("sink.rejected", reason))),
            Err(GuestError::Retry { message, after }) => self.wait_for_retry(&message, after).await,
            Err(error @ GuestError::Died { .. }) => Ok(Attempt::Died(error)),
            Err(error @ GuestError::Fatal(_)) => Err(error.into()),
        }
    }

    /// Waits before a repeated call; the retry budget decides when to give up and what follows.
    pub(super) async fn wait_for_retry(&mut self, message: &str, after: Option<Duration>) -> Result<Attempt, TaskError> {
        if self.wait(message, after).await? {
            return Ok(Attempt::Again);
        }
        match self.task.config.connector.retry.then {
            AfterBudget::DeadLetter => Ok(Attempt::Exhausted(Rejection::new("retry.exhausted", message))),
            AfterBudget::Stop => Err(TaskError::Failed(format!("gave up after {} tries: {message}", self.backoff.attempt()))),
        }
    }

    /// A fresh, open instance that knows its partitions.
    pub(super) async fn fresh_guest(&mut self) -> Result<(), TaskError> {
        if self.guest.take().is_some() {
            self.task.grants.metrics.restarted();
        }
        loop {
            let mut guest = SinkGuest::start(&self.task.component, self.task.grants.clone()).await?;
            match guest.open(self.task.context.clone()).await {
                Ok(()) => {
                    if !self.owned.is_empty() {
                        guest.assign(&self.owned).await?;
                    }
                    self.guest = Some(guest);
                    self.task.grants.metrics.recovered();
                    return Ok(());
                }
                Err(GuestError::Retry { message, after }) => {
                    if !self.wait(&message, after).await? {
                        return Err(TaskError::Failed(format!("the sink could not be opened: {message}")));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits with backoff; false when the retry budget is used up. The task stays RETRYING until something succeeds.
    ///
    /// # Errors
    /// [`TaskError::Restart`] when stopping is requested meanwhile: what is in flight is not confirmed and comes again.
    pub(super) async fn wait(&mut self, message: &str, after: Option<Duration>) -> Result<bool, TaskError> {
        let Some(wait) = self.backoff.next(Instant::now(), after) else { return Ok(false) };
        let grants = &self.task.grants;
        grants.metrics.retried(1);
        grants.metrics.state(TaskState::Retrying, Some(message.to_owned()));
        tracing::warn!(
            connector = grants.connector,
            task = grants.task,
            message,
            ?wait,
            attempt = self.backoff.attempt(),
            "retrying"
        );
        if self.task.stop.sleep(wait).await {
            return Err(TaskError::Restart(format!("stopped while retrying: {message}")));
        }
        Ok(true)
    }
}
