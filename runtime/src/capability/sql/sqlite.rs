//! Sessions of SQLite files. Owns connections and transactions; everything on a file runs on threads that may block, and is
//! interrupted when its caller goes away or takes too long. Writers of one file queue up here, first come first served, as
//! SQLite itself would have them poll.

mod apply;
mod fault;
mod offsets;
mod open;
mod query;
mod schema;

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::CALL;
use super::pool::{self, Lease, Pool};
use super::{Column, ColumnDef, OffsetMove, OffsetScope, R, RejectedRow, Rows, SqlError, Table};
use crate::topic_log::TopicPartition;
use crate::topic_log::places::{OffsetChange, StoredOffset};
use fault::Fault;

/// A file.
#[derive(Debug)]
pub(super) struct Store {
    pool: Pool<Connection>,
    path: PathBuf,
    writer: Arc<Semaphore>,
    /// One opens at a time: SQLite does not wait while a new file is switched to WAL.
    opening: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
pub(super) struct Session {
    store: Arc<Store>,
    transaction: Transaction,
}

#[derive(Debug)]
enum Transaction {
    None,
    Open(Held),
    /// It was open when a call did not come back.
    Lost,
}

/// A connection in use, and the right to write where it does.
#[derive(Debug)]
struct Held {
    lease: Lease<Connection>,
    _writing: Option<OwnedSemaphorePermit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// Interrupts what a connection does, unless it came back in time.
struct Interrupt(Option<rusqlite::InterruptHandle>);

impl Drop for Interrupt {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.interrupt();
        }
    }
}

impl Store {
    pub(super) fn new(name: &str, path: PathBuf, pool: usize) -> Self {
        Self { pool: Pool::new(name, pool), path, writer: Arc::new(Semaphore::new(1)), opening: tokio::sync::Mutex::default() }
    }

    pub(super) async fn probe(self: &Arc<Self>) -> R<String> {
        let path = self.path.clone();
        let seen = tokio::task::spawn_blocking(move || open::probe(&path)).await;
        seen.map_err(|error| self.ended(&error))?.map_err(|fault| self.explain(fault))
    }

    async fn hold(self: &Arc<Self>, access: Access) -> R<Held> {
        let writing = match access {
            Access::Read => None,
            Access::Write => Some(pool::wait(&self.writer).await.ok_or_else(|| {
                SqlError::Retry(format!(
                    "connection `{}`: another transaction of this process holds the file for long",
                    self.pool.name
                ))
            })?),
        };
        let permit = self.pool.permit().await?;
        let db = match self.pool.idle() {
            Some(db) => db,
            None => {
                let path = self.path.clone();
                let _opening = self.opening.lock().await;
                let opened = tokio::task::spawn_blocking(move || open::open(&path)).await;
                opened.map_err(|error| self.ended(&error))?.map_err(|fault| self.explain(fault))?
            }
        };
        Ok(Held { lease: Pool::lease(db, permit), _writing: writing })
    }

    /// Runs work on a thread that may block. The connection comes back with the answer; if nobody waits for it any more, it
    /// closes.
    async fn work<T: Send + 'static>(
        &self,
        held: Held,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> R<(Held, Result<T, Fault>)> {
        let mut interrupt = Interrupt(Some(held.lease.connection.get_interrupt_handle()));
        let mut task = tokio::task::spawn_blocking(move || {
            let answer = work(&held.lease.connection);
            (held, answer)
        });
        let done = match tokio::time::timeout(CALL, &mut task).await {
            Ok(done) => done,
            Err(_) => {
                drop(std::mem::replace(&mut interrupt, Interrupt(None)));
                task.await
            }
        };
        interrupt.0 = None;
        done.map_err(|error| self.ended(&error))
    }

    fn ended(&self, error: &tokio::task::JoinError) -> SqlError {
        SqlError::Retry(format!("connection `{}`: a call on the file ended early: {error}", self.pool.name))
    }

    fn explain(&self, fault: Fault) -> SqlError {
        fault.explain(&format!("connection `{}` (SQLite file {})", self.pool.name, self.path.display()))
    }
}

impl Session {
    pub(super) const fn new(store: Arc<Store>) -> Self {
        Self { store, transaction: Transaction::None }
    }

    pub(super) async fn begin(&mut self) -> R<()> {
        self.rollback().await?;
        let held = self.store.hold(Access::Write).await?;
        let (held, answer) = self.store.work(held, |db| Ok(db.execute_batch("BEGIN IMMEDIATE")?)).await?;
        match answer {
            Ok(()) => self.transaction = Transaction::Open(held),
            Err(fault) => return Err(self.store.explain(fault)),
        }
        Ok(())
    }

    pub(super) async fn commit(&mut self) -> R<()> {
        let held = match std::mem::replace(&mut self.transaction, Transaction::None) {
            Transaction::Open(held) => held,
            Transaction::Lost => return Err(self.lost()),
            Transaction::None => {
                return Err(SqlError::Fatal(format!("connection `{}`: there is no transaction to commit", self.store.pool.name)));
            }
        };
        let (held, answer) = self.store.work(held, |db| Ok(db.execute_batch("COMMIT")?)).await?;
        match answer {
            Ok(()) => self.store.pool.put_back(held.lease),
            // The connection closes, and with it what is open.
            Err(fault) => return Err(self.store.explain(fault)),
        }
        Ok(())
    }

