//! Named database connections of guests, and the offsets that exactly-once sinks keep in the same database. Owns the types,
//! and which database a name leads to; `sql/sqlite.rs` and `sql/postgres.rs` do the work. Whether a connector may use a
//! name is decided before: a session is only handed out for a granted one. No URL or password leaves this module.

mod cells;
mod keyless;
mod limits;
mod name;
mod plan;
mod pool;
mod postgres;
mod sqlite;
mod target;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::config::Connection;
use crate::topic_log::TopicPartition;
use crate::topic_log::places::{Foreign, OffsetChange, StoredOffset};
use target::Target;

/// SQL type of a column, as guests know it. What it becomes is the dialect's; `wit/v0.1/sql.wit` has the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Boolean,
    Int64,
    Float64,
    /// Decimal digits as text, exact.
    Decimal,
    Text,
    Bytes,
    /// Microseconds since 1970-01-01T00:00:00Z.
    TimestampUs,
    /// Days since 1970-01-01.
    Date,
    /// JSON text.
    Json,
}

/// One entry a row, also where the row is null (then 0, or length 0). The case goes with the kind: booleans for boolean (one
/// byte each); ints for int64, timestamp and date; floats for float64; variable for decimal, text, bytes and json.
#[derive(Debug, Clone)]
pub enum Values {
    Booleans(Vec<u8>),
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Variable { lens: Vec<u32>, data: Vec<u8> },
}

/// A column of a batch of rows.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    /// Bit i (least significant first) set: row i is not null. Empty: no nulls.
    pub validity: Vec<u8>,
    /// Bit i set: row i has this field. Empty: every row has it.
    pub present: Vec<u8>,
    pub values: Values,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDef {
    pub name: String,
    pub kind: Kind,
    pub nullable: bool,
}

/// A table, `table` or `schema.table`, and the columns of its key; an empty key means insert only.
#[derive(Debug, Clone)]
pub struct Table {
    pub name: String,
    pub key: Vec<String>,
    /// Column whose higher value wins, rather than the later row; `None`: there is none.
    pub version: Option<String>,
}

/// Rows to write. Bit i of `deletes` set: row i is a deletion by key; empty: none is.
#[derive(Debug, Clone)]
pub struct Rows {
    pub count: u32,
    pub deletes: Vec<u8>,
    pub columns: Vec<Column>,
}

/// A row that the database refused. `reason` is in the database's words and holds no values of the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRow {
    pub row: u32,
    /// `sql.not-null`, `sql.foreign-key`, `sql.type`, `sql.unique`, `sql.check` or `sql.refused`.
    pub code: String,
    pub reason: String,
    pub column: Option<String>,
}

/// What to do about a failed call. Texts name the connection and never hold a URL, a password or a value of a row.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The same call again, later: the database is down, busy or full, or a transaction lost a race.
    #[error("{0}")]
    Retry(String),
    /// This call can never work as it is; others can.
    #[error("{0}")]
    Reject(String),
    /// Somebody has to change something first.
    #[error("{0}")]
    Fatal(String),
}

/// Whose offsets: those of another log are never used.
#[derive(Debug, Clone)]
pub struct OffsetScope {
    /// Kafka's cluster id or the id of the embedded log.
    pub log_id: String,
    pub group: String,
}

/// A compare-and-set of one stored offset.
#[derive(Debug, Clone)]
pub struct OffsetMove {
    pub partition: TopicPartition,
    pub topic_id: String,
    pub expected: i64,
    pub next: i64,
}

type R<T> = Result<T, SqlError>;

/// Most bytes that a query may answer.
const LARGEST_ANSWER: usize = 64 << 20;

/// The databases of a deployment by name. Each has a pool of its own.
#[derive(Debug)]
pub struct Connections {
    databases: BTreeMap<String, Database>,
}

#[derive(Debug, Clone)]
enum Database {
    Sqlite(Arc<sqlite::Store>),
    Postgres(Arc<postgres::Server>),
}

/// One user of a database: a task. Connects when it is first used, and again after a connection broke; takes a connection
/// out of the pool for one call, or from `begin` to `commit` or `rollback`. A call that is dropped while a transaction is
/// open loses that transaction: nothing of it is written, and calls answer `Retry` until `rollback` or `begin`.
#[derive(Debug)]
pub struct Session(Backend);

#[derive(Debug)]
enum Backend {
    Sqlite(sqlite::Session),
    Postgres(Box<postgres::Session>),
}

macro_rules! on_backend {
    ($session:expr, $call:ident($($argument:expr),*)) => {
        match &mut $session.0 {
            Backend::Sqlite(session) => session.$call($($argument),*).await,
            Backend::Postgres(session) => session.$call($($argument),*).await,
        }
    };
}

// After the macro that it uses.
#[cfg(feature = "chaos")]
mod mutant;

