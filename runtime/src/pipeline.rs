//! What both straight lines share: how a task ends, how it is told to stop, what it counts. The lines themselves are
//! `pipeline/source.rs` (system to topic) and `pipeline/sink.rs` (topic to system).

use std::time::Duration;

use tokio::sync::watch;

use crate::guest::{ComponentError, GuestError};
use crate::outcome::Rejection;
use crate::topic_log::LogError;

pub use crate::telemetry::Tally;

pub mod addressed;
mod assign;
mod attempt;
pub mod awaiting;
mod bury;
pub mod chain;
mod commit;
pub mod dead;
pub mod deliver;
pub mod destinations;
mod exactly_once;
mod gather;
mod give_up;
pub mod held;
mod hold;
mod joining;
mod pieces;
pub mod renumber;
pub mod settled;
pub mod sink;
mod slow;
pub mod source;
pub mod stored;
pub mod transaction;

/// How a task ended without a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was told to stop and has confirmed what was in flight.
    Drained,
    /// There is nothing more to do (`--until-done`).
    Finished,
}

/// How a task ended with a fault.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// Start it again after a while: what failed may pass.
    #[error("{0}")]
    Restart(String),
    /// Another worker has the work: look again from time to time.
    #[error("{0}")]
    Standby(String),
    /// A guest ended itself: a few fresh starts, then it stays failed where it is.
    #[error("{0}")]
    Died(String),
    /// Someone has to change something; the text says what.
    #[error("{0}")]
    Failed(String),
}

impl From<LogError> for TaskError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Fatal(reason) => Self::Failed(format!("topic log: {reason}")),
            LogError::Standby(_) => Self::Standby(error.to_string()),
            other => Self::Restart(format!("topic log: {other}")),
        }
    }
}

impl From<GuestError> for TaskError {
    fn from(error: GuestError) -> Self {
        match error {
            GuestError::Fatal(reason) | GuestError::Reject(reason) => Self::Failed(reason),
            away if away.is_outage() => Self::Restart(away.to_string()),
            died @ GuestError::Died { .. } => Self::Died(died.to_string()),
            GuestError::Retry { message, .. } => Self::Restart(message),
        }
    }
}

impl From<ComponentError> for TaskError {
    fn from(error: ComponentError) -> Self {
        Self::Failed(format!("component: {error}"))
    }
}

/// The request to stop, as a task sees it. Clones see the same.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// The switch and its view.
    #[must_use]
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves when stopping is requested (or nobody is left who could).
    pub async fn requested(&mut self) {
        if self.0.wait_for(|stop| *stop).await.is_err() {
            tracing::debug!("the switch was dropped: stopping");
        }
    }

    /// Sleeps; true when the sleep was cut short by the request to stop.
    pub async fn sleep(&mut self, time: Duration) -> bool {
        // Cancel-safe: both branches only wait.
        tokio::select! {
            () = self.requested() => true,
            () = tokio::time::sleep(time) => false,
        }
    }
}

/// What a record that killed its guest, or for which the call as a whole was refused, is rejected with (invariant 4).
#[must_use]
pub fn poison(error: &GuestError) -> Rejection {
    if let GuestError::Reject(reason) = error {
        return Rejection::new("sink.rejected", reason);
    }
    Rejection::new("guest.poison", format!("this record alone ends its guest each time: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::Death;

    #[test]
    fn a_guest_that_a_service_let_wait_is_started_again_without_end_and_one_that_ends_itself_is_not() {
        let ended = |death| TaskError::from(GuestError::Died { death, detail: String::new() });
        for death in [Death::Waited, Death::Slow] {
            assert!(matches!(ended(death), TaskError::Restart(_)), "{death}");
        }
        for death in [Death::Trap, Death::CpuLimit, Death::Deadline, Death::MemoryLimit, Death::Malformed] {
            assert!(matches!(ended(death), TaskError::Died(_)), "{death}");
        }
    }
}
