//! Rows as a guest sends them, seen cell by cell, and columns as they are answered. Owns the layout and what can be said
//! about a value without a database. Does no I/O.

use std::collections::BTreeMap;

use super::name;
use super::{Column, Kind, R, RejectedRow, Rows, SqlError, Table, Values, text};

/// One value of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell<'a> {
    Absent,
    Null,
    Boolean(bool),
    Int(i64),
    Float(f64),
    /// Decimal, text, bytes and JSON.
    Bytes(&'a [u8]),
}

#[derive(Debug)]
enum Cells<'a> {
    Booleans(&'a [u8]),
    Ints(&'a [i64]),
    Floats(&'a [f64]),
    /// Where each entry ends in `data`.
    Variable {
        ends: Vec<usize>,
        data: &'a [u8],
    },
}

/// A column of rows.
#[derive(Debug)]
pub(super) struct Field<'a> {
    pub name: &'a str,
    pub kind: Kind,
    validity: &'a [u8],
    present: &'a [u8],
    cells: Cells<'a>,
}

/// Rows whose layout holds together.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub count: usize,
    deletes: &'a [u8],
    pub fields: Vec<Field<'a>>,
    /// Places of the key's columns in `fields`, in the key's order.
    pub key: Vec<usize>,
    /// Place of the version's column; `None`: the last row of a key wins.
    pub version: Option<usize>,
}

fn bit(bits: &[u8], index: usize) -> bool {
    bits.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

impl<'a> Field<'a> {
    pub(super) fn new(column: &'a Column, count: usize) -> R<Self> {
        let broken = |what: &str| Err(SqlError::Fatal(format!("the connector sent column `{}` with {what}", column.name)));
        name::check(&column.name, "column")?;
        let bitmap = |bits: &[u8]| bits.is_empty() || bits.len() == count.div_ceil(8);
        if !bitmap(&column.validity) || !bitmap(&column.present) {
            return broken("a bitmap that is not one bit a row");
        }
        let (cells, len) = match (&column.values, column.kind) {
            (Values::Booleans(v), Kind::Boolean) => (Cells::Booleans(v), v.len()),
            (Values::Ints(v), Kind::Int64 | Kind::TimestampUs | Kind::Date) => (Cells::Ints(v), v.len()),
            (Values::Floats(v), Kind::Float64) => (Cells::Floats(v), v.len()),
            (Values::Variable { lens, data }, Kind::Decimal | Kind::Text | Kind::Bytes | Kind::Json) => {
                let mut end = 0_usize;
                let mut ends = Vec::with_capacity(lens.len());
                for &len in lens {
                    end = end.saturating_add(len as usize);
                    ends.push(end);
                }
                if end != data.len() {
                    return broken("lengths that do not add up to its data");
                }
                (Cells::Variable { ends, data }, lens.len())
            }
            _ => return broken("values that do not go with its kind"),
        };
        if len != count {
            return broken("another number of values than rows");
        }
        Ok(Self { name: &column.name, kind: column.kind, validity: &column.validity, present: &column.present, cells })
    }

    pub(super) fn has(&self, row: usize) -> bool {
        self.present.is_empty() || bit(self.present, row)
    }

    pub(super) const fn is_in_every_row(&self) -> bool {
        self.present.is_empty()
    }

    pub(super) fn cell(&self, row: usize) -> Cell<'a> {
        if !self.has(row) {
            return Cell::Absent;
        }
        if !self.validity.is_empty() && !bit(self.validity, row) {
            return Cell::Null;
        }
        let cell = match &self.cells {
            Cells::Booleans(v) => v.get(row).map(|v| Cell::Boolean(*v != 0)),
            Cells::Ints(v) => v.get(row).map(|v| Cell::Int(*v)),
            Cells::Floats(v) => v.get(row).map(|v| Cell::Float(*v)),
            Cells::Variable { ends, data } => {
                let start = if row == 0 { Some(0) } else { ends.get(row - 1).copied() };
                let end = ends.get(row).copied();
                start.zip(end).and_then(|(start, end)| data.get(start..end)).map(Cell::Bytes)
            }
        };
        // Lengths were compared with the number of rows.
        cell.unwrap_or(Cell::Null)
    }

    /// Whether all values of a column of texts are UTF-8 without U+0000: one look at all of them together.
    fn is_plain_text(&self) -> bool {
        let Cells::Variable { ends, data } = &self.cells else { return false };
        let cut = |text: &str| ends.iter().all(|end| text.is_char_boundary(*end));
        memchr::memchr(0, data).is_none() && simdutf8::basic::from_utf8(data).is_ok_and(|text| text.is_ascii() || cut(text))
    }

    /// What any database would say of this value; none of it is in the text.
    fn fault(&self, row: usize) -> Option<&'static str> {
        let Cell::Bytes(bytes) = self.cell(row) else { return None };
        if self.kind == Kind::Bytes {
            return None;
        }
        let Ok(text) = std::str::from_utf8(bytes) else { return Some("the value is not UTF-8") };
        match self.kind {
            Kind::Decimal if !text::is_decimal(text) => Some("the value is not a decimal number"),
            Kind::Json if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() => Some("the value is not JSON"),
            _ => None,
        }
    }
}

