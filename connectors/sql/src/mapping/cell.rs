//! One value: what kind of column it makes, and what it is in a column of a kind. The rules stand in README.md.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wharf_sdk::sql::{Kind, Value};
use wharf_tables::Shape;

use super::fields::Json;
use super::time;

/// A value that fits its column.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Decimal(Cow<'a, str>),
    Text(Cow<'a, str>),
    Bytes(Vec<u8>),
    Timestamp(i64),
    Date(i64),
    Json(&'a str),
}

impl Cell<'_> {
    /// `None`: null.
    pub fn value(&self) -> Option<Value<'_>> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(yes) => Value::Bool(*yes),
            Self::Int(number) => Value::Int(*number),
            Self::Float(number) => Value::Float(*number),
            Self::Decimal(digits) => Value::Decimal(digits),
            Self::Text(text) => Value::Text(text),
            Self::Bytes(bytes) => Value::Bytes(bytes),
            Self::Timestamp(us) => Value::Timestamp(*us),
            Self::Date(days) => Value::Date(*days),
            Self::Json(text) => Value::Json(text),
        })
    }
}

/// The kind of a new column that holds this value; `None` for null, which says nothing.
pub fn infer(json: Json<'_>) -> Option<Kind> {
    let json = json.text;
    Some(match Shape::of(json) {
        Shape::Null => return None,
        Shape::Bool => Kind::Boolean,
        Shape::Integer if json.parse::<i64>().is_err() => Kind::Decimal,
        Shape::Integer => Kind::Int64,
        Shape::Fraction => Kind::Float64,
        Shape::Text => Kind::Text,
        Shape::Object | Shape::Array => Kind::Json,
    })
}

/// The value in a column of a kind.
///
/// # Errors
/// What it is and what the column holds; no value is in the text.
pub fn convert(value: Json<'_>, kind: Kind) -> Result<Cell<'_>, String> {
    let json = value.text;
    let shape = Shape::of(json);
    let cell = match (kind, shape) {
        (_, Shape::Null) => Some(Cell::Null),
        (Kind::Json, _) => Some(Cell::Json(json)),
        (Kind::Boolean, Shape::Bool) => Some(Cell::Bool(json == "true")),
        (Kind::Int64, Shape::Integer) => json.parse().ok().map(Cell::Int),
        // SQLite has no booleans: what was made for one reads as an integer.
        (Kind::Int64, Shape::Bool) => Some(Cell::Int(i64::from(json == "true"))),
        (Kind::Float64, Shape::Fraction) => json.parse().ok().filter(|x: &f64| x.is_finite()).map(Cell::Float),
        (Kind::Float64, Shape::Integer) => exact(json).map(Cell::Float),
        (Kind::Decimal, Shape::Integer | Shape::Fraction) => Some(Cell::Decimal(Cow::Borrowed(json))),
        (Kind::Decimal, Shape::Text) => text(value).filter(|digits| is_decimal(digits)).map(Cell::Decimal),
        (Kind::Text, Shape::Text) => text(value).map(Cell::Text),
        // SQLite has no JSON: what was made for it reads as text.
        (Kind::Text, Shape::Object | Shape::Array) => Some(Cell::Text(Cow::Borrowed(json))),
        (Kind::TimestampUs, Shape::Text) => text(value).and_then(|text| time::timestamp(&text)).map(Cell::Timestamp),
        (Kind::TimestampUs, Shape::Integer) => json.parse::<i64>().ok().and_then(|ms| ms.checked_mul(1_000)).map(Cell::Timestamp),
        (Kind::Date, Shape::Text) => text(value).and_then(|text| time::date(&text)).map(Cell::Date),
        (Kind::Bytes, Shape::Text) => text(value).and_then(|text| STANDARD.decode(text.as_bytes()).ok()).map(Cell::Bytes),
        _ => None,
    };
    cell.ok_or_else(|| format!("{} does not fit a column of {}", shape.name(), wanted(kind)))
}

const fn wanted(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "booleans",
        Kind::Int64 => "64-bit integers",
        Kind::Float64 => "floating-point numbers (it would lose digits, or is none); `columns` can make it a decimal",
        Kind::Decimal => "decimal numbers",
        Kind::Text => "texts",
        Kind::Bytes => "bytes (base64)",
        Kind::TimestampUs => "times (RFC 3339 with an offset, or milliseconds since 1970)",
        Kind::Date => "dates (YYYY-MM-DD)",
        Kind::Json => "JSON",
    }
}

/// An integer as a float, where that is the same number.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "the way back tells whether anything was lost")]
fn exact(json: &str) -> Option<f64> {
    let number: i64 = json.parse().ok()?;
    let float = number as f64;
    (float as i128 == i128::from(number)).then_some(float)
}

/// The characters of a JSON string; borrowed where it has no escapes. `None`: half of a surrogate pair.
pub fn text(json: Json<'_>) -> Option<Cow<'_, str>> {
    if json.escaped {
        return serde_json::from_str(json.text).ok().map(Cow::Owned);
    }
    json.text.strip_prefix('"')?.strip_suffix('"').map(Cow::Borrowed)
}

fn is_decimal(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    unsigned.split_once('.').map_or_else(|| digits(unsigned), |(whole, fraction)| digits(whole) && digits(fraction))
}
