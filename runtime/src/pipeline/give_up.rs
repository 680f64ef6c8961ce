//! What becomes of records whose retry budget is used up. Few targets say which record of a call they cannot digest, so before
//! any becomes a dead letter for the others' sake, each half is sent once more, down to the one at fault. A target that is away
//! would answer none of those calls: after a few in vain, all that is left is given up together.

use std::collections::VecDeque;

use crate::config::AfterBudget;
use crate::outcome::Rejection;
use crate::pipeline::TaskError;
use crate::pipeline::deliver::{Delivery, Piece};
use crate::pipeline::hold::{Later, place};
use crate::pipeline::sink::Running;

/// Calls in vain beyond those that lead to one record at fault: that many more may be at fault beside it.
const SPARE: u32 = 3;

/// The last calls for a piece whose budget is used up, and for the halves of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastCalls {
    /// How many more may be in vain, in a row.
    left: u32,
    /// The input of the delivery behind the piece.
    end: usize,
}

impl Running<'_> {
    /// The retry budget of the first piece is used up, and this is still to be sent again: halves of it, a dead letter where it is
    /// one record, or the sink stops.
    pub(super) fn give_up(&mut self, delivery: &Delivery, pieces: &mut VecDeque<Piece>, later: &Later) -> Result<(), TaskError> {
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
        let fresh = LastCalls { left: again.len().max(1).ilog2() + 1 + SPARE, end: piece.end() };
        let mut last = self.last_calls.filter(|last| !later.answered && piece.end() <= last.end).unwrap_or(fresh);
        last.left = last.left.saturating_sub(1);
        self.last_calls = Some(last);
        if last.left == 0 {
            pieces.push_front(piece);
            let mut records = 0;
            for piece in pieces.iter_mut().filter(|piece| piece.end() <= last.end) {
                let open = delivery.open(piece);
                piece.settled.refuse_all(&open, &rejection);
                records += open.len();
            }
            self.gave_up(&rejection, records, "the target takes none of several calls: gave all of them up");
            return Ok(());
        }
        match delivery.halves(&piece).filter(|_| again.len() > 1) {
            Some((first, second)) => {
                pieces.push_front(second);
                pieces.push_front(first);
            }
            None => {
                piece.settled.refuse_all(&again, &rejection);
                pieces.push_front(piece);
                self.gave_up(&rejection, again.len(), "gave up records that the target does not take");
            }
        }
        Ok(())
    }

    /// Told here: the dead letters are told with those of other reasons.
    fn gave_up(&self, rejection: &Rejection, records: usize, what: &str) {
        let grants = &self.task.grants;
        tracing::warn!(connector = grants.connector, task = grants.task, records, reason = rejection.message, "{what}");
        grants.metrics.gave_up();
    }
}
