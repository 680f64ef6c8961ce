//! Names of tables and columns that come from guests: checked and quoted, so that a name is never read as SQL.

use super::{R, SqlError};

/// PostgreSQL cuts longer names off in silence, and two columns become one.
const LONGEST: usize = 63;

/// Columns that every table of PostgreSQL has of itself (its manual, "System Columns"): none can be added under these names.
const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

/// A table, perhaps within a schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TableName {
    pub schema: Option<String>,
    pub table: String,
}

impl TableName {
    /// `table` or `schema.table`.
    pub(super) fn parse(name: &str) -> R<Self> {
        let (schema, table) = match name.split_once('.') {
            Some((schema, table)) => (Some(schema), table),
            None => (None, name),
        };
        if table.contains('.') {
            return Err(SqlError::Reject(format!("`{name}` is not a table: expected `table` or `schema.table`")));
        }
        for part in schema.iter().copied().chain([table]) {
            check(part, "table")?;
        }
        Ok(Self { schema: schema.map(str::to_owned), table: table.to_owned() })
    }

    /// For use in SQL.
    pub(super) fn quoted(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quote(schema), quote(&self.table)),
            None => quote(&self.table),
        }
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.table),
            None => f.write_str(&self.table),
        }
    }
}

/// An identifier in double quotes, as the SQL standard has it and both databases read it.
pub(super) fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// Refuses what is no name in one of the databases.
pub(super) fn check(identifier: &str, what: &str) -> R<()> {
    let fault = if identifier.is_empty() {
        "is empty"
    } else if identifier.contains('\0') {
        "holds the character U+0000"
    } else if identifier.len() > LONGEST {
        "is longer than the 63 bytes that PostgreSQL keeps of a name; rename the field"
    } else if what == "column" && SYSTEM_COLUMNS.contains(&identifier) {
        "is a system column of PostgreSQL; rename the field"
    } else {
        return Ok(());
    };
    Err(SqlError::Reject(format!("the name of {what} `{}` {fault}", identifier.replace('\0', "\u{fffd}"))))
}

/// Several identifiers, quoted and set apart by commas.
pub(super) fn list<'a>(identifiers: impl IntoIterator<Item = &'a str>) -> String {
    identifiers.into_iter().map(quote).collect::<Vec<_>>().join(", ")
}
