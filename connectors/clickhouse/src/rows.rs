//! Records to rows of RowBinary, in order. Owns which column a field goes to and what is rejected; sends nothing.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use wharf_sdk::json::pointer;
use wharf_sdk::{Record, Rejection};

use crate::config::{Config, Deduplicate, ExtraFields, Tombstones};
use crate::object::{self, Json};
use crate::table::{Column, Fill, Part, Table};
use crate::value;

/// A row, ready to be sent.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// Of the record in its batch.
    pub index: u32,
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since 1970-01-01T00:00:00Z, -1 where it is not known.
    pub timestamp: i64,
    bytes: Range<usize>,
    /// Which of the lists of columns it has.
    columns: usize,
}

/// Rows of one table.
#[derive(Debug, Default)]
pub struct Rows<'a> {
    pub rows: Vec<Row<'a>>,
    /// Of records that are no row, by their index.
    pub rejections: Vec<(u32, Rejection)>,
    bytes: Vec<u8>,
    /// Lists of columns, by their place in the table: a row leaves out those that have an expression and no field.
    lists: Vec<Vec<usize>>,
    /// The places of `lists`.
    by_list: HashMap<Vec<usize>, usize>,
    fields: Vec<(Cow<'a, str>, Json<'a>)>,
    slots: Vec<Option<Json<'a>>>,
}

impl Row<'_> {
    /// Whether both are of one record (which was split): they are written together or not at all.
    #[must_use]
    pub fn is_beside(&self, other: &Self) -> bool {
        self.offset == other.offset && self.partition == other.partition && self.topic == other.topic
    }
}

impl<'a> Rows<'a> {
    /// Adds the row of a record, or why it is none.
    pub fn add(&mut self, table: &Table, config: &Config, record: &Record<'a>) {
        let start = self.bytes.len();
        match self.row(table, config, record) {
            Ok(None) => {}
            Ok(Some(columns)) => {
                let &Record { index, topic, partition, offset, .. } = record;
                let (timestamp, bytes) = (record.timestamp.unwrap_or(-1), start..self.bytes.len());
                let row = Row { index, topic, partition, offset, timestamp, bytes, columns };
                if config.deduplicate == Deduplicate::Offsets
                    && self.rows.last().is_some_and(|last| last.is_beside(&row) && last.columns != columns)
                {
                    let why = "records that one was split to have fields for different columns with a default of their own: \
                               they cannot be written together";
                    self.rejections.push((index, Rejection::new("clickhouse.split", why)));
                } else {
                    self.rows.push(row);
                }
            }
            Err(rejection) => {
                self.bytes.truncate(start);
                self.rejections.push((record.index, rejection));
            }
        }
    }

    /// Appends the row's bytes; answers which list of columns it has. `Ok(None)`: a tombstone that is to be skipped.
    fn row(&mut self, table: &Table, config: &Config, record: &Record<'a>) -> Result<Option<usize>, Rejection> {
        self.slots.clear();
        self.slots.resize(table.columns.len(), None);
        match (record.value, config.tombstones) {
            (Some(json), _) => {
                object::read(json, &mut self.fields)?;
                self.sort(table, config)?;
            }
            (None, _) if config.deleted.is_some() => {}
            (None, Tombstones::Skip) => return Ok(None),
            (None, Tombstones::Reject) => {
                return Err(Rejection::new(
                    "clickhouse.tombstone",
                    "the value is null, and this sink only adds rows; `config.deleted` names a column that tells of it, \
                     `config.tombstones = \"skip\"` leaves it out",
                ));
            }
        }
        self.complete_key(table, config, record)?;
        let mut list = Vec::with_capacity(table.columns.len());
        for (at, column) in table.columns.iter().enumerate() {
            if write(column, self.slot(at), config, record, &mut self.bytes)? {
                list.push(at);
            }
        }
        // Mostly that of the row before.
        if let Some(last) = self.rows.last().map(|row| row.columns).filter(|last| self.lists.get(*last) == Some(&list)) {
            return Ok(Some(last));
        }
        if let Some(known) = self.by_list.get(&list) {
            return Ok(Some(*known));
        }
        let new = self.lists.len();
        self.lists.push(list.clone());
        self.by_list.insert(list, new);
        Ok(Some(new))
    }

