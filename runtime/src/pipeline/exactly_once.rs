//! Exactly once for sinks that write through `sql`: rows and offsets move in one database transaction, by compare-and-set
//! (what was committed last is expected, not the first offset of the batch: there are gaps). The log's group follows, best effort.

use std::collections::BTreeMap;

use crate::capability::sql::{OffsetMove, OffsetScope, SqlError};
use crate::guest::{GuestError, SharedSession};
use crate::outcome::Verdict;
use crate::pipeline::TaskError;
use crate::pipeline::assign::database;
use crate::pipeline::attempt::Attempt;
use crate::pipeline::deliver::{Burial, Delivery, Piece};
use crate::pipeline::sink::{Running, Tried, burial};
use crate::topic_log::{Assignment, LogError, TopicPartition};

/// The offsets of one task in the target's database.
#[derive(Debug)]
pub struct Offsets {
    pub session: SharedSession,
    pub scope: OffsetScope,
    /// Per partition: topic id and the offset stored last.
    stored: BTreeMap<TopicPartition, (String, i64)>,
}

impl Offsets {
    #[must_use]
    pub const fn new(session: SharedSession, scope: OffsetScope) -> Self {
        Self { session, scope, stored: BTreeMap::new() }
    }

    pub(super) fn forget(&mut self, partitions: &[TopicPartition]) {
        self.stored.retain(|p, _| !partitions.contains(p));
    }

    fn moves(&self, next: &BTreeMap<TopicPartition, i64>) -> Result<Vec<OffsetMove>, TaskError> {
        next.iter()
            .map(|(partition, &next)| {
                let (topic_id, expected) = self
                    .stored
                    .get(partition)
                    .ok_or_else(|| TaskError::Restart(format!("no stored offset is known for {partition}")))?;
                Ok(OffsetMove { partition: partition.clone(), topic_id: topic_id.clone(), expected: *expected, next })
            })
            .collect()
    }

    fn moved(&mut self, next: &BTreeMap<TopicPartition, i64>) {
        for (partition, &offset) in next {
            if let Some((_, stored)) = self.stored.get_mut(partition) {
                *stored = offset;
            }
        }
    }
}

