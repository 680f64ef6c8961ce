//! One task of a source as the owner of its positions. A later owner of the same task has a higher epoch, and an append of
//! an earlier one is refused in the transaction that would have written it.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row};

use super::Shared;
use super::append::AppendJob;
use super::fault::Fault;
use super::writer::Tx;
use crate::batch::Batch;
use crate::fault_point::{self, Phase};
use crate::topic_log::{LogError, Position, Refused, SourceLog, SourceOwner};

#[derive(Debug)]
pub(super) struct Owner {
    shared: Arc<Shared>,
    identity: SourceOwner,
    epoch: i64,
    positions: Vec<Position>,
}

impl Owner {
    /// Fences the predecessor, and every task of an earlier number of tasks, before positions are read.
    pub(super) async fn take_over(shared: Arc<Shared>, owner: &SourceOwner) -> Result<Self, LogError> {
        let identity = owner.clone();
        let (epoch, positions) = shared
            .writer()?
            .run({
                let identity = identity.clone();
                move |tx| Ok((claim(tx, &identity)?, positions(tx.db, &identity.deployment, &identity.source)?))
            })
            .await?;
        Ok(Self { shared, identity, epoch, positions })
    }
}

fn claim(tx: &Tx<'_>, owner: &SourceOwner) -> Result<i64, Fault> {
    let (deployment, source) = (&owner.deployment, &owner.source);
    tx.db
        .execute("DELETE FROM owners WHERE deployment = ?1 AND source = ?2 AND tasks <> ?3", (deployment, source, owner.tasks))?;
    // One counter for all: an epoch is never given twice, whatever rows were deleted.
    let mut next = tx.db.prepare_cached("UPDATE meta SET value = value + 1 WHERE name = 'epoch' RETURNING value")?;
    let epoch: i64 = next.query_row([], |row| row.get(0))?;
    let mut own = tx.db.prepare_cached("INSERT OR REPLACE INTO owners VALUES (?1, ?2, ?3, ?4, ?5)")?;
    own.execute((deployment, source, owner.task, owner.tasks, epoch))?;
    Ok(epoch)
}

/// Positions of a source as they are stored.
pub(super) fn positions(db: &Connection, deployment: &str, source: &str) -> Result<Vec<Position>, Fault> {
    let mut query =
        db.prepare_cached("SELECT slice, place FROM positions WHERE deployment = ?1 AND source = ?2 ORDER BY slice")?;
    let columns = |row: &Row<'_>| Ok(Position { slice: row.get(0)?, place: row.get(1)? });
    let positions = query.query_map((deployment, source), columns)?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(positions)
}

fn check_epoch(tx: &Tx<'_>, owner: &SourceOwner, epoch: i64) -> Result<(), Fault> {
    let mut query = tx.db.prepare_cached("SELECT epoch FROM owners WHERE deployment = ?1 AND source = ?2 AND task = ?3")?;
    let stored: Option<i64> = query.query_row((&owner.deployment, &owner.source, owner.task), |row| row.get(0)).optional()?;
    if stored == Some(epoch) {
        return Ok(());
    }
    Err(LogError::Fenced(format!("task {} of source `{}` has a newer owner", owner.task, owner.source)).into())
}

/// An empty place forgets the slice.
fn store(tx: &Tx<'_>, owner: &SourceOwner, positions: &[Position]) -> Result<(), Fault> {
    let mut set = tx.db.prepare_cached("INSERT OR REPLACE INTO positions VALUES (?1, ?2, ?3, ?4)")?;
    let mut forget = tx.db.prepare_cached("DELETE FROM positions WHERE deployment = ?1 AND source = ?2 AND slice = ?3")?;
    for Position { slice, place } in positions {
        if place.is_empty() {
            forget.execute((&owner.deployment, &owner.source, slice))?;
        } else {
            set.execute((&owner.deployment, &owner.source, slice, place))?;
        }
    }
    Ok(())
}

#[async_trait]
impl SourceLog for Owner {
    fn positions(&self) -> &[Position] {
        &self.positions
    }

    async fn append(&mut self, records: &Arc<Batch>, positions: &[Position]) -> Result<Vec<Refused>, LogError> {
        let (identity, epoch) = (self.identity.clone(), self.epoch);
        let (job, positions) = (AppendJob { batch: Arc::clone(records), whole: true }, positions.to_vec());
        let work = move |tx: &Tx<'_>| {
            check_epoch(tx, &identity, epoch)?;
            let refused = job.run(tx)?;
            if refused.is_empty() {
                store(tx, &identity, &positions)?;
                fault_point::pass(Phase::Transaction, job.batch.len());
            }
            Ok(refused)
        };
        self.shared.writer()?.run(work).await
    }
}
