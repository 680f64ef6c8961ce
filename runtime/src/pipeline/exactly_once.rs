//! Exactly once for sinks that write through `sql`: rows and offsets move in one database transaction, by compare-and-set
//! (what was committed last is expected, not the first offset of the batch: there are gaps). The log's group follows, best effort.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::capability::sql::SqlError;
use crate::fault_point::{self, Phase};
use crate::guest::SharedSession;
use crate::outcome::Rejection;
use crate::pipeline::TaskError;
use crate::pipeline::assign::database;
use crate::pipeline::attempt::Attempt;
use crate::pipeline::deliver::{Burial, Delivery, Piece};
use crate::pipeline::hold::Later;
use crate::pipeline::pieces::{Tried, sorted};
use crate::pipeline::sink::Running;
use crate::topic_log::TopicPartition;

/// Longest time that rows wait for dead letters with the transaction open.
const OPEN: Duration = Duration::from_secs(1);

impl Running<'_> {
    /// One database transaction: the guest's rows and the offsets; dead letters are confirmed before it commits.
    pub(super) async fn try_piece_once(&mut self, delivery: &mut Delivery, piece: &mut Piece) -> Result<Tried, TaskError> {
        if let Some(offsets) = &self.task.offsets {
            offsets.check(&delivery.first_offsets(piece))?;
        }
        #[cfg(feature = "chaos")]
        self.commit_first(delivery, piece).await?;
        loop {
            let open = delivery.open(piece);
            if !self.begin().await? {
                continue;
            }
            if self.has_lost(delivery) {
                self.rollback().await;
                return Ok(Tried::Lost);
            }
            match self.write(delivery.records(&open).batch()).await? {
                Attempt::Written(written) if written.buffered => return Err(buffered()),
                Attempt::Written(written) => {
                    let (refused, again) = sorted(&open, written.outcomes);
                    if !again.is_empty() {
                        // Nothing of the call is applied: what need not wait is written again without the rest.
                        self.rollback().await;
                        return Ok(Tried::Later(Later::some(again, open.len())));
                    }
                    match self.conclude(delivery, piece, refused).await? {
                        Committed::Yes => {
                            // Not where all was given up: nothing was sent.
                            if !open.is_empty() {
                                self.got_on();
                            }
                            return self.follow(delivery, piece).await;
                        }
                        Committed::Again => {}
                        Committed::Lost => return Ok(Tried::Lost),
                    }
                }
                Attempt::Failed(failed) => {
                    // Before any wait: an open transaction holds locks.
                    self.rollback().await;
                    if let Some(tried) = self.failed(piece, &open, failed).await? {
                        return Ok(tried);
                    }
                }
            }
        }
    }

    /// The rows are written: dead letters, then offsets and commit.
    async fn conclude(
        &mut self,
        delivery: &Delivery,
        piece: &mut Piece,
        refused: Vec<(usize, Rejection)>,
    ) -> Result<Committed, TaskError> {
        fault_point::pass(Phase::Write, piece.input_count());
        let mut burials = delivery.burials(piece);
        burials.extend(refused.iter().map(|(output, rejection)| delivery.burial(piece, *output, rejection)));
        let in_time = self.bury_in_time(delivery, piece, burials).await?;
        // They are dead letters now: were they written again, they could be accepted, and be both.
        refused.into_iter().for_each(|(output, rejection)| piece.settled.refuse(output, rejection));
        if !in_time {
            return Ok(Committed::Again);
        }
        let committed = self.commit_once(delivery, piece).await?;
        if matches!(committed, Committed::Yes) {
            self.pending += delivery.tally(piece, piece.settled.refused().count());
        }
        Ok(committed)
    }

    /// Dead letters while the rows wait for their commit. A transaction that stays open holds locks: where the log does not confirm
    /// soon, it is rolled back, and false says that the rows are to be written again.
    async fn bury_in_time(&mut self, delivery: &Delivery, piece: &mut Piece, burials: Vec<Burial>) -> Result<bool, TaskError> {
        let Some(session) = self.task.offsets.as_ref().map(|o| o.session.clone()) else { return Ok(false) };
        let bury = self.bury(delivery, piece, burials);
        tokio::pin!(bury);
        // Cancel-safe: `bury` is polled again below, the other branch only waits.
        let buried = tokio::select! {
            buried = &mut bury => buried.map(|()| true),
            () = tokio::time::sleep(OPEN) => {
                rollback(&session).await;
                bury.await.map(|()| false)
            }
        };
        if buried.is_err() {
            rollback(&session).await;
        }
        buried
    }

    /// Only the offset moves: the piece's one input is buried.
    pub(super) async fn skip_once(&mut self, delivery: &Delivery, piece: &Piece) -> Result<Tried, TaskError> {
        loop {
            if !self.begin().await? {
                continue;
            }
            match self.commit_once(delivery, piece).await? {
                Committed::Yes => {
                    self.pending += delivery.tally_buried(piece);
                    self.got_on();
                    return self.follow(delivery, piece).await;
                }
                Committed::Again => {}
                Committed::Lost => return Ok(Tried::Lost),
            }
        }
    }

    /// Opens the transaction; false: wait is over, try again.
    pub(super) async fn begin(&mut self) -> Result<bool, TaskError> {
        let Some(session) = self.task.offsets.as_ref().map(|o| o.session.clone()) else { return Ok(false) };
        let begun = session.lock().await.begin().await;
        match begun {
            Ok(()) => Ok(true),
            Err(SqlError::Retry(message)) => match self.wait(&message, None).await? {
                true => Ok(false),
                false => Err(TaskError::Restart(format!("database: {message}"))),
            },
            Err(error) => Err(database(error)),
        }
    }

    pub(super) async fn rollback(&mut self) {
        if let Some(session) = self.task.offsets.as_ref().map(|o| o.session.clone()) {
            rollback(&session).await;
        }
    }

    async fn commit_once(&mut self, delivery: &Delivery, piece: &Piece) -> Result<Committed, TaskError> {
        self.commit_offsets(&delivery.next_offsets(piece), piece.input_count()).await
    }

    /// Moves the offsets and commits. An answer that got lost is looked up: the stored offsets tell.
    pub(super) async fn commit_offsets(
        &mut self,
        next: &BTreeMap<TopicPartition, i64>,
        records: usize,
    ) -> Result<Committed, TaskError> {
        let Some(offsets) = self.task.offsets.as_mut() else { return Ok(Committed::Lost) };
        let moves = offsets.moves(next)?;
        let session = offsets.session.clone();
        let mut session = session.lock().await;
        let failed = match session.advance_offsets(&offsets.scope, &moves).await {
            Ok(true) => {
                fault_point::pass(Phase::Write, records);
                match session.commit().await {
                    Ok(()) => {
                        fault_point::pass(Phase::Written, records);
                        offsets.moved(next);
                        return Ok(Committed::Yes);
                    }
                    Err(error) => error,
                }
            }
            Ok(false) => {
                drop(session);
                self.rollback().await;
                return self.moved_elsewhere(next).await;
            }
            Err(error) => error,
        };
        drop(session);
        self.rollback().await;
        let SqlError::Retry(message) = failed else { return Err(database(failed)) };
        if !self.wait(&message, None).await? {
            return Err(TaskError::Restart(format!("database: {message}")));
        }
        self.moved_elsewhere(next).await
    }

    /// Compares the stored offsets with what was to be committed: ours went through, nothing happened, or another owner moved them.
    async fn moved_elsewhere(&mut self, next: &BTreeMap<TopicPartition, i64>) -> Result<Committed, TaskError> {
        let Some(offsets) = self.task.offsets.as_mut() else { return Ok(Committed::Lost) };
        let wanted: Vec<_> = next.keys().filter_map(|p| offsets.stored.get(p).map(|(id, _)| (p.clone(), id.clone()))).collect();
        let mut session = offsets.session.lock().await;
        let stored = session.load_offsets(&offsets.scope, &wanted).await.map_err(database)?;
        drop(session);
        let same = |target: &dyn Fn(&TopicPartition) -> Option<i64>| {
            // Of nothing it can't be told whether it was committed.
            !wanted.is_empty() && wanted.iter().zip(&stored).all(|((partition, _), stored)| *stored == target(partition))
        };
        if same(&|p| next.get(p).copied()) {
            offsets.moved(next);
            return Ok(Committed::Yes);
        }
        if same(&|p| offsets.stored.get(p).map(|(_, offset)| *offset)) {
            return Ok(Committed::Again);
        }
        for ((partition, _), stored) in wanted.iter().zip(&stored) {
            let Some(stored) = stored else {
                return Err(TaskError::Restart(format!("somebody removed the row of {partition} from `_wharf_offsets`")));
            };
            if let Some(known) = offsets.stored.get_mut(partition) {
                known.1 = *stored;
            }
        }
        tracing::warn!(
            connector = self.task.grants.connector,
            "the stored offsets are not where this task left them: another owner moved them, or the database went back. Going on from there"
        );
        Ok(Committed::Lost)
    }

    /// What is in flight was dropped: read again from the stored offsets.
    pub(super) async fn read_again(&mut self, delivery: &Delivery) -> Result<(), TaskError> {
        self.got_on();
        self.read_from_stored(delivery.next_offsets(&delivery.whole()).into_keys().collect()).await
    }

    /// Reads these partitions again from the stored offsets.
    pub(super) async fn read_from_stored(&mut self, partitions: Vec<TopicPartition>) -> Result<(), TaskError> {
        let Some(offsets) = &self.task.offsets else { return Ok(()) };
        let stored = |p: TopicPartition| offsets.stored.get(&p).map(|(_, offset)| (p.clone(), *offset));
        let seeks: Vec<_> = partitions.into_iter().filter_map(stored).collect();
        if seeks.is_empty() { Ok(()) } else { self.seek(seeks).await }
    }

    /// The group's offsets follow, for tools that show lag; they decide nothing, so a failure is only told.
    async fn follow(&mut self, delivery: &Delivery, piece: &Piece) -> Result<Tried, TaskError> {
        self.follow_to(delivery.next_offsets(piece)).await;
        Ok(Tried::Delivered)
    }

    pub(super) async fn follow_to(&mut self, next: BTreeMap<TopicPartition, i64>) {
        self.settle_pending();
        self.task.grants.metrics.confirmed(&next);
        self.have_the_group_follow(&next.into_iter().collect::<Vec<_>>()).await;
    }

    /// Best effort: the database decides.
    pub(super) async fn have_the_group_follow(&mut self, next: &[(TopicPartition, i64)]) {
        if let Err(error) = self.lane.follow(next).await {
            tracing::debug!(connector = self.task.grants.connector, %error, "the group's offsets did not follow");
        }
    }
}

async fn rollback(session: &SharedSession) {
    if let Err(error) = session.lock().await.rollback().await {
        // The session opens a new connection on its next use; the database rolls back what the old one had open.
        tracing::debug!(%error, "rollback was not confirmed");
    }
}

pub(super) fn buffered() -> TaskError {
    TaskError::Failed(
        "the sink says `buffered`, but its offsets are kept in the database it writes to, where what is accepted has to be \
         written at once: set `exactly-once = false`"
            .to_owned(),
    )
}

#[cfg(feature = "chaos")]
impl Running<'_> {
    /// The mutant: offsets move in a transaction of their own, before the rows.
    async fn commit_first(&mut self, delivery: &Delivery, piece: &Piece) -> Result<(), TaskError> {
        if fault_point::mutant() == Some(fault_point::Mutant::CommitFirst) {
            for (partition, offset) in delivery.next_offsets(piece) {
                self.reset_claim(&partition, offset).await?;
            }
        }
        Ok(())
    }
}

pub(super) enum Committed {
    Yes,
    /// Nothing took effect: the same piece again.
    Again,
    /// Another owner was there: what is in flight is dropped and read again from the stored offsets.
    Lost,
}
