//! Tables of PostgreSQL: what they are like, and how they are made.

use super::fault::Fault;
use super::wire::Wire;
use crate::capability::sql::name::{self, TableName, quote};
use crate::capability::sql::{ColumnDef, Kind, SqlError, Table};

/// How often a table is looked at again after another session changed it first.
const TRIES: usize = 10;

/// Of a column, what writing needs to know.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Existing {
    pub name: String,
    pub kind: Kind,
    /// The type's own name, quoted and without a length: what values are cast to.
    pub cast: String,
    /// Name of the type, or of the one that a domain is based on.
    pub base: String,
    /// Of a length, precision or scale (`pg_attribute.atttypmod`); -1: the type has none.
    pub modifier: i32,
    /// Texts that are equal have the same bytes (`pg_collation.collisdeterministic`), and none is cut by the cast to a domain.
    pub deterministic: bool,
    pub is_enum: bool,
    pub nullable: bool,
    /// An insert that leaves it out fails.
    pub required: bool,
}

/// The kind that a type is nearest to.
pub(super) fn kind(base: &str) -> Kind {
    match base {
        "bool" => Kind::Boolean,
        "int2" | "int4" | "int8" | "oid" => Kind::Int64,
        "float4" | "float8" => Kind::Float64,
        "numeric" => Kind::Decimal,
        "bytea" => Kind::Bytes,
        "timestamptz" | "timestamp" => Kind::TimestampUs,
        "date" => Kind::Date,
        "json" | "jsonb" => Kind::Json,
        _ => Kind::Text,
    }
}

/// The type that a column of this kind is made with.
const fn declared(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "boolean",
        Kind::Int64 => "bigint",
        Kind::Float64 => "double precision",
        Kind::Decimal => "numeric",
        Kind::Text => "text",
        Kind::Bytes => "bytea",
        Kind::TimestampUs => "timestamptz",
        Kind::Date => "date",
        Kind::Json => "jsonb",
    }
}

/// The columns of a table, in order; empty when there is none.
pub(super) async fn describe(wire: &mut Wire, table: &TableName) -> Result<Vec<Existing>, Fault> {
    let sql = "SELECT a.attname::text, coalesce(b.typname, t.typname)::text, quote_ident(n.nspname) || '.' || quote_ident(t.typname), \
               a.attnotnull OR t.typnotnull, a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL, \
               CASE t.typtype WHEN 'd' THEN t.typtypmod ELSE a.atttypmod END, \
               coalesce((to_jsonb(c) ->> 'collisdeterministic')::bool, true) AND NOT (t.typtype = 'd' AND t.typtypmod >= 0), coalesce(b.typtype, t.typtype) = 'e' \
               FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
               JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype \
               LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation \
               WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
    let statement = wire.prepare(sql).await?;
    let rows = wire.client.query(&statement, &[&table.quoted()]).await?;
    let column = |row: &tokio_postgres::Row| -> Result<Existing, Fault> {
        let (base, not_null, filled): (String, bool, bool) = (row.try_get(1)?, row.try_get(3)?, row.try_get(4)?);
        Ok(Existing {
            name: row.try_get(0)?,
            kind: kind(&base),
            cast: row.try_get(2)?,
            base,
            modifier: row.try_get(5)?,
            deterministic: row.try_get(6)?,
            is_enum: row.try_get(7)?,
            nullable: !not_null,
            required: not_null && !filled,
        })
    };
    rows.iter().map(column).collect()
}

pub(super) async fn columns(wire: &mut Wire, table: &str) -> Result<Vec<ColumnDef>, Fault> {
    // What the guest goes by from now on, rows are written by too.
    let existing = wire.table_now(&TableName::parse(table)?).await?;
    Ok(existing.iter().map(|e| ColumnDef { name: e.name.clone(), kind: e.kind, nullable: e.nullable }).collect())
}

pub(super) async fn ensure(wire: &mut Wire, table: &Table, columns: &[ColumnDef]) -> Result<(), Fault> {
    let name = TableName::parse(&table.name)?;
    for column in columns {
        name::check(&column.name, "column")?;
    }
    if let Some(missing) = table.key.iter().find(|key| !columns.iter().any(|c| c.name == **key)) {
        return Err(Fault::reject(format!("column `{missing}` is in the key of table `{name}`, but not among its columns")));
    }
    for _ in 0..TRIES {
        let existing = describe(wire, &name).await?;
        let Some(ddl) = changes(&name, table, columns, &existing)? else { return Ok(()) };
        wire.forget();
        if change(wire, &ddl).await? {
            let what = if existing.is_empty() { "the table was not there and is made" } else { "columns are added" };
            tracing::info!(table = %name, ddl, "{what}");
            return Ok(());
        }
    }
    Err(SqlError::Retry(format!("table `{name}` is being changed by others all the time")).into())
}

/// Changes tables; false when another session did so first, and is to be looked at. One that has not committed is waited for.
pub(super) async fn change(wire: &Wire, ddl: &str) -> Result<bool, Fault> {
    wire.client.batch_execute("SAVEPOINT wharf_table").await?;
    match wire.client.batch_execute(ddl).await.map_err(Fault::from) {
        Ok(()) => {}
        // The table or the column is there now, or the names that the catalog has for them.
        Err(fault) if matches!(fault.code(), Some("42P07" | "42701" | "42710" | "23505")) => {
            wire.client.batch_execute("ROLLBACK TO wharf_table; RELEASE wharf_table").await?;
            return Ok(false);
        }
        Err(fault) => return Err(fault),
    }
    wire.client.batch_execute("RELEASE wharf_table").await?;
    Ok(true)
}

/// The statement that makes the table as it should be; `None` when it is.
fn changes(name: &TableName, table: &Table, columns: &[ColumnDef], existing: &[Existing]) -> Result<Option<String>, Fault> {
    if existing.is_empty() {
        return create(name, table, columns).map(Some);
    }
    let mut added = Vec::new();
    for column in columns {
        match existing.iter().find(|e| e.name == column.name) {
            Some(e) if column.kind.fits(e.kind) => {}
            Some(e) => {
                return Err(Fault::reject(format!(
                    "column `{}` of table `{name}` is {} and cannot hold {}: change the column, or map the field to another one",
                    e.name, e.base, column.kind
                )));
            }
            None if table.key.contains(&column.name) => {
                return Err(Fault::reject(format!(
                    "table `{name}` has no column `{}`, which is in its key: a key cannot be added to a table that is there",
                    column.name
                )));
            }
            None => added.push(format!("ADD COLUMN {} {}", quote(&column.name), declared(column.kind))),
        }
    }
    Ok((!added.is_empty()).then(|| format!("ALTER TABLE {} {}", name.quoted(), added.join(", "))))
}

fn create(name: &TableName, table: &Table, columns: &[ColumnDef]) -> Result<String, Fault> {
    if columns.is_empty() {
        return Err(Fault::reject(format!("table `{name}` cannot be made without columns")));
    }
    let column = |column: &ColumnDef| {
        let required = !column.nullable || table.key.contains(&column.name);
        format!("{} {}{}", quote(&column.name), declared(column.kind), if required { " NOT NULL" } else { "" })
    };
    let mut parts: Vec<String> = columns.iter().map(column).collect();
    if !table.key.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", name::list(table.key.iter().map(String::as_str))));
    }
    Ok(format!("CREATE TABLE {} ({})", name.quoted(), parts.join(", ")))
}
