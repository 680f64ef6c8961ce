//! The `sql` interface of guests on the sessions of their named connections. Owns the translation of columns; what a
//! connection does is decided in `capability/sql.rs`.

use super::{sql, types};
use crate::capability::sql as host;
use crate::guest::SharedSession;
use crate::guest::state::{State, on_main};
use crate::guest::waits::{Asked, Waiting};

type Answer<T> = Result<T, types::Error>;

impl State {
    fn session(&self, connection: &str) -> Answer<SharedSession> {
        self.grants.sql.get(connection).cloned().ok_or_else(|| {
            types::Error::Fatal(format!(
                "connection `{connection}` is not granted: list it under `allow.sql` of `{}` and ask for `sql` in the connector's manifest",
                self.grants.connector
            ))
        })
    }

    fn asks(&self, connection: String, what: &'static str) -> Waiting {
        self.waits.ask(Asked::Sql { connection, what })
    }

    async fn write(&mut self, connection: String, table: host::Table, rows: host::Rows) -> Answer<Vec<sql::Rejected>> {
        let session = self.session(&connection)?;
        let waiting = self.asks(connection, "apply");
        let rejected = finish(&waiting, on_main(&self.io, async move { session.lock().await.apply(&table, &rows).await }).await)?;
        Ok(rejected.into_iter().map(|r| sql::Rejected { row: r.row, code: r.code, reason: r.reason, column: r.column }).collect())
    }
}

fn rows_of(count: u32, deletes: Vec<u8>, columns: Vec<sql::Column>) -> host::Rows {
    host::Rows { count, deletes, columns: columns.into_iter().map(Into::into).collect() }
}

/// A host task that ended early (shutdown) is a call to repeat.
fn finish<T>(waiting: &Waiting, answered: wasmtime::Result<Result<T, host::SqlError>>) -> Answer<T> {
    // A database that is away has not answered.
    if !matches!(answered, Err(_) | Ok(Err(host::SqlError::Retry(_)))) {
        waiting.moved();
    }
    match answered {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(host::SqlError::Retry(message))) => Err(retry(message)),
        Ok(Err(host::SqlError::Reject(message))) => Err(types::Error::Reject(message)),
        Ok(Err(host::SqlError::Fatal(message))) => Err(types::Error::Fatal(message)),
        Err(error) => Err(retry(error.to_string())),
    }
}

const fn retry(message: String) -> types::Error {
    types::Error::Retry(types::RetryLater { message, after_ms: None })
}

impl sql::Host for State {
    async fn ensure(&mut self, connection: String, table: sql::Table, columns: Vec<sql::ColumnDef>) -> Answer<()> {
        let session = self.session(&connection)?;
        let waiting = self.asks(connection, "ensure");
        let (table, columns): (host::Table, Vec<_>) = (table.into(), columns.into_iter().map(Into::into).collect());
        finish(&waiting, on_main(&self.io, async move { session.lock().await.ensure(&table, &columns).await }).await)
    }

    async fn columns(&mut self, connection: String, table: String) -> Answer<Vec<sql::ColumnDef>> {
        let session = self.session(&connection)?;
        let waiting = self.asks(connection, "columns");
        let columns = finish(&waiting, on_main(&self.io, async move { session.lock().await.columns(&table).await }).await)?;
        Ok(columns.into_iter().map(Into::into).collect())
    }

    async fn apply(
        &mut self,
        connection: String,
        table: sql::Table,
        rows: u32,
        deletes: Vec<u8>,
        columns: Vec<sql::Column>,
    ) -> Answer<Vec<sql::Rejected>> {
        self.write(connection, table.into(), rows_of(rows, deletes, columns)).await
    }

    async fn apply_newest(
        &mut self,
        connection: String,
        table: sql::Table,
        version: String,
        rows: u32,
        deletes: Vec<u8>,
        columns: Vec<sql::Column>,
    ) -> Answer<Vec<sql::Rejected>> {
        let table = host::Table { version: Some(version), ..table.into() };
        self.write(connection, table, rows_of(rows, deletes, columns)).await
    }

    async fn query(
        &mut self,
        connection: String,
        statement: String,
        parameters: Vec<sql::Column>,
        max_rows: u32,
    ) -> Answer<Vec<sql::Column>> {
        let session = self.session(&connection)?;
        let waiting = self.asks(connection, "query");
        let parameters: Vec<host::Column> = parameters.into_iter().map(Into::into).collect();
        let work = async move { session.lock().await.query(&statement, &parameters, max_rows).await };
        let columns = finish(&waiting, on_main(&self.io, work).await)?;
        Ok(columns.into_iter().map(Into::into).collect())
    }
}

impl From<sql::Table> for host::Table {
    fn from(t: sql::Table) -> Self {
        Self { name: t.name, key: t.key, version: None }
    }
}

impl From<sql::ColumnDef> for host::ColumnDef {
    fn from(c: sql::ColumnDef) -> Self {
        Self { name: c.name, kind: c.kind.into(), nullable: c.nullable }
    }
}

impl From<host::ColumnDef> for sql::ColumnDef {
    fn from(c: host::ColumnDef) -> Self {
        Self { name: c.name, kind: c.kind.into(), nullable: c.nullable }
    }
}

impl From<sql::Column> for host::Column {
    fn from(c: sql::Column) -> Self {
        let values = match c.values {
            sql::Values::Booleans(v) => host::Values::Booleans(v),
            sql::Values::Ints(v) => host::Values::Ints(v),
            sql::Values::Floats(v) => host::Values::Floats(v),
            sql::Values::Variable(v) => host::Values::Variable { lens: v.lens, data: v.data },
        };
        Self { name: c.name, kind: c.kind.into(), validity: c.validity, present: c.present, values }
    }
}

impl From<host::Column> for sql::Column {
    fn from(c: host::Column) -> Self {
        let values = match c.values {
            host::Values::Booleans(v) => sql::Values::Booleans(v),
            host::Values::Ints(v) => sql::Values::Ints(v),
            host::Values::Floats(v) => sql::Values::Floats(v),
            host::Values::Variable { lens, data } => sql::Values::Variable(sql::Varlen { lens, data }),
        };
        Self { name: c.name, kind: c.kind.into(), validity: c.validity, present: c.present, values }
    }
}

macro_rules! kinds {
    ($($kind:ident),*) => {
        impl From<sql::Kind> for host::Kind {
            fn from(kind: sql::Kind) -> Self {
                match kind { $(sql::Kind::$kind => Self::$kind),* }
            }
        }
        impl From<host::Kind> for sql::Kind {
            fn from(kind: host::Kind) -> Self {
                match kind { $(host::Kind::$kind => Self::$kind),* }
            }
        }
    };
}
kinds!(Boolean, Int64, Float64, Decimal, Text, Bytes, TimestampUs, Date, Json);
