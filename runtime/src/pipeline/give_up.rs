//! What becomes of records whose retry budget is used up. Few targets say which record of a call they cannot digest, so before
//! any becomes a dead letter for the others' sake, each half is sent once more, down to the ones at fault. A target that is away
//! would answer none of those calls: after many in vain, what is left gets one call in each half that it was cut into by then.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::config::AfterBudget;
use crate::outcome::Rejection;
use crate::pipeline::TaskError;
use crate::pipeline::deliver::{Delivery, Piece};
use crate::pipeline::hold::{Later, place};
use crate::pipeline::sink::Running;

/// Calls in vain beyond those that lead to the first record at fault: each one beside it takes about two.
const SPARE: u32 = 32;
/// They take as long again as the budget, and no less than this.
const SHORT: Duration = Duration::from_secs(10);
/// Before the second call of a record alone, at most; else `retry.initial`.
const SOON: Duration = Duration::from_secs(1);

/// The last calls for a piece whose budget is used up, and for the halves of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastCalls {
    /// How many more may be in vain, in a row, before nothing is halved any more; and until when.
    left: u32,
    until: Instant,
    /// The output that was called alone last, after it was parted from others.
    alone: Option<usize>,
    /// The input of the delivery behind the piece.
    end: usize,
}

impl Running<'_> {
    /// The retry budget of the first piece is used up, and this is still to be sent again: halves of it, a dead letter where it is
    /// one record, or the sink stops.
    pub(super) async fn give_up(
        &mut self,
        delivery: &Delivery,
        pieces: &mut VecDeque<Piece>,
        later: &Later,
    ) -> Result<(), TaskError> {
        if self.task.stop.is_requested() {
            return Err(TaskError::Restart(format!("stopped while retrying: {}", later.message(later.again.len()))));
        }
        let Some(mut piece) = pieces.pop_front() else { return Ok(()) };
        let again: Vec<usize> = later.again.iter().map(|(output, _)| *output).collect();
        let reason = format!("{}: {}", self.backoff.given_up(), later.message(again.len()));
        if self.task.config.connector.retry.then == AfterBudget::Stop {
            let first = again.first().and_then(|output| delivery.input_of(*output)).unwrap_or_default();
            return Err(TaskError::Failed(format!("{}, {reason}", place(delivery, first))));
        }
        let rejection = Rejection::new("retry.exhausted", reason);
        let last = self.last_calls.filter(|last| !later.answered && piece.end() <= last.end);
        let parted = last.is_some() && again.len() == 1;
        let mut last = last.unwrap_or_else(|| self.last_calls_of(&piece, again.len()));
        let more = last.left > 0 && Instant::now() < last.until;
        // The first call of a record without its neighbours may have met a fault that passes: one more decides.
        if parted && more && last.alone != again.first().copied() {
            last.alone = again.first().copied();
            self.last_calls = Some(last);
            pieces.push_front(piece);
            let stopped = self.task.stop.sleep(self.task.config.connector.retry.initial.min(SOON)).await;
            return if stopped {
                Err(TaskError::Restart(format!("stopped while retrying: {}", later.message(1))))
            } else {
                Ok(())
            };
        }
        let halves = delivery.halves(&piece).filter(|_| again.len() > 1 && more);
        last.left = last.left.saturating_sub(1);
        self.last_calls = Some(last);
        if let Some((first, second)) = halves {
            pieces.push_front(second);
            pieces.push_front(first);
            return Ok(());
        }
        // Told here, as the dead letters are told together with those of other reasons.
        let grants = &self.task.grants;
        let (connector, task, records, reason) = (&grants.connector, grants.task, again.len(), &rejection.message);
        tracing::warn!(connector, task, records, reason, "gave up records that the target does not take");
        grants.metrics.gave_up();
        piece.settled.refuse_all(&again, &rejection);
        pieces.push_front(piece);
        Ok(())
    }

    fn last_calls_of(&self, piece: &Piece, records: usize) -> LastCalls {
        let budget = self.task.config.connector.retry.budget.unwrap_or_default();
        let until = Instant::now() + budget.max(SHORT);
        LastCalls { left: records.max(1).ilog2() + SPARE, until, alone: None, end: piece.end() }
    }
}
