//! One value: from JSON to the bytes of RowBinary, exactly or not at all. The rules stand in README.md; numbers are in
//! `number.rs`, times in `time.rs`.

use wharf_tables::Shape;

use crate::config::Times;
use crate::kind::Kind;
use crate::number;
use crate::object::{Json, elements, text};
use crate::time;

/// Appends a value of a column of this kind to `row`. After an error `row` may hold a part of it.
///
/// # Errors
/// What it is and what the column holds; no value is in the text.
pub fn encode(kind: &Kind, json: Json<'_>, times: Times, row: &mut Vec<u8>) -> Result<(), String> {
    let shape = Shape::of(json.0);
    let written = match (kind, shape) {
        (Kind::Nullable(_), Shape::Null) => {
            row.push(1);
            Some(())
        }
        (Kind::Nullable(inner), _) => {
            row.push(0);
            return encode(inner, json, times, row);
        }
        (Kind::Array(inner), Shape::Array) => {
            let elements = elements(json).unwrap_or_default();
            length(elements.len(), row);
            return elements.into_iter().try_for_each(|element| encode(inner, element, times, row));
        }
        (Kind::Bool | Kind::Int { bytes: 1, .. }, Shape::Bool) => {
            row.push(u8::from(json.0 == "true"));
            Some(())
        }
        (Kind::Int { bytes, signed }, Shape::Integer) => number::integer(json.0, *bytes, *signed, row),
        (Kind::Float32, Shape::Integer | Shape::Fraction) => {
            number::float32(json.0, shape == Shape::Integer).map(|number| row.extend(number.to_le_bytes()))
        }
        (Kind::Float64, Shape::Integer | Shape::Fraction) => {
            number::float64(json.0, shape == Shape::Integer).map(|number| row.extend(number.to_le_bytes()))
        }
        (Kind::Decimal { precision, scale }, Shape::Integer | Shape::Fraction) => {
            number::decimal(json.0, *precision, *scale, row)
        }
        (Kind::Decimal { precision, scale }, Shape::Text) => {
            text(json).and_then(|digits| number::decimal(&digits, *precision, *scale, row))
        }
        (Kind::Text, Shape::Text) => text(json).map(|text| counted(text.as_bytes(), row)),
        (Kind::Text, Shape::Object | Shape::Array) => {
            counted(json.0.as_bytes(), row);
            Some(())
        }
        (Kind::Fixed(size), Shape::Text) => text(json).and_then(|text| fixed(text.as_bytes(), *size, row)),
        (Kind::Enum { wide, names }, Shape::Text) => text(json)
            .and_then(|text| names.iter().find(|(name, _)| *name == *text).map(|(_, number)| enumerated(*number, *wide, row))),
        (Kind::Uuid, Shape::Text) => text(json).and_then(|text| uuid(&text, row)),
        (Kind::Date, Shape::Text) => text(json).and_then(|text| time::date(&text, row)),
        (Kind::Date32, Shape::Text) => text(json).and_then(|text| time::date32(&text, row)),
        (Kind::DateTime, Shape::Text | Shape::Integer) => time::read(json).and_then(|time| time::seconds(time, times, row)),
        (Kind::DateTime64(digits), Shape::Text | Shape::Integer) => {
            time::read(json).and_then(|time| time::ticks(time, *digits, times, row))
        }
        _ => None,
    };
    written.ok_or_else(|| format!("{} does not fit a column of {}", shape.name(), wanted(kind, times)))
}

/// Appends the value of a row that has none: null where the column takes it, else the type's own (0, an empty text), as
/// ClickHouse does it. `None`: this sink cannot write the type.
pub fn absent(kind: &Kind, row: &mut Vec<u8>) -> Option<()> {
    let zeros = match kind {
        Kind::Nullable(_) => {
            row.push(1);
            return Some(());
        }
        Kind::Enum { wide, names } => {
            // The type's own value is that of the lowest number.
            let (_, number) = names.iter().min_by_key(|(_, number)| *number)?;
            enumerated(*number, *wide, row);
            return Some(());
        }
        Kind::Other => return None,
        Kind::Int { bytes, .. } => *bytes,
        Kind::Bool | Kind::Text | Kind::Array(_) => 1,
        Kind::Date => 2,
        Kind::Float32 | Kind::Date32 | Kind::DateTime => 4,
        Kind::Float64 | Kind::DateTime64(_) => 8,
        Kind::Decimal { precision, .. } => number::decimal_bytes(*precision),
        Kind::Fixed(size) => *size,
        Kind::Uuid => 16,
    };
    row.resize(row.len() + zeros, 0);
    Some(())
}

/// Whether this sink can write values of the type, down to its innermost.
#[must_use]
pub fn is_known(kind: &Kind) -> bool {
    match kind {
        Kind::Nullable(inner) | Kind::Array(inner) => is_known(inner),
        other => *other != Kind::Other,
    }
}

