//! Tables of SQLite: what they are like, and how they are made. New tables are STRICT: otherwise text that is no number
//! would quietly stay text in an INTEGER column.

use rusqlite::Connection;

use super::fault::Fault;
use crate::capability::sql::name::{self, TableName, quote};
use crate::capability::sql::{ColumnDef, Kind, Table};

/// Of a column, what writing needs to know.
#[derive(Debug)]
pub(super) struct Existing {
    pub name: String,
    pub kind: Kind,
    pub affinity: Affinity,
    pub nullable: bool,
    /// An insert that leaves it out fails.
    pub required: bool,
}

/// Column affinity, <https://sqlite.org/datatype3.html> section 3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

impl Affinity {
    fn of(declared: &str) -> Self {
        let declared = declared.to_ascii_uppercase();
        let has = |part: &str| declared.contains(part);
        if has("INT") {
            Self::Integer
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Self::Text
        } else if has("BLOB") || declared.is_empty() || declared == "ANY" {
            Self::Blob
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Self::Real
        } else {
            Self::Numeric
        }
    }
}

/// The kind that a declared type is nearest to.
pub(super) fn kind(declared: &str) -> Kind {
    let upper = declared.to_ascii_uppercase();
    let word = upper.split(['(', ' ']).next().unwrap_or_default();
    match word {
        "BOOLEAN" | "BOOL" => return Kind::Boolean,
        "DECIMAL" | "NUMERIC" => return Kind::Decimal,
        "DATE" => return Kind::Date,
        "TIMESTAMP" | "TIMESTAMPTZ" | "DATETIME" => return Kind::TimestampUs,
        "JSON" | "JSONB" => return Kind::Json,
        "" | "ANY" => return Kind::Text,
        _ => {}
    }
    match Affinity::of(declared) {
        Affinity::Integer => Kind::Int64,
        Affinity::Real => Kind::Float64,
        Affinity::Blob => Kind::Bytes,
        Affinity::Text => Kind::Text,
        Affinity::Numeric => Kind::Decimal,
    }
}

/// The type that a column of this kind is made with.
const fn declared(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean | Kind::Int64 => "INTEGER",
        Kind::Float64 => "REAL",
        Kind::Bytes => "BLOB",
        Kind::Decimal | Kind::Text | Kind::TimestampUs | Kind::Date | Kind::Json => "TEXT",
    }
}

/// The columns of a table, in order; empty when there is none.
pub(super) fn describe(db: &Connection, table: &TableName) -> Result<Vec<Existing>, Fault> {
    let sql = "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk, hidden FROM pragma_table_xinfo(?1, ?2) \
               WHERE hidden <> 1 ORDER BY cid";
    let mut statement = db.prepare_cached(sql)?;
    let schema = table.schema.as_deref().unwrap_or("main");
    let rows = statement.query_map((&table.table, schema), |row| {
        let declared: String = row.get(1)?;
        let (not_null, default, key, hidden): (bool, bool, i64, i64) = (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
        Ok(Existing {
            name: row.get(0)?,
            kind: kind(&declared),
            affinity: Affinity::of(&declared),
            nullable: !not_null && key == 0,
            required: not_null && !default && hidden == 0,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn columns(db: &Connection, table: &str) -> Result<Vec<ColumnDef>, Fault> {
    let existing = describe(db, &TableName::parse(table)?)?;
    Ok(existing.into_iter().map(|e| ColumnDef { name: e.name, kind: e.kind, nullable: e.nullable }).collect())
}

pub(super) fn ensure(db: &Connection, table: &Table, columns: &[ColumnDef]) -> Result<(), Fault> {
    let name = TableName::parse(&table.name)?;
    for column in columns {
        name::check(&column.name, "column")?;
    }
    if let Some(missing) = table.key.iter().find(|key| !columns.iter().any(|c| c.name == **key)) {
        return Err(Fault::reject(format!("column `{missing}` is in the key of table `{name}`, but not among its columns")));
    }
    let existing = describe(db, &name)?;
    if existing.is_empty() {
        tracing::info!(table = %name, "the table was not there and is made");
        return create(db, &name, table, columns);
    }
    let mut missing = Vec::new();
    for column in columns {
        match existing.iter().find(|e| e.name.eq_ignore_ascii_case(&column.name)) {
            // SQLite has no boolean: a column made for one is an INTEGER.
            Some(e) if column.kind.fits(e.kind) || (column.kind, e.kind) == (Kind::Boolean, Kind::Int64) => {}
            Some(e) => {
                return Err(Fault::reject(format!(
                    "column `{}` of table `{name}` is {} and cannot hold {}: change the column, or map the field to another one",
                    e.name, e.kind, column.kind
                )));
            }
            None if table.key.contains(&column.name) => {
                return Err(Fault::reject(format!(
                    "table `{name}` has no column `{}`, which is in its key: a key cannot be added to a table that is there",
                    column.name
                )));
            }
            None => missing.push(column),
        }
    }
    for column in missing {
        tracing::info!(table = %name, column = column.name, "a column is added");
        db.execute_batch(&format!("ALTER TABLE {} ADD COLUMN {} {}", name.quoted(), quote(&column.name), declared(column.kind)))?;
    }
    Ok(())
}

fn create(db: &Connection, name: &TableName, table: &Table, columns: &[ColumnDef]) -> Result<(), Fault> {
    if columns.is_empty() {
        return Err(Fault::reject(format!("table `{name}` cannot be made without columns")));
    }
    let mut parts: Vec<String> = columns
        .iter()
        .map(|column| {
            let required = !column.nullable || table.key.contains(&column.name);
            format!("{} {}{}", quote(&column.name), declared(column.kind), if required { " NOT NULL" } else { "" })
        })
        .collect();
    if !table.key.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", name::list(table.key.iter().map(String::as_str))));
    }
    Ok(db.execute_batch(&format!("CREATE TABLE {} ({}) STRICT", name.quoted(), parts.join(", ")))?)
}
