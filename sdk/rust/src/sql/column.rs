//! Columns: typed builders that keep nulls and absent fields apart, and views of what a query answered.

use std::fmt;

use crate::bindings::sql::{self, Kind};
use crate::writer::length;

/// One value of a column, borrowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Decimal digits, exact: `-12.50`.
    Decimal(&'a str),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// Days since 1970-01-01.
    Date(i64),
    /// JSON text.
    Json(&'a str),
}

impl Value<'_> {
    const fn kind(&self) -> Kind {
        match self {
            Self::Bool(_) => Kind::Boolean,
            Self::Int(_) => Kind::Int64,
            Self::Float(_) => Kind::Float64,
            Self::Decimal(_) => Kind::Decimal,
            Self::Text(_) => Kind::Text,
            Self::Bytes(_) => Kind::Bytes,
            Self::Timestamp(_) => Kind::TimestampUs,
            Self::Date(_) => Kind::Date,
            Self::Json(_) => Kind::Json,
        }
    }
}

/// A value of another kind than its column's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongKind {
    pub column: String,
    pub wanted: Kind,
    pub found: Kind,
}

impl fmt::Display for WrongKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column `{}` holds {:?}, not {:?}", self.column, self.wanted, self.found)
    }
}

impl std::error::Error for WrongKind {}

impl From<WrongKind> for crate::Error {
    fn from(wrong: WrongKind) -> Self {
        Self::Fatal(wrong.to_string())
    }
}

/// Bits by row, least significant first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bitmap(Vec<u8>);

impl Bitmap {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub fn set(&mut self, row: usize) {
        let byte = row / 8;
        if self.0.len() <= byte {
            self.0.resize(byte + 1, 0);
        }
        if let Some(bits) = self.0.get_mut(byte) {
            *bits |= 1 << (row % 8);
        }
    }

    pub fn clear(&mut self, row: usize) {
        if let Some(bits) = self.0.get_mut(row / 8) {
            *bits &= !(1 << (row % 8));
        }
    }

    #[must_use]
    pub fn get(&self, row: usize) -> bool {
        self.0.get(row / 8).is_some_and(|bits| bits & (1 << (row % 8)) != 0)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One bit for each of `rows`; empty where no bit was ever set.
    #[cfg_attr(not(any(target_arch = "wasm32", test)), expect(dead_code, reason = "crosses the boundary only"))]
    pub(crate) fn padded(&self, rows: u32) -> Vec<u8> {
        let mut bytes = self.0.clone();
        if !bytes.is_empty() {
            bytes.resize((rows as usize).div_ceil(8), 0);
        }
        bytes
    }

    /// Sets the first `rows` bits, and room for one more.
    fn filled(rows: usize) -> Self {
        let mut bits = Self(vec![0xff; rows / 8]);
        (rows / 8 * 8..rows).for_each(|row| bits.set(row));
        bits
    }

    /// Bits that say yes for all rows cost nothing: they come to be with the first no.
    #[inline]
    fn say(bits: &mut Option<Self>, row: usize, yes: bool) {
        if yes {
            if let Some(bits) = bits {
                bits.set(row);
            }
        } else {
            bits.get_or_insert_with(|| Self::filled(row));
        }
    }

    /// All bytes that `rows` rows need; empty where all say yes.
    fn finish(bits: Option<Self>, rows: usize) -> Vec<u8> {
        bits.map_or_else(Vec::new, |mut bits| {
            bits.0.resize(rows.div_ceil(8), 0);
            bits.0
        })
    }
}

/// The values of a column; one entry a row, also where it is null or absent.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    Booleans(Vec<u8>),
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Variable { lens: Vec<u32>, data: Vec<u8> },
}

/// A column of a batch of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    name: String,
    kind: Kind,
    rows: usize,
    validity: Option<Bitmap>,
    present: Option<Bitmap>,
    values: Values,
}

macro_rules! column_of {
    ($(#[doc = $doc:literal] $function:ident$(<$life:lifetime>)?($item:ty) $kind:ident $case:ident;)*) => {$(
        #[doc = $doc]
        pub fn $function$(<$life>)?(name: impl Into<String>, values: impl IntoIterator<Item = Option<$item>>) -> Self {
            let mut column = Self::new(name, Kind::$kind);
            for value in values {
                column.put(value.map(Value::$case), true);
            }
            column
        }
    )*};
}

