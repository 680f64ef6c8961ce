//! The warehouse's tables, told once for PostgreSQL and ClickHouse, and their rows as texts that can be compared. An upsert leaves one row
//! of a key in PostgreSQL; ClickHouse keeps what each record said, and the last of a key, unless that deletes it, is found by a query.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::clickhouse::PLACE;
use crate::clickhouse::database::Database;
use crate::sql::database::Postgres;
use crate::sql::rules::Database as _;

/// The cells of a row: in order of its columns, each as the same text on all sides.
pub type Cells = Vec<String>;
/// Rows by the cells of their keys.
pub type Rows = BTreeMap<Cells, Cells>;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Int,
    Decimal,
    Bool,
    /// To the second, or nothing.
    Time,
}

pub struct Table {
    pub name: &'static str,
    /// Columns of the key; they stand first.
    pub key: usize,
    pub columns: &'static [(&'static str, Kind)],
}

use Kind::{Bool, Decimal, Int, Text, Time};

/// Every version of every count is a row, as in ClickHouse: a query takes the highest.
pub static COUNTS: Table = Table {
    name: "counts",
    key: 4,
    columns: &[
        ("sku", Text),
        ("warehouse", Text),
        ("counted_at", Time),
        ("version", Int),
        ("quantity", Int),
        ("corrected_at", Time),
    ],
};

/// Orders, by Odoo's id.
pub static ORDERS: Table = Table {
    name: "orders",
    key: 1,
    columns: &[
        ("id", Int),
        ("name", Text),
        ("state", Text),
        ("client_order_ref", Text),
        ("partner_id", Int),
        ("amount_total", Decimal),
        ("write_date", Time),
    ],
};

/// Their lines.
pub static LINES: Table = Table {
    name: "lines",
    key: 1,
    columns: &[
        ("id", Int),
        ("order_id", Int),
        ("product_id", Int),
        ("product_uom_qty", Decimal),
        ("price_subtotal", Decimal),
        ("state", Text),
        ("write_date", Time),
    ],
};

/// Products, which tell when they changed.
pub static PRODUCTS: Table = Table {
    name: "products",
    key: 1,
    columns: &[
        ("Product", Text),
        ("ProductType", Text),
        ("ProductGroup", Text),
        ("GrossWeight", Decimal),
        ("IsMarkedForDeletion", Bool),
        ("LastChangeDate", Time),
    ],
};

/// Prices, which do not.
pub static PRICES: Table =
    Table { name: "prices", key: 1, columns: &[("ProductID", Text), ("Name", Text), ("CurrencyCode", Text), ("Price", Decimal)] };