impl Running<'_> {
    /// The offsets that the database keeps for new partitions; `None` each where there is none or nothing is kept there.
    pub(super) async fn stored_offsets(&mut self, list: &[Assignment]) -> Result<Vec<Option<i64>>, TaskError> {
        let Some(offsets) = &self.task.offsets else { return Ok(vec![None; list.len()]) };
        let partitions: Vec<_> = list.iter().map(|a| (a.partition.clone(), a.topic_id.clone())).collect();
        let mut session = offsets.session.lock().await;
        session.load_offsets(&offsets.scope, &partitions).await.map_err(database)
    }

    /// Makes the row of a new partition, so that a compare-and-set has something to compare.
    pub(super) async fn claim(&mut self, assignment: &Assignment, offset: i64) -> Result<(), TaskError> {
        let Some(offsets) = &mut self.task.offsets else { return Ok(()) };
        let mut session = offsets.session.lock().await;
        session.claim_offset(&offsets.scope, &assignment.partition, &assignment.topic_id, offset).await.map_err(database)?;
        offsets.stored.insert(assignment.partition.clone(), (assignment.topic_id.clone(), offset));
        Ok(())
    }

    /// Moves a stored offset after records were lost at the log.
    pub(super) async fn reset_claim(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), TaskError> {
        let Some(offsets) = &mut self.task.offsets else { return Ok(()) };
        let next = BTreeMap::from([(partition.clone(), offset)]);
        let moves = offsets.moves(&next)?;
        let mut session = offsets.session.lock().await;
        if !session.advance_offsets(&offsets.scope, &moves).await.map_err(database)? {
            return Err(TaskError::Restart(format!("another owner moved the stored offset of {partition}")));
        }
        drop(session);
        offsets.moved(&next);
        Ok(())
    }

    /// One database transaction: the guest's rows and the offsets; dead letters are confirmed before it commits.
    pub(super) async fn try_piece_once(&mut self, delivery: &Delivery, piece: &mut Piece) -> Result<Tried, TaskError> {
        let records = delivery.records(piece);
        loop {
            let begun = self.begin().await?;
            if !begun {
                continue;
            }
            let (written, unfit) = match self.write(&records).await? {
                Attempt::Written(written) => (written, None),
                Attempt::Again => {
                    self.rollback().await;
                    continue;
                }
                Attempt::Died(error) => {
                    self.rollback().await;
                    return Ok(Tried::Died(error));
                }
                Attempt::Unfit(rejection) if records.len() > 1 => {
                    self.rollback().await;
                    return Ok(Tried::Refused(GuestError::Reject(rejection.message)));
                }
                Attempt::Unfit(rejection) | Attempt::Exhausted(rejection) => {
                    self.rollback().await;
                    if !self.begin().await? {
                        continue;
                    }
                    (crate::outcome::Written::default(), Some(rejection))
                }
            };
            let mut burials: Vec<Burial> = delivery.rejected(piece).collect();
            let transformed = burials.len();
            let mut again = None;
            for outcome in written.outcomes {
                match outcome.verdict {
                    Verdict::Reject(rejection) => burials.push(burial(delivery, piece, outcome.index as usize, &rejection)),
                    Verdict::Retry(after) => again = Some(after),
                }
            }
            if let Some(rejection) = unfit {
                burials.extend((0..records.len()).map(|output| burial(delivery, piece, output, &rejection)));
            }
            if let Some(after) = again {
                self.rollback().await;
                if let Attempt::Exhausted(rejection) = self.wait_for_retry("the target asks to send records again", after).await?
                {
                    return Err(TaskError::Failed(rejection.message));
                }
                continue;
            }
            let dead = burials.len() - transformed;
            self.bury(delivery, piece, burials).await?;
            match self.commit_once(delivery, piece).await? {
                Committed::Yes => {
                    self.count(delivery, piece, dead);
                    return self.follow(delivery, piece).await;
                }
                Committed::Again => {}
                Committed::Lost => return Ok(Tried::Lost),
            }
        }
    }

    /// Only the offset moves: the piece's one record is buried.
    pub(super) async fn skip_once(&mut self, delivery: &Delivery, piece: &Piece) -> Result<(), TaskError> {
        loop {
            if !self.begin().await? {
                continue;
            }
            match self.commit_once(delivery, piece).await? {
                Committed::Yes => {
                    self.count(delivery, piece, 1);
                    self.follow(delivery, piece).await?;
                    return Ok(());
                }
                Committed::Again => {}
                Committed::Lost => return Ok(()),
            }
        }
    }

    /// Opens the transaction; false: wait is over, try again.
    async fn begin(&mut self) -> Result<bool, TaskError> {
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

    async fn rollback(&mut self) {
        let Some(session) = self.task.offsets.as_ref().map(|o| o.session.clone()) else { return };
        if let Err(error) = session.lock().await.rollback().await {
            // The session opens a new connection on its next use; the database rolls back what the old one had open.
            tracing::debug!(connector = self.task.grants.connector, %error, "rollback was not confirmed");
        }
    }

    /// Moves the offsets and commits. An answer that got lost is looked up: the stored offsets tell.
    async fn commit_once(&mut self, delivery: &Delivery, piece: &Piece) -> Result<Committed, TaskError> {
        let next = delivery.next_offsets(piece);
        let Some(offsets) = self.task.offsets.as_mut() else { return Ok(Committed::Lost) };
        let moves = offsets.moves(&next)?;
        let session = offsets.session.clone();
        let mut session = session.lock().await;
        let failed = match session.advance_offsets(&offsets.scope, &moves).await {
            Ok(true) => match session.commit().await {
                Ok(()) => {
                    offsets.moved(&next);
                    return Ok(Committed::Yes);
                }
                Err(error) => error,
            },
            Ok(false) => {
                drop(session);
                self.rollback().await;
                return self.moved_elsewhere(&next).await;
            }
            Err(error) => error,
        };
        drop(session);
        self.rollback().await;
        let SqlError::Retry(message) = failed else { return Err(database(failed)) };
        if !self.wait(&message, None).await? {
            return Err(TaskError::Restart(format!("database: {message}")));
        }
        self.moved_elsewhere(&next).await
    }

    /// Compares the stored offsets with what was to be committed: ours went through, nothing happened, or another owner moved them.
    async fn moved_elsewhere(&mut self, next: &BTreeMap<TopicPartition, i64>) -> Result<Committed, TaskError> {
        let Some(offsets) = self.task.offsets.as_mut() else { return Ok(Committed::Lost) };
        let wanted: Vec<_> = next.keys().filter_map(|p| offsets.stored.get(p).map(|(id, _)| (p.clone(), id.clone()))).collect();
        let mut session = offsets.session.lock().await;
        let stored = session.load_offsets(&offsets.scope, &wanted).await.map_err(database)?;
        drop(session);
        let same = |target: &dyn Fn(&TopicPartition) -> Option<i64>| {
            wanted.iter().zip(&stored).all(|((partition, _), stored)| *stored == target(partition))
        };
        if same(&|p| next.get(p).copied()) {
            offsets.moved(next);
            return Ok(Committed::Yes);
        }
        if same(&|p| offsets.stored.get(p).map(|(_, offset)| *offset)) {
            return Ok(Committed::Again);
        }
        tracing::warn!(connector = self.task.grants.connector, "another owner moved the stored offsets: going on from there");
        for ((partition, _), stored) in wanted.iter().zip(&stored) {
            if let (Some(stored), Some(known)) = (stored, offsets.stored.get_mut(partition)) {
                known.1 = *stored;
            }
        }
        Ok(Committed::Lost)
    }

    /// What is in flight was dropped: read again from the stored offsets.
    pub(super) async fn read_again(&mut self, delivery: &Delivery) -> Result<(), TaskError> {
        let Some(offsets) = &self.task.offsets else { return Ok(()) };
        let partitions = delivery.next_offsets(&delivery.whole()).into_keys();
        let seeks: Vec<_> = partitions.filter_map(|p| offsets.stored.get(&p).map(|(_, offset)| (p.clone(), *offset))).collect();
        match self.lane.seek(&seeks).await {
            // Partitions that went away are read by their new owner.
            Ok(()) | Err(LogError::NotOwner(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The group's offsets follow, for tools that show lag; they decide nothing, so a failure is only told.
    async fn follow(&mut self, delivery: &Delivery, piece: &Piece) -> Result<Tried, TaskError> {
        self.backoff.reset();
        self.settle_pending()?;
        let next: Vec<_> = delivery.next_offsets(piece).into_iter().collect();
        if let Err(error) = self.lane.commit(&next).await {
            tracing::debug!(connector = self.task.grants.connector, %error, "the group's offsets did not follow");
        }
        Ok(Tried::Delivered)
    }
}

enum Committed {
    Yes,
    /// Nothing took effect: the same piece again.
    Again,
    /// Another owner was there: what is in flight is dropped and read again from the stored offsets.
    Lost,
}