fn wanted(kind: &Kind, times: Times) -> String {
    match kind {
        Kind::Int { bytes, signed } => format!("{} integers of {} bits", if *signed { "signed" } else { "unsigned" }, bytes * 8),
        Kind::Bool => "booleans".to_owned(),
        Kind::Float32 | Kind::Float64 => "floating-point numbers (it would lose digits, or is none)".to_owned(),
        Kind::Decimal { precision, scale } => format!("decimals of {precision} digits, {scale} of them behind the point"),
        Kind::Text => "texts".to_owned(),
        Kind::Fixed(size) => format!("texts of at most {size} bytes"),
        Kind::Date | Kind::Date32 => "dates (YYYY-MM-DD) of its range".to_owned(),
        Kind::DateTime | Kind::DateTime64(_) => {
            let digits = if let Kind::DateTime64(digits) = kind { *digits } else { 0 };
            let finer = if times == Times::Exact { ", `times = \"cut\"` takes finer ones" } else { "" };
            format!(
                "times of its range (RFC 3339 with an offset, or milliseconds since 1970), {digits} digits behind the second{finer}"
            )
        }
        Kind::Enum { .. } => "names of its enum".to_owned(),
        Kind::Uuid => "UUIDs".to_owned(),
        Kind::Nullable(inner) => wanted(inner, times),
        Kind::Array(_) => "arrays".to_owned(),
        Kind::Other => "a type that this sink does not write".to_owned(),
    }
}

/// A length as ClickHouse writes it (LEB128).
#[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
fn length(mut length: usize, row: &mut Vec<u8>) {
    while length > 0x7f {
        row.push(length as u8 | 0x80);
        length >>= 7;
    }
    row.push(length as u8);
}

fn counted(bytes: &[u8], row: &mut Vec<u8>) {
    length(bytes.len(), row);
    row.extend_from_slice(bytes);
}

fn fixed(bytes: &[u8], size: usize, row: &mut Vec<u8>) -> Option<()> {
    let missing = size.checked_sub(bytes.len())?;
    row.extend_from_slice(bytes);
    row.resize(row.len() + missing, 0);
    Some(())
}

fn enumerated(number: i16, wide: bool, row: &mut Vec<u8>) {
    let [low, high] = number.to_le_bytes();
    row.push(low);
    if wide {
        row.push(high);
    }
}

/// Two halves, the higher one first, each with its lowest byte first.
fn uuid(text: &str, row: &mut Vec<u8>) -> Option<()> {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let digits = parts.concat();
    if lengths != [8, 4, 4, 4, 12] || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let (high, low) = digits.split_at_checked(16)?;
    for half in [high, low] {
        row.extend(u64::from_str_radix(half, 16).ok()?.to_le_bytes());
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::parse;

    fn bytes(kind: &str, json: &str) -> Option<Vec<u8>> {
        let mut row = Vec::new();
        encode(&parse(kind), Json(json), Times::Exact, &mut row).ok().map(|()| row)
    }

    #[test]
    fn values_become_the_bytes_of_their_column() {
        for (kind, json, expected) in [
            ("UInt8", "true", vec![1]),
            ("Nullable(UInt8)", "null", vec![1]),
            ("Nullable(UInt8)", "7", vec![0, 7]),
            ("Array(Nullable(Int16))", "[-1, null]", vec![2, 0, 0xff, 0xff, 1]),
            ("Array(UInt8)", "[]", vec![0]),
            ("String", r#""\u00e9\/""#, vec![3, 0xc3, 0xa9, b'/']),
            ("String", r#"{"a": 1}"#, [vec![8], br#"{"a": 1}"#.to_vec()].concat()),
            ("FixedString(4)", r#""ab""#, vec![b'a', b'b', 0, 0]),
            ("Enum8('a' = -1, 'b' = 5)", r#""a""#, vec![0xff]),
            ("Enum16('a' = -1, 'b' = 300)", r#""b""#, vec![0x2c, 1]),
            (
                "UUID",
                r#""61f0c404-5cb3-11e7-907b-a6006ad3dba0""#,
                vec![0xe7, 0x11, 0xb3, 0x5c, 0x04, 0xc4, 0xf0, 0x61, 0xa0, 0xdb, 0xd3, 0x6a, 0x00, 0xa6, 0x7b, 0x90],
            ),
        ] {
            assert_eq!(bytes(kind, json), Some(expected), "{kind} {json}");
        }
        let long = "x".repeat(300);
        assert_eq!(bytes("String", &format!("\"{long}\"")).unwrap()[..3], [0xac, 2, b'x']);
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_holds_no_value() {
        for (kind, json) in [
            ("UInt8", "null"),
            ("UInt8", "\"7\""),
            ("Int32", "true"),
            ("String", "7"),
            ("String", r#""\ud800""#),
            ("FixedString(1)", r#""ab""#),
            ("Enum8('a' = 1)", r#""b""#),
            ("Array(UInt8)", "[1, 777]"),
            ("Array(UInt8)", "777"),
            ("UUID", r#""61f0c4045cb311e7907ba6006ad3dba0""#),
            ("UUID", r#""61f0c404-5cb3-11e7-907b-a6006ad3dbag""#),
            ("Tuple(UInt8)", "[1]"),
        ] {
            let error = encode(&parse(kind), Json(json), Times::Exact, &mut Vec::new()).unwrap_err();
            assert!(error.contains("does not fit a column of") && !error.contains("777"), "{kind} {json}: {error}");
        }
    }

    #[test]
    fn a_row_without_the_field_has_null_or_what_clickhouse_would_take() {
        for (kind, expected) in [
            ("Nullable(String)", vec![1]),
            ("String", vec![0]),
            ("Array(String)", vec![0]),
            ("Int16", vec![0, 0]),
            ("Decimal(18, 2)", vec![0; 8]),
            ("FixedString(3)", vec![0; 3]),
            ("Enum8('b' = 5, 'a' = -1)", vec![0xff]),
        ] {
            let mut row = Vec::new();
            assert_eq!(absent(&parse(kind), &mut row), Some(()));
            assert_eq!(row, expected, "{kind}");
        }
        assert_eq!(absent(&Kind::Other, &mut Vec::new()), None);
    }
}
