//! Sessions of PostgreSQL.

pub(super) mod tls;

use std::sync::Arc;

use super::target::PostgresTarget;
use super::{Column, ColumnDef, OffsetMove, OffsetScope, R, RejectedRow, Rows, SqlError, Table};
use crate::topic_log::TopicPartition;

#[derive(Debug)]
pub(super) struct Server {
    name: String,
    target: PostgresTarget,
}

#[derive(Debug)]
pub(super) struct Session {
    server: Arc<Server>,
}

impl Server {
    pub(super) fn new(name: &str, target: PostgresTarget, _pool: usize) -> Self {
        Self { name: name.to_owned(), target }
    }

    #[expect(clippy::unused_async, reason = "follows")]
    pub(super) async fn probe(&self) -> R<String> {
        Err(SqlError::Fatal(format!(
            "connection `{}`: {} cannot be reached by this build: PostgreSQL is not in it",
            self.name, self.target.place
        )))
    }
}

macro_rules! absent {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $ret:ty;)*) => {
        impl Session {
            pub(super) const fn new(server: Arc<Server>) -> Self {
                Self { server }
            }
            $(pub(super) async fn $name(&mut self, $($arg: $ty),*) -> R<$ret> {
                $(drop($arg);)*
                self.server.probe().await.map(|_| unreachable!())
            })*
        }
    };
}
absent! {
    begin() -> ();
    commit() -> ();
    rollback() -> ();
    ensure(t: &Table, c: &[ColumnDef]) -> ();
    columns(t: &str) -> Vec<ColumnDef>;
    apply(t: &Table, r: &Rows) -> Vec<RejectedRow>;
    query(s: &str, p: &[Column], m: u32) -> Vec<Column>;
    load_offsets(s: &OffsetScope, p: &[(TopicPartition, String)]) -> Vec<Option<i64>>;
    claim_offset(s: &OffsetScope, p: &TopicPartition, t: &str, n: i64) -> ();
    advance_offsets(s: &OffsetScope, m: &[OffsetMove]) -> bool;
}