    /// Puts each field into the slot of its column.
    fn sort(&mut self, table: &Table, config: &Config) -> Result<(), Rejection> {
        let mut hint = 0;
        for (field, json) in &self.fields {
            let field: &str = field;
            let name = config.column(field);
            let at = table.find(name, hint);
            hint = at.map_or(hint, |at| at + 1);
            let (column, slot) = (at.and_then(|at| table.columns.get(at)), at.and_then(|at| self.slots.get_mut(at)));
            let refuse = |why: &str| Err(Rejection::new("clickhouse.column", why).at(pointer(field)));
            match (column, slot) {
                (Some(Column { place: Some(_), .. }), _) => {
                    return refuse(&format!("column `{name}` holds the record's place, which this sink puts there"));
                }
                (Some(Column { is_deleted: true, .. }), _) => {
                    return refuse(&format!(
                        "column `{name}` says whether the record is a tombstone, which this sink puts there"
                    ));
                }
                (Some(Column { fill: Fill::Always, .. }), _) => {
                    return refuse(&format!("column `{name}` of {} is computed and takes no values", table.target));
                }
                (Some(_), Some(slot)) if slot.is_none() => *slot = Some(*json),
                (Some(_), _) => return refuse(&format!("two fields for column `{name}`")),
                // Nothing is lost by leaving it out.
                (None, _) if json.0 == "null" || config.extra_fields == ExtraFields::Ignore => {}
                (None, _) => return refuse(&format!("{} has no column `{name}`", table.target)),
            }
        }
        Ok(())
    }

    /// What the column at this place has of the record at hand.
    pub fn slot(&self, at: usize) -> Option<Json<'a>> {
        self.slots.get(at).copied().flatten()
    }

    pub fn fill(&mut self, at: usize, json: Json<'a>) {
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Some(json);
        }
    }

    /// `open` (places of rows) by their lists of columns, each in order; first the one of the first row. What one record was split
    /// to has one list. Where `in_order`, no row is put before an earlier one: then as long as the list is the same.
    pub fn runs(&self, open: Vec<usize>, in_order: bool) -> Vec<Vec<usize>> {
        let list = |at: &usize| self.rows.get(*at).map(|row| row.columns);
        if in_order {
            return open.chunk_by(|a, b| list(a) == list(b)).map(<[usize]>::to_vec).collect();
        }
        let mut runs: Vec<Vec<usize>> = Vec::new();
        let mut known = HashMap::new();
        for at in open {
            let run = *known.entry(list(&at)).or_insert(runs.len());
            match runs.get_mut(run) {
                Some(run) => run.push(at),
                None => runs.push(vec![at]),
            }
        }
        runs
    }

    /// The columns of these rows, which have one list of them.
    pub fn columns(&self, places: &[usize]) -> &[usize] {
        let first = places.first().and_then(|at| self.rows.get(*at));
        first.and_then(|row| self.lists.get(row.columns)).map_or(&[], Vec::as_slice)
    }

    /// The bytes of these rows, row by row.
    pub fn bytes<'r>(&'r self, places: &'r [usize]) -> impl Iterator<Item = &'r [u8]> {
        places.iter().filter_map(|at| self.bytes.get(self.rows.get(*at)?.bytes.clone()))
    }
}

/// Appends the value of a column; false: it is left out of the insert.
fn write(
    column: &Column,
    slot: Option<Json<'_>>,
    config: &Config,
    record: &Record<'_>,
    row: &mut Vec<u8>,
) -> Result<bool, Rejection> {
    if column.fill == Fill::Always {
        return Ok(false);
    }
    if let Some(part) = column.place {
        let json = match part {
            Part::Topic => wharf_sdk::json::json_string(record.topic),
            Part::Partition => record.partition.to_string(),
            Part::Offset => record.offset.to_string(),
            Part::Timestamp => record.timestamp.unwrap_or(-1).to_string(),
        };
        let written = value::encode(&column.kind, Json(&json), config.times, row);
        return written
            .map(|()| true)
            .map_err(|why| Rejection::new("clickhouse.place", format!("column `{}`: {why}", column.name)));
    }
    if column.is_deleted {
        row.push(u8::from(record.value.is_none()));
        return Ok(true);
    }
    match slot {
        Some(json) => {
            let at = || pointer(config.field(&column.name));
            let why = |why| Rejection::new("clickhouse.type", format!("column `{}`: {why}", column.name)).at(at());
            value::encode(&column.kind, json, config.times, row).map(|()| true).map_err(why)
        }
        None => Ok(column.fill == Fill::Type && value::is_known(&column.kind) && value::absent(&column.kind, row).is_some()),
    }
}
