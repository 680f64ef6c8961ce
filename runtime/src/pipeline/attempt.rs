//! One call of a sink's guest and what follows a failed one: a wait, a fresh instance, or giving up.

use std::time::{Duration, Instant, SystemTime};

use crate::batch::Batch;
use crate::guest::{Death, GuestError, SinkGuest};
use crate::outcome::{Rejection, Written};
use crate::pipeline::TaskError;
use crate::pipeline::deliver::{Delivery, Piece};
use crate::pipeline::hold::Later;
use crate::pipeline::pieces::Tried;
use crate::pipeline::sink::Running;
use crate::retry::Backoff;
use crate::telemetry::TaskState;
use crate::topic_log::TopicPartition;

/// The failure in a row with which the partitions of a batch part. Many targets answer 500 for a record that they cannot digest:
/// were the same batch sent again for ever, it would stop the others too.
const TOGETHER: u32 = 3;

/// What one call of the sink came to.
pub(super) enum Attempt {
    Written(Written),
    Failed(Failed),
}

/// Why a call has written nothing.
pub(super) enum Failed {
    /// It asks to be called again.
    Retry {
        message: String,
        after: Option<Duration>,
    },
    /// The call as a whole can never work.
    Unfit(Rejection),
    Died(GuestError),
}

/// How a piece goes on whose call a service let wait.
pub(super) enum Away {
    /// As it is, after a wait that is over; or held, with this to be sent again.
    Again(Option<Later>),
    /// In two calls.
    Smaller(Piece, Piece),
}

