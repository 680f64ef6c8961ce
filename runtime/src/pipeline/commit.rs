//! The offsets of an at-least-once sink: when they are committed, and the flush that has to come first where a guest buffers. For
//! exactly once see `exactly_once.rs`.
//!
//! Whoever waits, buries, or changes what the task reads commits first.

use std::time::{Duration, Instant};

use crate::guest::GuestError;
use crate::pipeline::TaskError;
use crate::pipeline::sink::Running;
use crate::topic_log::{LogError, TopicPartition};

/// Offsets of batches that follow each other at once are committed together: a commit takes as long as a small batch.
const TOGETHER: Duration = Duration::from_millis(100);

impl Running<'_> {
    /// Makes durable what a buffered sink holds, then commits.
    pub(super) async fn flush(&mut self) -> Result<(), TaskError> {
        self.flushed = Instant::now();
        if !self.awaiting.is_unflushed() {
            return self.commit_confirmed().await;
        }
        let Some(guest) = self.guest.as_mut() else { return Ok(()) };
        match guest.flush().await {
            Ok(()) => {
                self.held.flushed();
                self.commit_buffered().await
            }
            Err(error @ GuestError::Fatal(_)) => Err(error.into()),
            Err(error @ GuestError::Died { .. }) if !error.is_outage() => {
                Err(TaskError::Died(format!("flush failed, records are delivered again: {error}")))
            }
            // What was buffered is unknown now: a fresh instance, and again from the last committed offset.
            Err(error) => Err(TaskError::Restart(format!("flush failed, records are delivered again: {error}"))),
        }
    }

    /// Delivery and dead letters of a batch are confirmed. While full batches come, offsets are committed together: what a crash
    /// has delivered again grows by what is delivered in [`TOGETHER`].
    pub(super) async fn commit_soon(&mut self, more: bool) -> Result<(), TaskError> {
        if more && self.committed.elapsed() < TOGETHER { Ok(()) } else { self.commit_confirmed().await }
    }

    /// Commits what is delivered, unless some of it lies in the guest.
    pub(super) async fn commit_confirmed(&mut self) -> Result<(), TaskError> {
        if self.awaiting.is_confirmed() { self.commit_buffered().await } else { Ok(()) }
    }

    /// The task has failed: what it had delivered before is not to come again, if the log takes it at once.
    pub(super) async fn commit_at_last(&mut self) {
        if !self.awaiting.is_confirmed() {
            return;
        }
        let mut offsets = self.awaiting.durable();
        match self.try_commit(&mut offsets).await {
            Ok(()) => self.settle_pending(),
            Err(error) => {
                tracing::warn!(connector = self.task.grants.connector, %error, "the last records delivered come again: their offsets are not committed");
            }
        }
    }

    /// Commits what is confirmed.
    pub(super) async fn commit_buffered(&mut self) -> Result<(), TaskError> {
        self.committed = Instant::now();
        let offsets = self.awaiting.durable();
        self.commit(offsets).await?;
        self.settle_pending();
        Ok(())
    }

    /// Until the log has them.
    pub(super) async fn commit(&mut self, mut offsets: Vec<(TopicPartition, i64)>) -> Result<(), TaskError> {
        let mut backoff = self.new_backoff();
        loop {
            match self.try_commit(&mut offsets).await {
                Err(LogError::Retry(message)) => {
                    if !self.pause(&mut backoff, &format!("committing offsets: {message}"), None).await? {
                        return Err(TaskError::Restart(format!("offsets could not be committed: {message}")));
                    }
                }
                committed => return Ok(committed?),
            }
        }
    }

    /// Without a second try, but for what is left of them: those of partitions that went are taken out.
    async fn try_commit(&mut self, offsets: &mut Vec<(TopicPartition, i64)>) -> Result<(), LogError> {
        while !offsets.is_empty() {
            match self.lane.commit(offsets).await {
                Ok(()) => {
                    self.task.grants.metrics.confirmed(offsets.iter().map(|(partition, next)| (partition, next)));
                    return Ok(());
                }
                Err(LogError::NotOwner(lost)) => {
                    let partitions = lost.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                    tracing::warn!(
                        connector = self.task.grants.connector,
                        partitions,
                        "partitions went to another owner before their commit: it delivers them again"
                    );
                    offsets.retain(|(partition, _)| !lost.contains(partition));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