impl Table {
    /// Names of the columns.
    pub fn fields(&self) -> Vec<&'static str> {
        self.columns.iter().map(|(name, _)| *name).collect()
    }

    /// Rows of what a service answered.
    pub fn of_json(&self, records: &[Value]) -> Rows {
        let cell = |record: &Value, (name, kind): &(&str, Kind)| match &record[*name] {
            Value::String(text) => plain(text, *kind),
            Value::Null => String::new(),
            other => plain(&other.to_string(), *kind),
        };
        let lines = records.iter().map(|record| self.columns.iter().map(|column| cell(record, column)).collect());
        self.by_key(self.key, lines.collect())
    }

    /// The first columns, as SQL names them.
    fn quoted(&self, count: usize) -> String {
        self.columns[..count].iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
    }

    pub async fn create_in_postgres(&self, db: &Postgres) {
        let column = |(name, kind): &(&str, Kind)| {
            let kind = match kind {
                Text => "text",
                Int => "bigint",
                Decimal => "numeric",
                Bool => "boolean",
                Time => "timestamptz",
            };
            format!("\"{name}\" {kind}")
        };
        let columns: Vec<_> = self.columns.iter().map(column).collect();
        db.execute(&format!("CREATE TABLE {} ({}, PRIMARY KEY ({}))", self.name, columns.join(", "), self.quoted(self.key)))
            .await;
    }

    pub async fn create_in_clickhouse(&self, db: &Database) {
        let column = |(name, kind): &(&str, Kind)| {
            let kind = match kind {
                Text => "String",
                Int => "Int64",
                Decimal => "Decimal(18, 4)",
                Bool => "UInt8",
                Time => "Nullable(DateTime)",
            };
            format!("\"{name}\" {kind}")
        };
        let columns: Vec<_> = self.columns.iter().map(column).collect();
        db.execute(&format!(
            "CREATE TABLE {} ({}, _deleted UInt8, {PLACE}) ENGINE = MergeTree ORDER BY _offset",
            self.name,
            columns.join(", ")
        ))
        .await;
    }

    /// Rows of PostgreSQL by the first `key` columns: all of them, or of each key the one that is first `by` an order.
    pub async fn in_postgres(&self, db: &Postgres, key: usize, by: Option<&str>) -> Rows {
        let column = |(name, kind): &(&str, Kind)| match kind {
            Time => format!("coalesce(to_char(\"{name}\" AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), '')"),
            _ => format!("coalesce(\"{name}\"::text, '')"),
        };
        let columns: Vec<_> = self.columns.iter().map(column).collect();
        let keys = self.quoted(key);
        let (distinct, order) = match by {
            None => (String::new(), String::new()),
            Some(by) => (format!("DISTINCT ON ({keys})"), format!("ORDER BY {keys}, {by}")),
        };
        let query = format!("SELECT {distinct} concat_ws('|', {}) FROM {} {order}", columns.join(", "), self.name);
        self.rows(key, &db.read(&query).await)
    }

    /// Of each key, by the first `key` columns, the row of ClickHouse that is first `by` an order, unless that is a deletion.
    pub async fn in_clickhouse(&self, db: &Database, key: usize, by: &str) -> Rows {
        let column = |(name, kind): &(&str, Kind)| match kind {
            Time => format!("ifNull(toString(\"{name}\", 'UTC'), '')"),
            _ => format!("\"{name}\""),
        };
        let columns: Vec<_> = self.columns.iter().map(column).collect();
        let keys = self.quoted(key);
        let first = format!("SELECT * FROM {} ORDER BY {keys}, {by} LIMIT 1 BY {keys}", self.name);
        let query = format!("SELECT {} FROM ({first}) WHERE NOT _deleted", columns.join(", "));
        self.rows(key, &db.query(&query).await)
    }

    fn rows(&self, key: usize, lines: &[String]) -> Rows {
        let cells = |line: &String| line.split('|').zip(self.columns).map(|(cell, (_, kind))| plain(cell, *kind)).collect();
        self.by_key(key, lines.iter().map(cells).collect())
    }

    fn by_key(&self, key: usize, rows: Vec<Cells>) -> Rows {
        let count = rows.len();
        let by_key: Rows = rows.into_iter().map(|cells| (cells[..key].to_vec(), cells)).collect();
        assert_eq!(by_key.len(), count, "{}: a key is there twice", self.name);
        assert!(by_key.values().all(|cells| cells.len() == self.columns.len()), "{}: a cell has a bar in it", self.name);
        by_key
    }
}

/// A cell as it is written here, whoever wrote it.
pub fn plain(cell: &str, kind: Kind) -> String {
    match kind {
        Text | Int => cell.to_owned(),
        Decimal => plain_decimal(cell),
        Bool => matches!(cell, "1" | "t" | "true").to_string(),
        Time => plain_time(cell),
    }
}

/// Without zeros at its end.
pub fn plain_decimal(cell: &str) -> String {
    if !cell.contains('.') {
        return cell.to_owned();
    }
    cell.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// To the second, in UTC: `2024-05-01 06:00:00`.
pub fn plain_time(cell: &str) -> String {
    cell.replace('T', " ").split(['.', 'Z']).next().unwrap_or_default().to_owned()
}

/// What differs between what is expected and what was found, at most ten rows of each kind.
pub fn differences(expected: &Rows, found: &Rows) -> Vec<String> {
    let missing = expected.iter().filter(|(key, _)| !found.contains_key(*key)).map(|(_, row)| format!("missing: {row:?}"));
    let other = expected.iter().filter_map(|(key, row)| {
        let there = found.get(key).filter(|there| *there != row)?;
        Some(format!("expected: {row:?}, found: {there:?}"))
    });
    let more = found.iter().filter(|(key, _)| !expected.contains_key(*key)).map(|(_, row)| format!("one too many: {row:?}"));
    missing.take(10).chain(other.take(10)).chain(more.take(10)).collect()
}
