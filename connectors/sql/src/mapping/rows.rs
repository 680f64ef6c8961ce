//! Rows of one table by columns, built record by record: a record is converted as a whole before any column grows, so that a
//! rejected one leaves no trace.

use std::borrow::Cow;

use wharf_sdk::json::pointer;
use wharf_sdk::sql::{self, Bitmap, Column};
use wharf_sdk::{Record, Rejection, Result};

use super::cell::{self, Cell};
use super::fields::{self, Field};
use super::key;
use super::table::{Place, Table};

/// Most columns that PostgreSQL gives a table; also what bounds the work on one record.
const MOST_FIELDS: usize = 1_600;

/// Rows that wait to be written.
#[derive(Debug, Default)]
pub struct Rows<'a> {
    /// By place in the table; `None`: no row has it.
    columns: Vec<Option<Column>>,
    deletes: Bitmap,
    has_deletes: bool,
    /// Index in the batch by row.
    records: Vec<u32>,
    /// The table has columns that the database does not know yet.
    pub has_new_columns: bool,
    /// A record did not fit the columns.
    pub has_misfits: bool,
    scratch: Scratch<'a>,
}

/// What one record needs while it is converted.
#[derive(Debug, Default)]
struct Scratch<'a> {
    fields: Vec<Field<'a>>,
    key: Vec<Field<'a>>,
    cells: Vec<(Place, Cow<'a, str>, Cell<'a>)>,
}

impl<'a> Rows<'a> {
    /// Adds what a record says.
    ///
    /// # Errors
    /// [`Rejection`]; the rows are then as they were.
    pub fn add(&mut self, table: &mut Table, record: &Record<'a>) -> Result<(), Rejection> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let converted = match record.value {
            Some(value) => scratch.upsert(table, record, value),
            None => scratch.delete(table, record),
        };
        if converted.is_ok() {
            self.grow(table, scratch.cells.drain(..));
            if record.value.is_none() {
                self.has_deletes = true;
                self.deletes.set(self.records.len());
            }
            self.records.push(record.index);
        }
        self.has_misfits |= converted.as_ref().is_err_and(|rejection| matches!(&*rejection.code, "sql.type" | "sql.column"));
        self.scratch = scratch;
        converted
    }

    fn grow(&mut self, table: &mut Table, cells: impl Iterator<Item = (Place, Cow<'a, str>, Cell<'a>)>) {
        let row = self.records.len();
        for (place, name, cell) in cells {
            let (at, kind) = match place {
                Place::Column(at, kind) => (at, kind),
                Place::New(kind) => {
                    self.has_new_columns = true;
                    (table.grow(&name, kind), kind)
                }
                Place::Nowhere => continue,
            };
            if self.columns.len() <= at {
                self.columns.resize_with(at + 1, || None);
            }
            let (Some(slot), Some(def)) = (self.columns.get_mut(at), table.columns.get(at)) else { continue };
            let column = slot.get_or_insert_with(|| Column::new(def.name.clone(), kind));
            column.fill_absent(row);
            match cell.value() {
                // A cell was made for the kind of its column.
                Some(value) if column.push(value).is_ok() => {}
                _ => column.push_null(),
            }
        }
    }

    #[must_use]
    pub const fn len(&self) -> usize {
        self.records.len()
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Index in the batch of the record that a row was made of.
    #[must_use]
    pub fn record(&self, row: u32) -> Option<u32> {
        self.records.get(row as usize).copied()
    }

    /// The rows as the database takes them; what is left knows the records.
    pub fn take(&mut self) -> sql::Rows {
        let count = self.records.len();
        let columns = std::mem::take(&mut self.columns).into_iter().flatten().map(|mut column| {
            column.fill_absent(count);
            column
        });
        let deletes = if self.has_deletes { std::mem::take(&mut self.deletes) } else { Bitmap::new() };
        sql::Rows { count: u32::try_from(count).unwrap_or(u32::MAX), deletes, columns: columns.collect() }
    }
}