impl Connections {
    /// Reads the URLs and CA files; connects to nothing. `base_dir` is what a relative SQLite path starts from.
    ///
    /// # Errors
    /// [`SqlError::Fatal`] that names the connection at fault.
    pub fn new(connections: &BTreeMap<String, Connection>, base_dir: &Path) -> R<Self> {
        let database = |(name, connection): (&String, &Connection)| {
            let fault = |reason| SqlError::Fatal(format!("connection `{name}`: {reason}"));
            let database = match Target::parse(connection, base_dir).map_err(fault)? {
                Target::Sqlite(path) => Database::Sqlite(Arc::new(sqlite::Store::new(name, path, connection.pool))),
                Target::Postgres(target) => Database::Postgres(Arc::new(postgres::Server::new(name, *target, connection.pool))),
            };
            Ok((name.clone(), database))
        };
        Ok(Self { databases: connections.iter().map(database).collect::<R<_>>()? })
    }

    /// A session of a named connection; nothing is connected yet.
    ///
    /// # Errors
    /// [`SqlError::Fatal`] when there is no such connection.
    pub fn session(&self, name: &str) -> R<Session> {
        Ok(Session(match self.database(name)? {
            Database::Sqlite(store) => Backend::Sqlite(sqlite::Session::new(Arc::clone(store))),
            Database::Postgres(server) => Backend::Postgres(Box::new(postgres::Session::new(Arc::clone(server)))),
        }))
    }

    /// Connects, and describes in one line what is there. Writes nothing: a SQLite file that is missing stays so.
    ///
    /// # Errors
    /// [`SqlError::Retry`] when the database does not answer, [`SqlError::Fatal`] when it refuses.
    pub async fn probe(&self, name: &str) -> R<String> {
        match self.database(name)? {
            Database::Sqlite(store) => store.probe().await,
            Database::Postgres(server) => server.probe().await,
        }
    }

    fn database(&self, name: &str) -> R<&Database> {
        self.databases.get(name).ok_or_else(|| {
            let known = self.databases.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "there is none".to_owned() } else { format!("there are {known}") };
            SqlError::Fatal(format!("no connection is named `{name}` ({known}): add a section [connection.{name}]"))
        })
    }
}

impl Session {
    /// Opens a transaction that lasts until `commit` or `rollback`. One that is still open is rolled back first.
    pub async fn begin(&mut self) -> R<()> {
        on_backend!(self, begin())
    }

    /// From here to the end of the open transaction `apply` may hold rows back, to write those of several calls together in `merge`. It then
    /// answers before the database has judged them.
    pub fn gather(&mut self) {
        // SQLite writes row by row: nothing is won there by waiting.
        if let Backend::Postgres(session) = &mut self.0 {
            session.gather();
        }
    }

    /// Writes what `apply` has held back.
    ///
    /// # Errors
    /// [`SqlError::Retry`] where some row of it was refused, or the database failed: the transaction is to be rolled back, and
    /// what was in it written without gathering.
    pub async fn merge(&mut self) -> R<()> {
        match &mut self.0 {
            Backend::Sqlite(_) => Ok(()),
            Backend::Postgres(session) => session.merge().await,
        }
    }

    /// Commits. After an error the transaction is over; whether it took effect is unknown only after [`SqlError::Retry`].
    pub async fn commit(&mut self) -> R<()> {
        on_backend!(self, commit())
    }

    /// Rolls back what is open; without a transaction this does nothing.
    pub async fn rollback(&mut self) -> R<()> {
        on_backend!(self, rollback())
    }

    /// Creates the table, or adds the columns that it lacks; two sessions may do so at once. Never narrows and never drops.
    /// Columns added to a table that is there are nullable, as its rows have no value for them.
    ///
    /// # Errors
    /// [`SqlError::Reject`] naming the column when one that is there cannot hold the kind asked for, or a key column is missing.
    pub async fn ensure(&mut self, table: &Table, columns: &[ColumnDef]) -> R<()> {
        on_backend!(self, ensure(table, columns))
    }

    /// The columns of a table in their order, as they are now; empty when there is no such table. In an open transaction it may
    /// be asked also after `apply` refused rows.
    pub async fn columns(&mut self, table: &str) -> R<Vec<ColumnDef>> {
        on_backend!(self, columns(table))
    }

    /// Writes rows, in the open transaction or else in one of its own. With a key the last row of a key wins; an absent
    /// field leaves its column, null sets NULL. Answers the rows that were refused, ascending; all others are written.
    ///
    /// With a version a row is written where the table's value of that column is null, lower or the same; one that loses is left
    /// out as a whole. Deletions go by the key alone.
    ///
    /// # Errors
    /// [`SqlError::Fatal`] for a table or column that is missing, and for a version that is neither a number nor a time.
    pub async fn apply(&mut self, table: &Table, rows: &Rows) -> R<Vec<RejectedRow>> {
        on_backend!(self, apply(table, rows))
    }

