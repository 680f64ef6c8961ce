//! Offsets in the database with a rule broken on purpose (`fault_point::Mutant`), so that `tests/chaos` can show that it
//! would be found. It exists with the feature `chaos` only.

use super::{Backend, OffsetMove, OffsetScope, R, Session, SqlError};
use crate::fault_point::{Mutant, Phase, mutant, pass};
use crate::topic_log::TopicPartition;

impl Session {
    /// Without compare-and-set nobody looks at what is stored either: the group's offsets decide where reading begins.
    pub(super) fn is_blind() -> bool {
        mutant() == Some(Mutant::NoCas)
    }

    /// Without compare-and-set whatever is stored is what was expected.
    pub(super) async fn whatever_is_stored(&mut self, scope: &OffsetScope, moves: &[OffsetMove]) -> R<Vec<OffsetMove>> {
        let mut moves = moves.to_vec();
        if Self::is_blind() {
            let partitions: Vec<_> = moves.iter().map(|m| (m.partition.clone(), m.topic_id.clone())).collect();
            let stored = on_backend!(self, load_offsets(scope, &partitions))?;
            for (one, stored) in moves.iter_mut().zip(stored) {
                one.expected = stored.unwrap_or(one.expected);
            }
        }
        Ok(moves)
    }

    /// A row that is there is set as if it were this owner's. False: the usual claim is to be made.
    pub(super) async fn overwrite(
        &mut self,
        scope: &OffsetScope,
        partition: &TopicPartition,
        topic_id: &str,
        next: i64,
    ) -> R<bool> {
        let at = [(partition.clone(), topic_id.to_owned())];
        if !Self::is_blind() || on_backend!(self, load_offsets(scope, &at))?.iter().all(Option::is_none) {
            return Ok(false);
        }
        let to = OffsetMove { partition: partition.clone(), topic_id: topic_id.to_owned(), expected: next, next };
        self.advance_offsets(scope, &[to]).await
    }

    /// Rows in a transaction of their own, before the offsets move. True: one has to be begun again after that.
    pub(super) async fn split_transaction(&mut self) -> R<bool> {
        if mutant() != Some(Mutant::NoTransaction) {
            return Ok(false);
        }
        on_backend!(self, commit())?;
        pass(Phase::Write, 1);
        Ok(true)
    }

    pub(super) async fn begin_again(&mut self, moved: R<bool>) -> Result<bool, SqlError> {
        on_backend!(self, begin())?;
        moved
    }
}