impl<'a> View<'a> {
    pub(super) fn new(table: &Table, rows: &'a Rows) -> R<Self> {
        let count = rows.count as usize;
        if !rows.deletes.is_empty() && rows.deletes.len() != count.div_ceil(8) {
            return Err(SqlError::Fatal("the connector sent a bitmap of deletes that is not one bit a row".to_owned()));
        }
        let fields: Vec<_> = rows.columns.iter().map(|column| Field::new(column, count)).collect::<R<_>>()?;
        for (index, field) in fields.iter().enumerate() {
            if fields.iter().take(index).any(|other| other.name == field.name) {
                return Err(SqlError::Fatal(format!("the connector sent column `{}` twice", field.name)));
            }
        }
        let place = |name: &String| {
            fields.iter().position(|field| field.name == name).ok_or_else(|| {
                SqlError::Fatal(format!("the key of table `{}` has column `{name}`, which the rows do not have", table.name))
            })
        };
        let key = table.key.iter().map(place).collect::<R<Vec<_>>>()?;
        let mut view = Self { count, deletes: &rows.deletes, fields, key, version: None };
        if let Some(version) = &table.version {
            view.version = view.place_of_version(table, version)?;
        }
        Ok(view)
    }

    fn place_of_version(&self, table: &Table, version: &str) -> R<Option<usize>> {
        let wrong = |why: &str| Err(SqlError::Fatal(format!("version `{version}` of table `{}`: {why}", table.name)));
        let place = self.fields.iter().position(|field| field.name == version);
        if self.key.is_empty() {
            return wrong("versions are compared by key, and there is none");
        }
        if place.is_some_and(|place| self.is_key(place)) {
            return wrong("it is a column of the key, in which all rows of a key are the same");
        }
        if place.is_none() && (0..self.count).any(|row| !self.is_delete(row)) {
            return wrong("the rows do not have it");
        }
        Ok(place)
    }

    pub(super) fn is_delete(&self, row: usize) -> bool {
        bit(self.deletes, row)
    }

    pub(super) fn is_key(&self, field: usize) -> bool {
        self.key.contains(&field)
    }

    fn is_version(&self, field: usize) -> bool {
        self.version == Some(field)
    }

    pub(super) const fn has_no_deletes(&self) -> bool {
        self.deletes.is_empty()
    }

    /// Rows that no database needs to see: a key without a value, or a value that is not of its kind. `dialect` adds what
    /// one database alone cannot hold.
    pub(super) fn refuse(&self, dialect: &impl Dialect) -> BTreeMap<usize, RejectedRow> {
        let doubted: Vec<usize> = (0..self.fields.len()).filter(|field| self.is_doubted(*field, dialect)).collect();
        let is_whole = self.fields.iter().any(Field::is_in_every_row) && (self.has_no_deletes() || !self.key.is_empty());
        if doubted.is_empty() && is_whole {
            return BTreeMap::new();
        }
        (0..self.count).filter_map(|row| Some((row, self.judge(row, &doubted, dialect)?))).collect()
    }

    /// Whether a row could be refused for this field, by a look at the whole column.
    fn is_doubted(&self, place: usize, dialect: &impl Dialect) -> bool {
        let Some(field) = self.fields.get(place) else { return false };
        if (self.is_key(place) || self.is_version(place)) && !(field.present.is_empty() && field.validity.is_empty()) {
            return true;
        }
        if field.kind == Kind::Text && dialect.takes_any_text(place) {
            return !field.is_plain_text();
        }
        (0..self.count).any(|row| field.fault(row).or_else(|| dialect.misfit(place, field.kind, field.cell(row))).is_some())
    }