    /// Reads with one statement that has `$1`, `$2` … for the parameters (columns of one row each).
    ///
    /// # Errors
    /// [`SqlError::Reject`] when there are more than `max_rows` rows, and for a statement that writes.
    pub async fn query(&mut self, statement: &str, parameters: &[Column], max_rows: u32) -> R<Vec<Column>> {
        on_backend!(self, query(statement, parameters, max_rows))
    }

    /// The stored next offsets of partitions (each with its topic's id), in their order. One that belongs to another log or
    /// to an earlier topic of that name is not answered, and that is said.
    pub async fn load_offsets(&mut self, scope: &OffsetScope, partitions: &[(TopicPartition, String)]) -> R<Vec<Option<i64>>> {
        #[cfg(feature = "chaos")]
        if Self::is_blind() {
            return Ok(vec![None; partitions.len()]);
        }
        on_backend!(self, load_offsets(scope, partitions))
    }

    /// Stores the offset that a partition begins at, unless the same is stored already.
    ///
    /// # Errors
    /// [`SqlError::Retry`] when another one is stored: another owner was there.
    pub async fn claim_offset(&mut self, scope: &OffsetScope, partition: &TopicPartition, topic_id: &str, next: i64) -> R<()> {
        #[cfg(feature = "chaos")]
        if self.overwrite(scope, partition, topic_id, next).await? {
            return Ok(());
        }
        on_backend!(self, claim_offset(scope, partition, topic_id, next))
    }

    /// Moves stored offsets by compare-and-set. False when one was not as expected: the caller rolls back. Outside a
    /// transaction either all move or none.
    pub async fn advance_offsets(&mut self, scope: &OffsetScope, moves: &[OffsetMove]) -> R<bool> {
        #[cfg(feature = "chaos")]
        let moves = &self.whatever_is_stored(scope, moves).await?;
        #[cfg(feature = "chaos")]
        if self.split_transaction().await? {
            let moved = on_backend!(self, advance_offsets(scope, moves));
            return self.begin_again(moved).await;
        }
        on_backend!(self, advance_offsets(scope, moves))
    }

    /// All that is stored for partitions (each with its topic's id), in their order, with what is not used. Creates nothing.
    pub async fn stored_offsets(&mut self, scope: &OffsetScope, partitions: &[(TopicPartition, String)]) -> R<Vec<StoredOffset>> {
        on_backend!(self, stored_offsets(scope, partitions))
    }

    /// Sets or forgets stored offsets whatever they were, all or none: for an operator, while the sink is stopped. A sink that
    /// runs all the same finds by its next compare-and-set that they moved, and goes on from there.
    pub async fn change_offsets(&mut self, scope: &OffsetScope, changes: &[OffsetChange]) -> R<()> {
        on_backend!(self, change_offsets(scope, changes))
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Boolean => "boolean",
            Self::Int64 => "int64",
            Self::Float64 => "float64",
            Self::Decimal => "decimal",
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::TimestampUs => "timestamp",
            Self::Date => "date",
            Self::Json => "json",
        })
    }
}

impl Kind {
    const fn is_numeric(self) -> bool {
        matches!(self, Self::Int64 | Self::Float64 | Self::Decimal)
    }

    /// Whether values of this kind may be sent into a column of kind `existing`. Text goes anywhere but into bytes: the
    /// database reads it, row by row.
    fn fits(self, existing: Self) -> bool {
        self == existing
            || existing == Self::Text
            || (self == Self::Text && existing != Self::Bytes)
            || (self.is_numeric() && existing.is_numeric())
            || (self == Self::Date && existing == Self::TimestampUs)
            || (existing == Self::Json && matches!(self, Self::Boolean | Self::Int64 | Self::Float64 | Self::Decimal))
    }
}

fn unordered(table: &str, version: &str, of: &str) -> SqlError {
    SqlError::Fatal(format!(
        "version `{version}` of table `{table}` is a column of {of}, which does not order versions: make it one of integers or times"
    ))
}

/// Adds a row of `_wharf_offsets`, as log id, topic id and offset, to what is stored for its partition.
fn place(stored: &mut StoredOffset, scope: &OffsetScope, topic_id: &str, (log_id, id, next): (String, String, i64)) {
    if log_id != scope.log_id {
        stored.others.push((Foreign::Log(log_id), next));
    } else if id != topic_id {
        stored.others.push((Foreign::Topic(id), next));
    } else {
        stored.own = Some(next);
    }
}

/// Says why a stored offset is not used.
fn tell_foreign(scope: &OffsetScope, partition: &TopicPartition, same_log: bool) {
    let whose = if same_log { "an earlier topic of that name" } else { "another log" };
    tracing::warn!(group = scope.group, %partition, whose, "the database holds an offset that is not used, as it belongs to another log or topic");
}

fn too_large() -> SqlError {
    SqlError::Reject(format!("the statement answers more than {} MiB: narrow it", LARGEST_ANSWER >> 20))
}

fn claimed(partition: &TopicPartition, stored: i64, wanted: i64) -> SqlError {
    SqlError::Retry(format!("another owner moved the stored offset of {partition}: it is {stored}, not {wanted}"))
}