    pub(super) async fn rollback(&mut self) -> R<()> {
        let Transaction::Open(held) = std::mem::replace(&mut self.transaction, Transaction::None) else { return Ok(()) };
        let undo = |db: &Connection| if db.is_autocommit() { Ok(()) } else { Ok(db.execute_batch("ROLLBACK")?) };
        let (held, answer) = self.store.work(held, undo).await?;
        match answer {
            Ok(()) => self.store.pool.put_back(held.lease),
            Err(fault) => return Err(self.store.explain(fault)),
        }
        Ok(())
    }

    pub(super) async fn ensure(&mut self, table: &Table, columns: &[ColumnDef]) -> R<()> {
        let (table, columns) = (table.clone(), columns.to_vec());
        self.run(Access::Write, move |db| schema::ensure(db, &table, &columns)).await
    }

    pub(super) async fn columns(&mut self, table: &str) -> R<Vec<ColumnDef>> {
        let table = table.to_owned();
        self.run(Access::Read, move |db| schema::columns(db, &table)).await
    }

    pub(super) async fn apply(&mut self, table: &Table, rows: &Rows) -> R<Vec<RejectedRow>> {
        let (table, rows) = (table.clone(), rows.clone());
        self.run(Access::Write, move |db| apply::apply(db, &table, &rows)).await
    }

    pub(super) async fn query(&mut self, statement: &str, parameters: &[Column], max_rows: u32) -> R<Vec<Column>> {
        let (statement, parameters) = (statement.to_owned(), parameters.to_vec());
        self.run(Access::Read, move |db| query::query(db, &statement, &parameters, max_rows)).await
    }

    pub(super) async fn load_offsets(
        &mut self,
        scope: &OffsetScope,
        partitions: &[(TopicPartition, String)],
    ) -> R<Vec<Option<i64>>> {
        let (scope, partitions) = (scope.clone(), partitions.to_vec());
        self.run(Access::Read, move |db| offsets::load(db, &scope, &partitions)).await
    }

    pub(super) async fn claim_offset(
        &mut self,
        scope: &OffsetScope,
        partition: &TopicPartition,
        topic_id: &str,
        next: i64,
    ) -> R<()> {
        let (scope, partition, topic_id) = (scope.clone(), partition.clone(), topic_id.to_owned());
        self.run(Access::Write, move |db| offsets::claim(db, &scope, (&partition, &topic_id), next)).await
    }

    pub(super) async fn advance_offsets(&mut self, scope: &OffsetScope, moves: &[OffsetMove]) -> R<bool> {
        let (scope, moves) = (scope.clone(), moves.to_vec());
        self.run(Access::Write, move |db| offsets::advance(db, &scope, &moves)).await
    }

    /// A file that is missing stays so.
    pub(super) async fn stored_offsets(
        &mut self,
        scope: &OffsetScope,
        partitions: &[(TopicPartition, String)],
    ) -> R<Vec<StoredOffset>> {
        if !self.store.path.exists() {
            return Ok(vec![StoredOffset::default(); partitions.len()]);
        }
        let (scope, partitions) = (scope.clone(), partitions.to_vec());
        self.run(Access::Read, move |db| offsets::stored(db, &scope, &partitions)).await
    }

    pub(super) async fn change_offsets(&mut self, scope: &OffsetScope, changes: &[OffsetChange]) -> R<()> {
        let (scope, changes) = (scope.clone(), changes.to_vec());
        self.run(Access::Write, move |db| offsets::change(db, &scope, &changes)).await
    }

    /// Work within the open transaction; without one, writing has a transaction of its own.
    async fn run<T: Send + 'static>(
        &mut self,
        access: Access,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> R<T> {
        // Until the call is back the transaction counts as lost, should this future be dropped.
        let (held, inside) = match std::mem::replace(&mut self.transaction, Transaction::Lost) {
            Transaction::Open(held) => (held, true),
            Transaction::Lost => return Err(self.lost()),
            Transaction::None => {
                self.transaction = Transaction::None;
                (self.store.hold(access).await?, false)
            }
        };
        let whole = move |db: &Connection| match (access, inside) {
            (Access::Read, _) => work(db),
            (Access::Write, true) => in_savepoint(db, work),
            (Access::Write, false) => in_transaction(db, work),
        };
        let (held, answer) = self.store.work(held, whole).await?;
        let over = held.lease.connection.is_autocommit();
        let answer = answer.map_err(|fault| self.store.explain(fault));
        match (inside, over) {
            // What is to be tried again is the whole transaction: without that call it must not be committed.
            (true, false) if !matches!(answer, Err(SqlError::Retry(_))) => self.transaction = Transaction::Open(held),
            (false, true) => self.store.pool.put_back(held.lease),
            // The database ended the transaction on its own, or has left one open: this connection closes.
            _ => drop(held),
        }
        answer
    }

    fn lost(&self) -> SqlError {
        SqlError::Retry(format!("connection `{}`: the transaction was lost; nothing of it is written", self.store.pool.name))
    }
}

/// All or nothing within the open transaction, which goes on after an error.
fn in_savepoint<T>(db: &Connection, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
    db.execute_batch("SAVEPOINT wharf_call")?;
    let answer = work(db);
    // Some errors end the transaction, and the savepoint with it.
    if !db.is_autocommit() {
        db.execute_batch(if answer.is_ok() { "RELEASE wharf_call" } else { "ROLLBACK TO wharf_call; RELEASE wharf_call" })?;
    }
    answer
}

/// All or nothing: an error, and also a failed commit, rolls back.
fn in_transaction<T>(db: &Connection, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
    let transaction = rusqlite::Transaction::new_unchecked(db, rusqlite::TransactionBehavior::Immediate)?;
    let value = work(db)?;
    transaction.commit()?;
    Ok(value)
}
