//! Sessions of PostgreSQL servers. Owns the pool and who holds which transaction; what is said on a connection stands in the
//! files below. A pooler in front (PgBouncer) must pool sessions, not transactions: rows are staged in temporary tables.

mod apply;
mod copy;
mod fault;
mod gather;
mod identity;
mod merge;
mod offsets;
mod query;
mod schema;
mod stage;
pub(super) mod tls;
mod wire;

use std::sync::Arc;

use super::limits::CALL;
use super::pool::{Lease, Pool};
use super::target::PostgresTarget;
use super::{Column, ColumnDef, OffsetMove, OffsetScope, R, RejectedRow, Rows, SqlError, Table};
use crate::topic_log::TopicPartition;
use crate::topic_log::places::{OffsetChange, StoredOffset};
use fault::Fault;
use wire::{Scope, Wire};

#[derive(Debug)]
pub(super) struct Server {
    pool: Pool<Box<Wire>>,
    target: PostgresTarget,
}

#[derive(Debug)]
pub(super) struct Session {
    server: Arc<Server>,
    transaction: Transaction,
}

#[derive(Debug)]
enum Transaction {
    None,
    Open {
        lease: Lease<Box<Wire>>,
        /// A statement failed in it: the server will not commit it, but would say so only in a word.
        failed: bool,
    },
    /// It was open when a call did not come back, or when the connection broke.
    Lost,
}

impl Server {
    pub(super) fn new(name: &str, target: PostgresTarget, pool: usize) -> Self {
        Self { pool: Pool::new(name, pool), target }
    }

    pub(super) async fn probe(&self) -> R<String> {
        let lease = self.lease().await?;
        let seen = lease.connection.describe().await.map_err(|fault| self.explain(fault))?;
        self.pool.put_back(lease);
        Ok(format!("{seen} at {}, sslmode {}", self.target.place, self.target.mode))
    }

    /// An idle connection that still stands, or a new one.
    async fn lease(&self) -> R<Lease<Box<Wire>>> {
        let permit = self.pool.permit().await?;
        while let Some(wire) = self.pool.idle() {
            if wire.is_reusable() {
                return Ok(Pool::lease(wire, permit));
            }
        }
        let wire = Wire::connect(&self.target).await.map_err(|fault| self.explain(fault))?;
        Ok(Pool::lease(Box::new(wire), permit))
    }

    /// A fault of what was gathered: the transaction is to be begun again, whatever it was.
    fn as_passing(&self, fault: Fault) -> Fault {
        if fault.is_retry() { fault } else { Fault::retry(self.explain(fault).to_string()) }
    }

    fn explain(&self, fault: Fault) -> SqlError {
        fault.explain(&format!("connection `{}` (PostgreSQL at {})", self.pool.name, self.target.place))
    }
}

/// One call on a connection: within the open transaction, or in one of its own.
macro_rules! call {
    ($session:ident, $scope:expr, $wire:ident => $work:expr) => {{
        let (mut lease, inside) = $session.take().await?;
        let call = async {
            let $wire = &mut *lease.connection;
            let scope = $scope;
            // Nothing else can be said on a connection while rows are copied.
            gather::merge($wire).await.map_err(|fault| $session.server.as_passing(fault))?;
            $wire.enter(scope, inside).await?;
            let answer = $work.await;
            $wire.leave(scope, inside, answer).await
        };
        let answer = tokio::time::timeout(CALL, call).await.unwrap_or(Err(Fault::Deadline));
        $session.give_back(lease, inside, answer)
    }};
}

impl Session {
    pub(super) const fn new(server: Arc<Server>) -> Self {
        Self { server, transaction: Transaction::None }
    }

    pub(super) async fn begin(&mut self) -> R<()> {
        self.rollback().await?;
        let mut lease = self.server.lease().await?;
        let mut begun = end(lease.connection.begin()).await;
        if begun.as_ref().is_err_and(Fault::is_retry) {
            // It broke while it was idle: nothing was lost.
            drop(lease);
            lease = self.server.lease().await?;
            begun = end(lease.connection.begin()).await;
        }
        begun.map_err(|fault| self.server.explain(fault))?;
        self.transaction = Transaction::Open { lease, failed: false };
        Ok(())
    }

    pub(super) async fn commit(&mut self) -> R<()> {
        match std::mem::replace(&mut self.transaction, Transaction::None) {
            Transaction::Open { mut lease, failed: false } => {
                // On an error the connection closes, and with it what may be open.
                end(lease.connection.commit()).await.map_err(|fault| self.server.explain(fault))?;
                self.server.pool.put_back(lease);
                Ok(())
            }
            Transaction::Open { .. } | Transaction::Lost => Err(self.lost()),
            Transaction::None => {
                Err(SqlError::Fatal(format!("connection `{}`: there is no transaction to commit", self.server.pool.name)))
            }
        }
    }

    pub(super) async fn rollback(&mut self) -> R<()> {
        let Transaction::Open { mut lease, .. } = std::mem::replace(&mut self.transaction, Transaction::None) else {
            return Ok(());
        };
        // A broken connection has rolled back already.
        if lease.connection.is_sound() && end(lease.connection.rollback()).await.is_ok() {
            self.server.pool.put_back(lease);
        }
        Ok(())
    }