impl Column {
    /// An empty column, to push values of its kind into.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        let values = match kind {
            Kind::Boolean => Values::Booleans(Vec::new()),
            Kind::Int64 | Kind::TimestampUs | Kind::Date => Values::Ints(Vec::new()),
            Kind::Float64 => Values::Floats(Vec::new()),
            Kind::Decimal | Kind::Text | Kind::Bytes | Kind::Json => Values::Variable { lens: Vec::new(), data: Vec::new() },
        };
        Self { name: name.into(), kind, rows: 0, validity: None, present: None, values }
    }

    column_of! {
        #[doc = "A column of booleans; `None` is null."] bools(bool) Boolean Bool;
        #[doc = "A column of integers."] ints(i64) Int64 Int;
        #[doc = "A column of floating-point numbers."] floats(f64) Float64 Float;
        #[doc = "A column of decimal digits, exact."] decimals<'a>(&'a str) Decimal Decimal;
        #[doc = "A column of texts."] texts<'a>(&'a str) Text Text;
        #[doc = "A column of bytes."] blobs<'a>(&'a [u8]) Bytes Bytes;
        #[doc = "A column of times, in microseconds since 1970-01-01T00:00:00Z."] timestamps(i64) TimestampUs Timestamp;
        #[doc = "A column of dates, in days since 1970-01-01."] dates(i64) Date Date;
        #[doc = "A column of JSON texts."] jsons<'a>(&'a str) Json Json;
    }

    /// Makes room for so many more rows with so many bytes together (of text, bytes, decimals and JSON).
    pub fn reserve(&mut self, rows: usize, bytes: usize) {
        match &mut self.values {
            Values::Booleans(values) => values.reserve(rows),
            Values::Ints(values) => values.reserve(rows),
            Values::Floats(values) => values.reserve(rows),
            Values::Variable { lens, data } => {
                lens.reserve(rows);
                data.reserve(bytes);
            }
        }
    }

    /// Bytes of its texts, decimals, JSON and binary values.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        match &self.values {
            Values::Variable { data, .. } => data.len(),
            _ => 0,
        }
    }

    /// Appends a row.
    ///
    /// # Errors
    /// [`WrongKind`]; the column is as it was.
    #[inline]
    pub fn push(&mut self, value: Value<'_>) -> Result<(), WrongKind> {
        if value.kind() == self.kind {
            self.put(Some(value), true);
            return Ok(());
        }
        Err(WrongKind { column: self.name.clone(), wanted: self.kind, found: value.kind() })
    }

    /// Appends a row that is null: it sets NULL.
    pub fn push_null(&mut self) {
        self.put(None, true);
    }

    /// Appends a row that does not have this field: an upsert leaves its column as it is.
    pub fn push_absent(&mut self) {
        self.put(None, false);
    }

    /// Appends absent rows until there are `rows`.
    pub fn fill_absent(&mut self, rows: usize) {
        while self.rows < rows {
            self.push_absent();
        }
    }

    /// Takes rows back until there are `rows`.
    pub fn truncate(&mut self, rows: usize) {
        for bits in [&mut self.validity, &mut self.present].into_iter().flatten() {
            (rows..self.rows).for_each(|row| bits.clear(row));
        }
        self.rows = self.rows.min(rows);
        match &mut self.values {
            Values::Booleans(values) => values.truncate(rows),
            Values::Ints(values) => values.truncate(rows),
            Values::Floats(values) => values.truncate(rows),
            Values::Variable { lens, data } => {
                let taken: usize = lens.iter().skip(rows).map(|len| *len as usize).sum();
                lens.truncate(rows);
                data.truncate(data.len() - taken);
            }
        }
    }

    #[inline]
    fn put(&mut self, value: Option<Value<'_>>, present: bool) {
        Bitmap::say(&mut self.validity, self.rows, value.is_some());
        Bitmap::say(&mut self.present, self.rows, present);
        self.rows += 1;
        match (&mut self.values, value) {
            (Values::Booleans(v), Some(Value::Bool(b))) => v.push(u8::from(b)),
            (Values::Booleans(v), _) => v.push(0),
            (Values::Ints(v), Some(Value::Int(i) | Value::Timestamp(i) | Value::Date(i))) => v.push(i),
            (Values::Ints(v), _) => v.push(0),
            (Values::Floats(v), Some(Value::Float(x))) => v.push(x),
            (Values::Floats(v), _) => v.push(0.0),
            (Values::Variable { lens, data }, value) => {
                let bytes = match value {
                    Some(Value::Decimal(text) | Value::Text(text) | Value::Json(text)) => text.as_bytes(),
                    Some(Value::Bytes(bytes)) => bytes,
                    _ => &[],
                };
                lens.push(length(bytes.len()));
                data.extend_from_slice(bytes);
            }
        }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Number of rows.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether a row has this field at all.
    #[must_use]
    pub fn is_present(&self, row: usize) -> bool {
        row < self.rows && self.present.as_ref().is_none_or(|bits| bits.get(row))
    }

    /// The values by row; `None` is null (or absent).
    pub fn iter(&self) -> impl Iterator<Item = Option<Value<'_>>> {
        let mut at = 0;
        (0..self.rows).map(move |row| {
            let value = self.value(row, &mut at);
            value.filter(|_| self.validity.as_ref().is_none_or(|bits| bits.get(row)))
        })
    }

    fn value(&self, row: usize, at: &mut usize) -> Option<Value<'_>> {
        Some(match (&self.values, self.kind) {
            (Values::Booleans(v), _) => Value::Bool(*v.get(row)? != 0),
            (Values::Ints(v), Kind::TimestampUs) => Value::Timestamp(*v.get(row)?),
            (Values::Ints(v), Kind::Date) => Value::Date(*v.get(row)?),
            (Values::Ints(v), _) => Value::Int(*v.get(row)?),
            (Values::Floats(v), _) => Value::Float(*v.get(row)?),
            (Values::Variable { lens, data }, kind) => {
                let len = *lens.get(row)? as usize;
                let bytes = data.get(*at..*at + len)?;
                *at += len;
                match kind {
                    Kind::Bytes => Value::Bytes(bytes),
                    Kind::Decimal => Value::Decimal(std::str::from_utf8(bytes).unwrap_or_default()),
                    Kind::Json => Value::Json(std::str::from_utf8(bytes).unwrap_or_default()),
                    _ => Value::Text(std::str::from_utf8(bytes).unwrap_or_default()),
                }
            }
        })
    }

    #[cfg_attr(not(any(target_arch = "wasm32", test)), expect(dead_code, reason = "crosses the boundary only"))]
    pub(crate) fn into_raw(self) -> sql::Column {
        let values = match self.values {
            Values::Booleans(v) => sql::Values::Booleans(v),
            Values::Ints(v) => sql::Values::Ints(v),
            Values::Floats(v) => sql::Values::Floats(v),
            Values::Variable { lens, data } => sql::Values::Variable(sql::Varlen { lens, data }),
        };
        Self::raw(self.name, self.kind, self.rows, [self.validity, self.present], values)
    }

    fn raw(name: String, kind: Kind, rows: usize, [validity, present]: [Option<Bitmap>; 2], values: sql::Values) -> sql::Column {
        sql::Column { name, kind, validity: Bitmap::finish(validity, rows), present: Bitmap::finish(present, rows), values }
    }

    #[cfg_attr(not(any(target_arch = "wasm32", test)), expect(dead_code, reason = "crosses the boundary only"))]
    pub(crate) fn from_raw(raw: sql::Column) -> Self {
        let bits = |bytes: Vec<u8>| (!bytes.is_empty()).then_some(Bitmap(bytes));
        let (rows, values) = match raw.values {
            sql::Values::Booleans(v) => (v.len(), Values::Booleans(v)),
            sql::Values::Ints(v) => (v.len(), Values::Ints(v)),
            sql::Values::Floats(v) => (v.len(), Values::Floats(v)),
            sql::Values::Variable(v) => (v.lens.len(), Values::Variable { lens: v.lens, data: v.data }),
        };
        Self { name: raw.name, kind: raw.kind, rows, validity: bits(raw.validity), present: bits(raw.present), values }
    }
}
