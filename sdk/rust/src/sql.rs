//! Named connections that the operator allowed. The host owns pool, TLS, dialect, credentials and the transaction around
//! `Sink::write`; a guest names a connection and hands over columns.

mod column;

#[cfg(target_arch = "wasm32")]
use crate::bindings::sql;
use crate::error::Result;

pub use crate::bindings::sql::{ColumnDef, Kind, Rejected};
pub use column::{Bitmap, Column, Value, Values, WrongKind};

/// A table by name (`table` or `schema.table`) and the columns of its key; an empty key means insert only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    pub key: Vec<String>,
}

/// Rows by columns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    pub count: u32,
    /// Rows to delete by key, of which only the key columns count.
    pub deletes: Bitmap,
    /// One entry a row in each.
    pub columns: Vec<Column>,
}

/// A connection by its name in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    name: String,
}

/// What the host answers; each may fail with `retry` (the database is down) or `fatal` (not granted).
#[cfg(target_arch = "wasm32")]
impl Connection {
    /// Creates the table, or adds the columns that are missing. Never narrows and never drops.
    ///
    /// # Errors
    /// As the host says.
    pub fn ensure(&self, table: &Table, columns: &[ColumnDef]) -> Result<()> {
        Ok(sql::ensure(&self.name, &raw(table), columns)?)
    }

    /// The columns of a table in their order; none when there is no such table.
    ///
    /// # Errors
    /// As the host says.
    pub fn columns(&self, table: &str) -> Result<Vec<ColumnDef>> {
        Ok(sql::columns(&self.name, table)?)
    }

    /// Writes rows in order; with a key the last row of a key wins. Answers the rows that the database refused; all others
    /// are written.
    ///
    /// # Errors
    /// As the host says.
    pub fn apply(&self, table: &Table, rows: Rows) -> Result<Vec<Rejected>> {
        let columns: Vec<sql::Column> = rows.columns.into_iter().map(Column::into_raw).collect();
        Ok(sql::apply(&self.name, &raw(table), rows.count, &rows.deletes.padded(rows.count), &columns)?)
    }

    /// As [`apply`](Self::apply) for a table with a key, but the higher version wins, in whatever order rows come: one is inserted, or
    /// updates the row of its key where that row's column `version` is null, lower or the same. Every row but a deletion has the
    /// column, which is a number or a time; deletions go by the key alone. A row that loses is left out as a whole.
    ///
    /// # Errors
    /// As the host says; `fatal` for a version without a key, and for a column that is neither a number nor a time.
    pub fn apply_newest(&self, table: &Table, version: &str, rows: Rows) -> Result<Vec<Rejected>> {
        let columns: Vec<sql::Column> = rows.columns.into_iter().map(Column::into_raw).collect();
        Ok(sql::apply_newest(&self.name, &raw(table), version, rows.count, &rows.deletes.padded(rows.count), &columns)?)
    }

    /// Small reads. `statement` has `$1`, `$2` … for `parameters`, columns of one row each.
    ///
    /// # Errors
    /// As the host says; more than `max_rows` rows are an error.
    pub fn query(&self, statement: &str, parameters: Vec<Column>, max_rows: u32) -> Result<Vec<Column>> {
        let parameters: Vec<sql::Column> = parameters.into_iter().map(Column::into_raw).collect();
        Ok(sql::query(&self.name, statement, &parameters, max_rows)?.into_iter().map(Column::from_raw).collect())
    }
}

#[cfg(target_arch = "wasm32")]
fn raw(table: &Table) -> sql::Table {
    sql::Table { name: table.name.clone(), key: table.key.clone() }
}

/// Outside Wharf a connection answers what [`testing::database`](crate::testing::database) put there.
#[cfg(not(target_arch = "wasm32"))]
impl Connection {
    /// # Errors
    /// As the test's database says.
    pub fn ensure(&self, table: &Table, columns: &[ColumnDef]) -> Result<()> {
        crate::testing::with_database(|database| database.ensure(&self.name, table, columns))
    }

    /// # Errors
    /// As the test's database says.
    pub fn columns(&self, table: &str) -> Result<Vec<ColumnDef>> {
        crate::testing::with_database(|database| database.columns(&self.name, table))
    }

    /// # Errors
    /// As the test's database says.
    pub fn apply(&self, table: &Table, rows: Rows) -> Result<Vec<Rejected>> {
        crate::testing::with_database(|database| database.apply(&self.name, table, rows))
    }

    /// # Errors
    /// As the test's database says.
    pub fn apply_newest(&self, table: &Table, version: &str, rows: Rows) -> Result<Vec<Rejected>> {
        crate::testing::with_database(|database| database.apply_newest(&self.name, table, version, rows))
    }

    /// # Errors
    /// As the test's database says.
    pub fn query(&self, statement: &str, parameters: Vec<Column>, max_rows: u32) -> Result<Vec<Column>> {
        crate::testing::with_database(|database| database.query(&self.name, statement, parameters, max_rows))
    }
}

impl Connection {
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}