    pub(super) async fn ensure(&mut self, table: &Table, columns: &[ColumnDef]) -> R<()> {
        call!(self, Scope::Write, wire => schema::ensure(wire, table, columns))
    }

    pub(super) async fn columns(&mut self, table: &str) -> R<Vec<ColumnDef>> {
        call!(self, Scope::Read, wire => schema::columns(wire, table))
    }

    /// From here to the end of the open transaction rows may be gathered, until `merge` or another call.
    pub(super) fn gather(&mut self) {
        if let Transaction::Open { lease, .. } = &mut self.transaction {
            lease.connection.gathers = true;
        }
    }

    /// Writes what was gathered. After an error the transaction has failed.
    pub(super) async fn merge(&mut self) -> R<()> {
        let (mut lease, inside) = self.take().await?;
        let answer = end(gather::merge(&mut lease.connection)).await;
        self.give_back_gathering(lease, inside, answer)
    }

    pub(super) async fn apply(&mut self, table: &Table, rows: &Rows) -> R<Vec<RejectedRow>> {
        if let Transaction::Open { lease, failed: false } = &self.transaction
            && lease.connection.gathers
        {
            let (mut lease, inside) = self.take().await?;
            let answer = end(gather::gather(&mut lease.connection, table, rows)).await;
            if let Some(refused) = self.give_back_gathering(lease, inside, answer)? {
                return Ok(refused);
            }
        }
        call!(self, Scope::Write, wire => apply::apply(wire, table, rows))
    }

    pub(super) async fn query(&mut self, statement: &str, parameters: &[Column], max_rows: u32) -> R<Vec<Column>> {
        call!(self, Scope::Read, wire => query::query(wire, statement, parameters, max_rows))
    }

    pub(super) async fn load_offsets(
        &mut self,
        scope: &OffsetScope,
        partitions: &[(TopicPartition, String)],
    ) -> R<Vec<Option<i64>>> {
        call!(self, Scope::Read, wire => offsets::load(wire, scope, partitions))
    }

    pub(super) async fn claim_offset(
        &mut self,
        scope: &OffsetScope,
        partition: &TopicPartition,
        topic_id: &str,
        next: i64,
    ) -> R<()> {
        call!(self, Scope::Write, wire => offsets::claim(wire, scope, (partition, topic_id), next))
    }

    /// As an error inside, so that what moved is undone where not all did.
    pub(super) async fn advance_offsets(&mut self, scope: &OffsetScope, moves: &[OffsetMove]) -> R<bool> {
        let mut all = true;
        let moved = call!(self, Scope::Write, wire => async {
            all = offsets::advance(wire, scope, moves).await?;
            if all { Ok(()) } else { Err(Fault::Undo) }
        });
        if all { moved.map(|()| true) } else { Ok(false) }
    }

    pub(super) async fn stored_offsets(
        &mut self,
        scope: &OffsetScope,
        partitions: &[(TopicPartition, String)],
    ) -> R<Vec<StoredOffset>> {
        call!(self, Scope::Read, wire => offsets::stored(wire, scope, partitions))
    }

    pub(super) async fn change_offsets(&mut self, scope: &OffsetScope, changes: &[OffsetChange]) -> R<()> {
        call!(self, Scope::Write, wire => offsets::change(wire, scope, changes))
    }

    async fn take(&mut self) -> R<(Lease<Box<Wire>>, bool)> {
        // Until the call is back the transaction counts as lost, should the call be dropped.
        match std::mem::replace(&mut self.transaction, Transaction::Lost) {
            Transaction::Open { lease, failed: false } => Ok((lease, true)),
            Transaction::Open { .. } | Transaction::Lost => Err(self.lost()),
            Transaction::None => {
                self.transaction = Transaction::None;
                Ok((self.server.lease().await?, false))
            }
        }
    }

    fn give_back<T>(&mut self, lease: Lease<Box<Wire>>, inside: bool, answer: Result<T, Fault>) -> R<T> {
        let timed_out = matches!(answer, Err(Fault::Deadline));
        if lease.connection.is_sound() && !timed_out {
            let failed = answer.as_ref().is_err_and(Fault::is_retry);
            match (inside, failed) {
                (true, failed) => self.transaction = Transaction::Open { lease, failed },
                (false, false) => self.server.pool.put_back(lease),
                // What state it is in is not known: it closes.
                (false, true) => drop(lease),
            }
        }
        answer.map_err(|fault| self.server.explain(fault))
    }

    /// Without a savepoint any error fails the transaction. It says nothing of a row: that is found out without gathering.
    fn give_back_gathering<T>(&mut self, lease: Lease<Box<Wire>>, inside: bool, answer: Result<T, Fault>) -> R<T> {
        let answer = answer.map_err(|fault| self.server.as_passing(fault));
        self.give_back(lease, inside, answer)
    }

    fn lost(&self) -> SqlError {
        SqlError::Retry(format!(
            "connection `{}`: the transaction failed or was lost; nothing of it is written",
            self.server.pool.name
        ))
    }
}

async fn end<T>(call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    tokio::time::timeout(CALL, call).await.unwrap_or(Err(Fault::Deadline))
}
