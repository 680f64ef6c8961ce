//! From records to rows of the journal. Decides which records can never become one.

use serde_json::{Map, Value};
use wharf_sdk::sql::{Column, ColumnDef, Kind, Rows};
use wharf_sdk::{Record, Rejection, json};

/// The columns of the key: where a record stood in its topic.
pub fn key() -> Vec<String> {
    ["topic", "partition_no", "offset_no"]
        .map(str::to_owned)
        .to_vec()
}

/// The columns of the table.
pub fn columns() -> Vec<ColumnDef> {
    let column = |name: &str, kind, nullable| ColumnDef {
        name: name.to_owned(),
        kind,
        nullable,
    };
    vec![
        column("topic", Kind::Text, false),
        column("partition_no", Kind::Int64, false),
        column("offset_no", Kind::Int64, false),
        column("changed_at", Kind::TimestampUs, true),
        column("record_key", Kind::Text, true),
        column("record_value", Kind::Json, true),
    ]
}

/// Rows that are to be written in one call.
#[derive(Default)]
pub struct Journal<'a> {
    /// Index in the batch of each row: what the database refuses, it names by row.
    indices: Vec<u32>,
    topics: Vec<Option<&'a str>>,
    partitions: Vec<Option<i64>>,
    offsets: Vec<Option<i64>>,
    times: Vec<Option<i64>>,
    keys: Vec<Option<&'a str>>,
    values: Vec<Option<&'a str>>,
}

impl<'a> Journal<'a> {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the row of a record; a null value (a tombstone) is a row too, it tells of a deletion.
    ///
    /// # Errors
    /// What makes it impossible, for the person who reads the dead letter.
    pub fn add(&mut self, record: &Record<'a>, require: &[String]) -> Result<(), Rejection> {
        let text = |bytes: &'a [u8], what: &str| {
            let why = |_| Rejection::new(format!("{what}.utf8"), format!("the {what} is no text"));
            std::str::from_utf8(bytes).map_err(why)
        };
        let key = record.key.map(|bytes| text(bytes, "key")).transpose()?;
        let value = record.value.map(|bytes| text(bytes, "value")).transpose()?;
        if value.is_some() {
            check(&record.json()?, require)?;
        }
        self.indices.push(record.index);
        self.topics.push(Some(record.topic));
        self.partitions.push(Some(record.partition.into()));
        self.offsets.push(Some(record.offset));
        self.times.push(
            record
                .timestamp
                .map(|milliseconds| milliseconds.saturating_mul(1000)),
        );
        self.keys.push(key);
        self.values.push(value);
        Ok(())
    }

    /// The rows, and the index in the batch of each.
    pub fn finish(self) -> (Rows, Vec<u32>) {
        let rows = Rows {
            count: u32::try_from(self.indices.len()).unwrap_or(u32::MAX),
            columns: vec![
                Column::texts("topic", self.topics),
                Column::ints("partition_no", self.partitions),
                Column::ints("offset_no", self.offsets),
                Column::timestamps("changed_at", self.times),
                Column::texts("record_key", self.keys),
                Column::jsons("record_value", self.values),
            ],
            ..Rows::default()
        };
        (rows, self.indices)
    }
}

/// Whether an object has what it must have. The JSON pointer tells which field is at fault.
fn check(value: &Map<String, Value>, require: &[String]) -> Result<(), Rejection> {
    for field in require {
        if value.get(field).is_none_or(Value::is_null) {
            let why = format!("the field `{field}` is missing or null");
            return Err(Rejection::new("field.missing", why).at(json::pointer(field)));
        }
    }
    Ok(())
}