    fn judge(&self, row: usize, doubted: &[usize], dialect: &impl Dialect) -> Option<RejectedRow> {
        let rejected = |field: &Field<'_>, code: &str, reason: &str| RejectedRow {
            row: number(row),
            code: code.to_owned(),
            reason: reason.to_owned(),
            column: Some(field.name.to_owned()),
        };
        for &place in doubted {
            let Some(field) = self.fields.get(place) else { continue };
            let is_key = self.is_key(place);
            if self.is_delete(row) && !is_key {
                continue;
            }
            let cell = field.cell(row);
            if is_key && matches!(cell, Cell::Absent | Cell::Null) {
                return Some(rejected(field, "sql.not-null", "a column of the key has no value"));
            }
            if self.is_version(place) && matches!(cell, Cell::Absent | Cell::Null) {
                return Some(rejected(field, "sql.not-null", "the row has no version"));
            }
            if let Some(fault) = field.fault(row).or_else(|| dialect.misfit(place, field.kind, cell)) {
                return Some(rejected(field, "sql.type", fault));
            }
        }
        let reason = match self.is_delete(row) {
            true if self.key.is_empty() => "a deletion, and the table has no key configured",
            false if self.fields.iter().all(|field| !field.has(row)) => "the row has no field",
            _ => return None,
        };
        Some(RejectedRow { row: number(row), code: "sql.refused".to_owned(), reason: reason.to_owned(), column: None })
    }
}

/// What one database cannot hold, of fields by their place.
pub(super) trait Dialect {
    /// Whether it takes any UTF-8 without U+0000 for a text of this field.
    fn takes_any_text(&self, place: usize) -> bool;

    /// What is wrong with a value; none of it is in the text.
    fn misfit(&self, place: usize, kind: Kind, cell: Cell<'_>) -> Option<&'static str>;
}

/// Rows are counted in 32 bits at the boundary.
pub(super) fn number(row: usize) -> u32 {
    u32::try_from(row).unwrap_or(u32::MAX)
}

/// A column of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    name: String,
    kind: Kind,
    validity: Vec<u8>,
    values: Values,
    count: usize,
}

impl Answer {
    pub(super) const fn new(name: String, kind: Kind) -> Self {
        let values = match kind {
            Kind::Boolean => Values::Booleans(Vec::new()),
            Kind::Int64 | Kind::TimestampUs | Kind::Date => Values::Ints(Vec::new()),
            Kind::Float64 => Values::Floats(Vec::new()),
            Kind::Decimal | Kind::Text | Kind::Bytes | Kind::Json => Values::Variable { lens: Vec::new(), data: Vec::new() },
        };
        Self { name, kind, validity: Vec::new(), values, count: 0 }
    }

    /// False when the value is not of the column's kind.
    #[must_use]
    pub(super) fn push(&mut self, cell: Cell<'_>) -> bool {
        match (&mut self.values, cell) {
            (Values::Booleans(v), Cell::Boolean(value)) => v.push(value.into()),
            (Values::Booleans(v), Cell::Null) => v.push(0),
            (Values::Ints(v), Cell::Int(value)) => v.push(value),
            (Values::Ints(v), Cell::Null) => v.push(0),
            (Values::Floats(v), Cell::Float(value)) => v.push(value),
            (Values::Floats(v), Cell::Null) => v.push(0.0),
            (Values::Variable { lens, data }, Cell::Bytes(value)) => {
                let Ok(len) = u32::try_from(value.len()) else { return false };
                lens.push(len);
                data.extend_from_slice(value);
            }
            (Values::Variable { lens, .. }, Cell::Null) => lens.push(0),
            _ => return false,
        }
        if self.count.is_multiple_of(8) {
            self.validity.push(0);
        }
        if let (false, Some(last)) = (cell == Cell::Null, self.validity.last_mut()) {
            *last |= 1 << (self.count % 8);
        }
        self.count += 1;
        true
    }

    pub(super) fn finish(self) -> Column {
        Column { name: self.name, kind: self.kind, validity: self.validity, present: Vec::new(), values: self.values }
    }
}