impl<'a> Scratch<'a> {
    fn upsert(&mut self, table: &Table, record: &Record<'a>, value: &'a [u8]) -> Result<(), Rejection> {
        self.cells.clear();
        fields::read(value, &mut self.fields)?;
        if self.fields.len() > MOST_FIELDS {
            let why = format!("the value has {} fields; a table has at most {MOST_FIELDS} columns", self.fields.len());
            return Err(Rejection::new("sql.column", why));
        }
        for (position, (name, json)) in self.fields.iter().enumerate() {
            cell_of(table, position, (name, json), &mut self.cells)?;
        }
        let missing = table.target.key.iter().any(|key| !has(&self.fields, key));
        if missing {
            self.key_from_the_record(table, record)?;
        }
        self.check_key(table)
    }

    /// A value without its key's fields: the record's key may have them.
    fn key_from_the_record(&mut self, table: &Table, record: &Record<'a>) -> Result<(), Rejection> {
        let missing = |name: &str| {
            let text = format!("the value has no field `{name}`, which is in the key, nor has the record's key");
            Rejection::new("key.missing", text).at(pointer(name))
        };
        let readable = key::read(record, &table.target.key, &mut self.key).is_ok();
        for name in table.target.key.iter().filter(|name| !has(&self.fields, name)) {
            let found = self.key.iter().find(|(field, _)| readable && field.eq_ignore_ascii_case(name));
            let (field, json) = found.ok_or_else(|| missing(name))?;
            cell_of(table, usize::MAX, (field, json), &mut self.cells)?;
        }
        Ok(())
    }

    fn delete(&mut self, table: &Table, record: &Record<'a>) -> Result<(), Rejection> {
        self.cells.clear();
        if table.target.key.is_empty() {
            return Err(Rejection::new("key.none", "a tombstone deletes by key, but `key` of the sink is empty"));
        }
        key::read(record, &table.target.key, &mut self.key)?;
        for name in &table.target.key {
            let found = self.key.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
            let (field, json) =
                found.ok_or_else(|| Rejection::new("key.missing", format!("the record's key has no field `{name}`")))?;
            cell_of(table, usize::MAX, (field, json), &mut self.cells)?;
        }
        self.check_key(table)
    }

    fn check_key(&self, table: &Table) -> Result<(), Rejection> {
        let null = self.cells.iter().find(|(_, name, cell)| *cell == Cell::Null && table.is_key(name));
        match null {
            Some((_, name, _)) => {
                Err(Rejection::new("key.missing", format!("`{name}` is in the key and null")).at(pointer(name)))
            }
            None => Ok(()),
        }
    }
}

/// Converts a field and appends it.
fn cell_of<'a>(
    table: &Table,
    position: usize,
    (name, json): (&Cow<'a, str>, &'a str),
    cells: &mut Vec<(Place, Cow<'a, str>, Cell<'a>)>,
) -> Result<(), Rejection> {
    let at_field = |rejection: Rejection| rejection.at(pointer(name));
    let place = table.place(name, json, position).map_err(at_field)?;
    let cell = match place {
        Place::Column(_, kind) | Place::New(kind) => {
            cell::convert(json, kind).map_err(|why| Rejection::new("sql.type", why)).map_err(at_field)?
        }
        Place::Nowhere => Cell::Null,
    };
    let twice = cells.iter().any(|(other_place, other, _)| match (place, other_place) {
        (Place::Column(a, _), Place::Column(b, _)) => a == *b,
        (Place::New(_), Place::New(_)) => other.eq_ignore_ascii_case(name),
        _ => false,
    });
    if twice {
        let why = format!("two fields go to the column `{name}` (names of columns are the same in upper and lower case)");
        return Err(Rejection::new("sql.column", why).at(pointer(name)));
    }
    cells.push((place, name.clone(), cell));
    Ok(())
}

fn has(fields: &[Field<'_>], name: &str) -> bool {
    fields.iter().any(|(field, _)| field.eq_ignore_ascii_case(name))
}
