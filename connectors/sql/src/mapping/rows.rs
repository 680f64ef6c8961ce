//! Rows of one table by columns, built record by record. A rejected one leaves no trace: it is converted as a whole before any
//! column grows, or what it put into the columns is taken back.

use std::borrow::Cow;

use wharf_sdk::json::pointer;
use wharf_sdk::sql::{self, Bitmap, Column, Kind, WrongKind};
use wharf_sdk::{Record, Rejection, Result};

use super::cell::{self, Cell};
use super::fields::{self, Field, Json};
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

/// What one record needs while it is converted, and what is the same from record to record.
#[derive(Debug, Default)]
struct Scratch<'a> {
    fields: Vec<Field<'a>>,
    key: Vec<Field<'a>>,
    cells: Cells<'a>,
}

/// The cells of one record, each in a column of its own.
#[derive(Debug, Default)]
struct Cells<'a> {
    list: Vec<(Place, Cow<'a, str>, Cell<'a>)>,
    /// Where the field of this name stood in the last record, and its column: neighbours mostly have the same fields in the same order.
    layout: Vec<(String, usize, Kind)>,
    /// By column, the record that has a cell in it.
    taken: Vec<u64>,
    /// Number of the record.
    record: u64,
}

impl<'a> Rows<'a> {
    /// Adds what a record says.
    ///
    /// # Errors
    /// [`Rejection`]; the rows are then as they were.
    pub fn add(&mut self, table: &mut Table, record: &Record<'a>) -> Result<(), Rejection> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let converted = match record.value {
            Some(value) => scratch.read(value).and_then(|()| match self.put_straight(table, &scratch) {
                true => Ok(()),
                false => scratch.upsert(table, record),
            }),
            None => scratch.delete(table, record),
        };
        let converted = converted.and_then(|()| self.grow(table, scratch.cells.list.drain(..)));
        if converted.is_ok() {
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

    /// Puts fields straight into their columns, where they are called as those of the last record were, each is of its column's kind and
    /// none is a null in the key or the version. False: not so. The rows are then as they were, and the long way says what is wrong, if anything is.
    fn put_straight(&mut self, table: &Table, Scratch { fields, cells, .. }: &Scratch<'a>) -> bool {
        let layout = &cells.layout;
        let known = |(field, (name, ..)): (&Field<'a>, &(String, usize, Kind))| same(field.name.as_bytes(), name.as_bytes());
        let all_known = fields.len() <= layout.len() && fields.iter().zip(layout).all(known);
        if !all_known || !table.target.key.iter().chain(&table.version).all(|needed| has(fields, needed)) {
            return false;
        }
        let row = self.records.len();
        for (field, (_, at, kind)) in fields.iter().zip(layout) {
            let column = self.columns.get_mut(*at).and_then(Option::as_mut);
            if !column.is_some_and(|column| put(column, row, field, *kind, table)) {
                self.take_back();
                return false;
            }
        }
        true
    }

    /// What the record put into the columns that is not one of the rows yet.
    fn take_back(&mut self) {
        let row = self.records.len();
        self.columns.iter_mut().flatten().for_each(|column| column.truncate(row));
    }

    fn grow(&mut self, table: &mut Table, cells: impl Iterator<Item = (Place, Cow<'a, str>, Cell<'a>)>) -> Result<(), Rejection> {
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
            let column = slot.get_or_insert_with(|| {
                let mut column = Column::new(def.name.clone(), kind);
                let (rows, bytes) = table.room(at);
                column.reserve(rows, bytes);
                column
            });
            column.fill_absent(row);
            // A cell was made for the kind of its column; were it not, a null in its place would say what nobody said.
            if let Err(wrong) = append(column, &cell) {
                self.take_back();
                return Err(Rejection::new("sql.type", wrong.to_string()).at(pointer(&name)));
            }
        }
        Ok(())
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
    pub fn take(&mut self, table: &mut Table) -> sql::Rows {
        let count = self.records.len();
        let bytes = |column: &Option<Column>| column.as_ref().map_or(0, Column::bytes);
        table.filled(count, self.columns.iter().map(bytes).collect());
        let columns = std::mem::take(&mut self.columns).into_iter().flatten().map(|mut column| {
            column.fill_absent(count);
            column
        });
        let deletes = if self.has_deletes { std::mem::take(&mut self.deletes) } else { Bitmap::new() };
        sql::Rows { count: u32::try_from(count).unwrap_or(u32::MAX), deletes, columns: columns.collect() }
    }
}

impl<'a> Scratch<'a> {
    /// The fields of the value.
    fn read(&mut self, value: &'a [u8]) -> Result<(), Rejection> {
        self.cells.begin();
        fields::read(value, &mut self.fields)?;
        if self.fields.len() > MOST_FIELDS {
            let why = format!("the value has {} fields; a table has at most {MOST_FIELDS} columns", self.fields.len());
            return Err(Rejection::new("sql.column", why));
        }
        Ok(())
    }

    fn upsert(&mut self, table: &Table, record: &Record<'a>) -> Result<(), Rejection> {
        for (position, field) in self.fields.iter().enumerate() {
            self.cells.add(table, position, field)?;
        }
        let missing = table.target.key.iter().any(|key| !has(&self.fields, key));
        if missing {
            self.key_from_the_record(table, record)?;
        }
        self.check_version(table)?;
        self.check_key(table)
    }

    /// Of a row without a version nobody can say whether it is newer.
    fn check_version(&self, table: &Table) -> Result<(), Rejection> {
        let Some(version) = &table.version else { return Ok(()) };
        let found = self.cells.list.iter().find(|(_, name, _)| name.eq_ignore_ascii_case(version));
        let missing =
            |what: &str| Rejection::new("version.missing", format!("`{version}` is the version and {what}")).at(pointer(version));
        match found {
            None => Err(missing("the value has no such field")),
            Some((_, _, Cell::Null)) => Err(missing("null")),
            Some(_) => Ok(()),
        }
    }

    /// A value without its key's fields: the record's key may have them.
    fn key_from_the_record(&mut self, table: &Table, record: &Record<'a>) -> Result<(), Rejection> {
        let readable = key::read(record, &table.target.key, &mut self.key).is_ok();
        for name in table.target.key.iter().filter(|name| !has(&self.fields, name)) {
            let found = self.key.iter().find(|field| readable && field.name.eq_ignore_ascii_case(name));
            self.cells.add(table, usize::MAX, found.ok_or_else(|| wharf_tables::key::nowhere(name))?)?;
        }
        Ok(())
    }

    fn delete(&mut self, table: &Table, record: &Record<'a>) -> Result<(), Rejection> {
        self.cells.begin();
        if table.target.key.is_empty() {
            return Err(Rejection::new("key.none", "a tombstone deletes by key, but `key` of the sink is empty"));
        }
        key::read(record, &table.target.key, &mut self.key)?;
        for name in &table.target.key {
            let found = self.key.iter().find(|field| field.name.eq_ignore_ascii_case(name));
            self.cells.add(table, usize::MAX, found.ok_or_else(|| wharf_tables::key::without(name))?)?;
        }
        self.check_key(table)
    }

    fn check_key(&self, table: &Table) -> Result<(), Rejection> {
        let null = self.cells.list.iter().find(|(_, name, cell)| matches!(cell, Cell::Null) && table.is_key(name));
        match null {
            Some((_, name, _)) => Err(wharf_tables::key::null(name)),
            None => Ok(()),
        }
    }
}

impl<'a> Cells<'a> {
    /// Begins with the next record.
    fn begin(&mut self) {
        self.list.clear();
        self.record += 1;
    }

    /// Converts a field and appends it. `position`: its place in the record.
    fn add(&mut self, table: &Table, position: usize, Field { name, json }: &Field<'a>) -> Result<(), Rejection> {
        let at_field = |rejection: Rejection| rejection.at(pointer(name));
        let place = self.place(table, position, name, *json).map_err(at_field)?;
        let cell = match place {
            Place::Column(_, kind) | Place::New(kind) => {
                cell::convert(*json, kind).map_err(|why| Rejection::new("sql.type", why)).map_err(at_field)?
            }
            Place::Nowhere => Cell::Null,
        };
        if self.is_taken(place, name) {
            let why = format!("two fields go to the column `{name}` (names of columns are the same in upper and lower case)");
            return Err(Rejection::new("sql.column", why).at(pointer(name)));
        }
        self.list.push((place, name.clone(), cell));
        Ok(())
    }

    fn place(&mut self, table: &Table, position: usize, name: &str, json: Json<'a>) -> Result<Place, Rejection> {
        if let Some((known, at, kind)) = self.layout.get(position)
            && same(known.as_bytes(), name.as_bytes())
        {
            return Ok(Place::Column(*at, *kind));
        }
        let place = table.place(name, json, position)?;
        if let Place::Column(at, kind) = place {
            let known = (name.to_owned(), at, kind);
            if position == self.layout.len() {
                self.layout.push(known);
            } else if let Some(slot) = self.layout.get_mut(position) {
                *slot = known;
            }
        }
        Ok(place)
    }

    /// Whether another field of the record has this column; from now on one has.
    fn is_taken(&mut self, place: Place, name: &str) -> bool {
        match place {
            Place::Column(at, _) => {
                if self.taken.len() <= at {
                    self.taken.resize(at + 1, 0);
                }
                self.taken.get_mut(at).is_some_and(|taken| std::mem::replace(taken, self.record) == self.record)
            }
            Place::New(_) => {
                let same = |(place, other, _): &(Place, Cow<'a, str>, Cell<'a>)| {
                    matches!(place, Place::New(_)) && other.eq_ignore_ascii_case(name)
                };
                self.list.iter().any(same)
            }
            Place::Nowhere => false,
        }
    }
}

/// Appends a field to its column as this row. False: it does not fit, is a null where a value is needed, or another field of the record was first.
fn put(column: &mut Column, row: usize, field: &Field<'_>, kind: Kind, table: &Table) -> bool {
    column.fill_absent(row);
    if column.len() > row {
        return false;
    }
    match cell::convert(field.json, kind) {
        Ok(Cell::Null) if table.is_needed(&field.name) => false,
        Ok(cell) => append(column, &cell).is_ok(),
        Err(_) => false,
    }
}

/// A cell as the next row of its column.
fn append(column: &mut Column, cell: &Cell<'_>) -> Result<(), WrongKind> {
    match cell.value() {
        Some(value) => column.push(value),
        None => {
            column.push_null();
            Ok(())
        }
    }
}

/// `==` goes byte by byte in WebAssembly, at many instructions each.
fn same(a: &[u8], b: &[u8]) -> bool {
    let ((words, rest), (other, others)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let word = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes);
    a.len() == b.len() && words.iter().zip(other).all(|(a, b)| word(a) == word(b)) && rest.iter().zip(others).all(|(a, b)| a == b)
}

fn has(fields: &[Field<'_>], name: &str) -> bool {
    fields.iter().any(|field| field.name.eq_ignore_ascii_case(name))
}
