//! A sink that keeps a ledger: a row in a table for each record it accepts, so that tests see what arrived, how often and in
//! which order. A few values make it misbehave before anything of their batch is written; a table of orders makes it
//! misbehave once, at a flush or a write.
#![expect(clippy::panic, reason = "what this guest is for")]

use serde::Deserialize;
use wharf_sdk::sql::{Bitmap, Column, ColumnDef, Connection, Kind, Rows, Table, Value};
use wharf_sdk::{Batch, Context, Error, Outcomes, Result, Sink, export_sink};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    connection: String,
    table: String,
    /// Keep rows until the flush.
    #[serde(default)]
    buffered: bool,
    /// Table of orders: `trap-in-write`, `trap-in-flush`, `fail-flush`. Each is carried out once.
    orders: Option<String>,
    /// Table of values that are answered with `retry` as long as they stand in it, and so are later ones of their key.
    later: Option<String>,
}

struct Row {
    topic: String,
    partition: i64,
    offset: i64,
    value: Option<String>,
}

struct Ledger {
    connection: Connection,
    table: Table,
    buffered: bool,
    orders: Option<Table>,
    later: Option<String>,
    rows: Vec<Row>,
}

impl Sink for Ledger {
    fn open(context: &Context) -> Result<Self> {
        let Config { connection, table, buffered, orders, later } = context.config()?;
        let (connection, table) = (Connection::new(connection), Table { name: table, key: Vec::new() });
        let column = |name: &str, kind| ColumnDef { name: name.to_owned(), kind, nullable: true };
        let kinds = [("topic", Kind::Text), ("partition", Kind::Int64), ("offset", Kind::Int64), ("value", Kind::Text)];
        connection.ensure(&table, &kinds.map(|(name, kind)| column(name, kind)))?;
        let orders = orders.map(|name| Table { name, key: vec!["word".to_owned()] });
        Ok(Self { connection, table, buffered, orders, later, rows: Vec::new() })
    }

    fn write(&mut self, records: &Batch) -> Result<Outcomes> {
        let mut outcomes = Outcomes::accepted();
        let mut rows = Vec::new();
        let later = self.later()?;
        let (mut waiting, mut waited) = (Vec::new(), 0);
        for record in records {
            let value = record.value.map(|value| String::from_utf8_lossy(value).into_owned());
            match value.as_deref() {
                Some("trap") => panic!("trap at {}", record.idempotency_key()),
                Some("spin") => spin(),
                Some("hog") => hog(),
                Some("refuse") => {
                    outcomes.reject(record.index, "ledger.refused", "the ledger refuses this");
                    continue;
                }
                _ => {}
            }
            if value.as_ref().is_some_and(|value| later.contains(value)) || record.key.is_some_and(|key| waiting.contains(&key)) {
                outcomes.retry(record.index);
                waited += 1;
                waiting.extend(record.key);
                continue;
            }
            rows.push(Row { topic: record.topic.to_owned(), partition: record.partition.into(), offset: record.offset, value });
        }
        if waited > 0 && waited == records.len() {
            // As a sink does that finds its target away before anything of the call is delivered.
            return Err(Error::retry("the ledger takes nothing of this"));
        }
        if self.has_order("trap-in-write")? {
            panic!("ordered to trap in write");
        }
        if self.buffered {
            self.rows.append(&mut rows);
            outcomes.buffered();
            return Ok(outcomes);
        }
        self.enter(&rows)?;
        Ok(outcomes)
    }

    fn flush(&mut self) -> Result<()> {
        if self.has_order("trap-in-flush")? {
            panic!("ordered to trap in flush");
        }
        if self.has_order("fail-flush")? {
            return Err(Error::retry("ordered to fail the flush"));
        }
        let rows = std::mem::take(&mut self.rows);
        self.enter(&rows)
    }
}

impl Ledger {
    fn enter(&self, rows: &[Row]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let columns = vec![
            Column::texts("topic", rows.iter().map(|row| Some(row.topic.as_str()))),
            Column::ints("partition", rows.iter().map(|row| Some(row.partition))),
            Column::ints("offset", rows.iter().map(|row| Some(row.offset))),
            Column::texts("value", rows.iter().map(|row| row.value.as_deref())),
        ];
        let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        match self.connection.apply(&self.table, Rows { count, deletes: Bitmap::new(), columns })?.first() {
            None => Ok(()),
            Some(refused) => Err(Error::fatal(format!("the ledger takes all rows, but: {}", refused.reason))),
        }
    }

    /// Values to be answered with `retry`.
    fn later(&self) -> Result<Vec<String>> {
        let Some(later) = &self.later else { return Ok(Vec::new()) };
        let values = self.connection.query(&format!("SELECT value FROM {later}"), Vec::new(), 100)?;
        let text = |found| if let Some(Value::Text(text)) = found { Some(text.to_owned()) } else { None };
        Ok(values.iter().flat_map(Column::iter).filter_map(text).collect())
    }

    /// Whether there is such an order; it is taken off the table.
    fn has_order(&self, word: &str) -> Result<bool> {
        let Some(orders) = &self.orders else { return Ok(false) };
        let words = self.connection.query(&format!("SELECT word FROM {}", orders.name), Vec::new(), 100)?;
        if !words.iter().flat_map(Column::iter).any(|found| matches!(found, Some(Value::Text(text)) if text == word)) {
            return Ok(false);
        }
        let mut deletes = Bitmap::new();
        deletes.set(0);
        let columns = vec![Column::texts("word", [Some(word)])];
        self.connection.apply(orders, Rows { count: 1, deletes, columns })?;
        Ok(true)
    }
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

fn hog() -> ! {
    let mut taken = Vec::new();
    loop {
        taken.push(vec![1_u8; 1 << 20]);
    }
}

export_sink!(
    Ledger,
    manifest = "name = \"ledger\"\nkind = \"sink\"\nsummary = \"Keeps a row for each record.\"\nwants = [\"sql\"]\n"
);