impl Running<'_> {
    /// One call of the sink; the records are lent to it.
    pub(super) async fn write(&mut self, records: &mut Batch) -> Result<Attempt, TaskError> {
        if records.is_empty() {
            return Ok(Attempt::Written(Written::default()));
        }
        let Some(guest) = self.guest.as_mut() else {
            return Err(TaskError::Restart("no instance is running".to_owned()));
        };
        match guest.write(records).await {
            Ok(written) => Ok(Attempt::Written(written)),
            Err(GuestError::Reject(reason)) => Ok(Attempt::Failed(Failed::Unfit(Rejection::new("sink.rejected", reason)))),
            Err(GuestError::Retry { message, after }) => Ok(Attempt::Failed(Failed::Retry { message, after })),
            Err(error @ GuestError::Died { .. }) => Ok(Attempt::Failed(Failed::Died(error))),
            Err(error @ GuestError::Fatal(_)) => Err(error.into()),
        }
    }

    /// What a failed call means for its piece, of which it held the open outputs. `None`: what is open by now is to be written
    /// again.
    pub(super) async fn failed(&mut self, piece: &mut Piece, open: &[usize], failed: Failed) -> Result<Option<Tried>, TaskError> {
        match failed {
            // The target does not refuse some records, it is away: all partitions wait. But where one has waited by itself it does
            // so again, and where it goes on, the target may be failing over a single record: each partition waits by itself then.
            Failed::Retry { message, after } if piece.settled.waited || self.backoff.attempt() >= TOGETHER => {
                Ok(Some(Tried::Later(Later::whole(open, message, after))))
            }
            Failed::Retry { message, after } => {
                // The wait may be long: nothing delivered before it is to come again after a kill.
                self.commit_confirmed().await?;
                let given_up = !self.wait(&message, after).await?;
                Ok(given_up.then(|| Tried::Later(Later::whole(open, message, after))))
            }
            Failed::Died(error) => Ok(Some(Tried::Died(error))),
            Failed::Unfit(rejection) if open.len() > 1 => Ok(Some(Tried::Refused(GuestError::Reject(rejection.message)))),
            Failed::Unfit(rejection) => {
                piece.settled.refuse_all(open, &rejection);
                Ok(None)
            }
        }
    }

    /// What follows the end of an instance that a service let wait: no record is at fault, so none is buried for it, and the call is
    /// made again as after any outage. Where the services did answer, a smaller call ends in time. `None`: it was no outage.
    pub(super) async fn sit_out(
        &mut self,
        delivery: &Delivery,
        piece: &mut Piece,
        error: &GuestError,
    ) -> Result<Option<Away>, TaskError> {
        if !error.is_outage() {
            return Ok(None);
        }
        let slow = matches!(error, GuestError::Died { death: Death::Slow, .. });
        if let Some((first, second)) = delivery.halves(piece).filter(|_| slow) {
            return Ok(Some(Away::Smaller(first, second)));
        }
        let again = Failed::Retry { message: error.to_string(), after: None };
        let tried = self.failed(piece, &delivery.open(piece), again).await?;
        Ok(Some(Away::Again(if let Some(Tried::Later(later)) = tried { Some(later) } else { None })))
    }

    /// A fresh, open instance that knows its partitions. Answers the offsets that the target itself keeps.
    pub(super) async fn fresh_guest(&mut self) -> Result<Vec<(TopicPartition, i64)>, TaskError> {
        let mut backoff = self.new_backoff();
        if self.guest.take().is_some() {
            self.task.grants.metrics.restarted();
        }
        loop {
            let mut guest = SinkGuest::start(&self.task.component, self.task.grants.clone()).await?;
            let (message, after) = match guest.open(self.task.context.clone()).await {
                Ok(()) => {
                    let kept = if self.owned.is_empty() { Vec::new() } else { guest.assign(&self.owned).await? };
                    self.guest = Some(guest);
                    self.task.grants.metrics.recovered();
                    return Ok(self.owned.iter().cloned().zip(kept).filter_map(|(p, offset)| Some((p, offset?))).collect());
                }
                Err(GuestError::Retry { message, after }) => (message, after),
                Err(error) if error.is_outage() => (error.to_string(), None),
                Err(error) => return Err(error.into()),
            };
            if !self.pause(&mut backoff, &message, after).await? {
                return Err(TaskError::Failed(format!("the sink could not be opened, {}: {message}", backoff.given_up())));
            }
        }
    }

    /// The target has taken something of the piece that is being delivered.
    pub(super) fn got_on(&mut self) {
        self.backoff.reset();
        self.last_calls = None;
    }

    /// For things other than the delivery of a piece: each has a budget of its own.
    pub(super) fn new_backoff(&self) -> Backoff {
        Backoff::of(&self.task.config.connector, self.task.context.task)
    }

    /// Waits with the backoff of the piece that is being delivered; false when the retry budget is used up.
    ///
    /// # Errors
    /// As [`Running::pause`].
    pub(super) async fn wait(&mut self, message: &str, after: Option<Duration>) -> Result<bool, TaskError> {
        let mut backoff = self.backoff.clone();
        let waited = self.pause(&mut backoff, message, after).await;
        self.backoff = backoff;
        waited
    }

    /// Waits with backoff; false when the retry budget is used up. The task stays RETRYING until something succeeds.
    ///
    /// # Errors
    /// [`TaskError::Restart`] when stopping is requested meanwhile: what is in flight is not confirmed and comes again.
    pub(super) async fn pause(
        &mut self,
        backoff: &mut Backoff,
        message: &str,
        after: Option<Duration>,
    ) -> Result<bool, TaskError> {
        let Some(wait) = backoff.next(Instant::now(), after) else { return Ok(false) };
        let grants = &self.task.grants;
        grants.metrics.retried(1);
        grants.metrics.state(TaskState::Retrying, Some(backoff.told(message, wait, SystemTime::now())));
        tracing::warn!(
            connector = grants.connector,
            task = grants.task,
            reason = message,
            ?wait,
            attempt = backoff.attempt(),
            "retrying"
        );
        if self.task.stop.sleep(wait).await {
            return Err(TaskError::Restart(format!("stopped while retrying: {message}")));
        }
        Ok(true)
    }
}
