//! Types of columns: from the text of a field to JSON. Owns which forms are read and how they are written; never repeats a
//! value in an error.

use std::io::Write;

use jiff::fmt::temporal::DateTimeParser;
use jiff::{Timestamp, tz::Offset};
use serde::Deserialize;
use serde::de::IgnoredAny;
use wharf_sdk::json::scan;

static TIMES: DateTimeParser = DateTimeParser::new();

/// Type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    #[default]
    Text,
    /// 64 bit.
    Int,
    Float,
    /// A JSON string of digits, exact.
    Decimal,
    Bool,
    /// RFC 3339, UTC, microseconds; without a zone it is UTC.
    Timestamp,
    Date,
    /// JSON, taken as it is.
    Json,
}

impl Kind {
    /// Appends the JSON of a field.
    ///
    /// # Errors
    /// What was expected; `out` is then to be cut back by the caller.
    pub fn write(self, field: &str, out: &mut Vec<u8>) -> Result<(), &'static str> {
        let written = match self {
            Self::Text => text(field, out),
            Self::Int => int(field.trim_ascii(), out),
            Self::Float => float(field.trim_ascii(), out),
            Self::Decimal => decimal(field.trim_ascii(), out),
            Self::Bool => bool(field.trim_ascii(), out),
            Self::Timestamp => timestamp(field.trim_ascii(), out),
            Self::Date => date(field.trim_ascii(), out),
            Self::Json => json(field, out),
        };
        written.ok_or_else(|| self.expected())
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Int => "an integer of 64 bit",
            Self::Float => "a number with a decimal point",
            Self::Decimal => "decimal digits with at most one point",
            Self::Bool => "true or false (also t, f, yes, no, y, n, 1, 0)",
            Self::Timestamp => "a timestamp as 2024-03-10T06:05:00Z",
            Self::Date => "a date as 2024-03-10",
            Self::Json => "JSON",
        }
    }
}

/// Appends a JSON string.
pub fn text(text: &str, out: &mut Vec<u8>) -> Option<()> {
    if scan::is_plain(text.as_bytes()) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return Some(());
    }
    serde_json::to_writer(out, text).ok()
}

fn int(field: &str, out: &mut Vec<u8>) -> Option<()> {
    let number: i64 = field.parse().ok()?;
    write!(out, "{number}").ok()
}

fn float(field: &str, out: &mut Vec<u8>) -> Option<()> {
    let number: f64 = field.parse().ok().filter(|number: &f64| number.is_finite())?;
    if serde_json::from_str::<IgnoredAny>(field).is_ok() {
        // Digits as they were written, where JSON allows the form.
        out.extend_from_slice(field.as_bytes());
        return Some(());
    }
    serde_json::to_writer(out, &number).ok()
}

fn decimal(field: &str, out: &mut Vec<u8>) -> Option<()> {
    let (sign, digits) = match field.as_bytes() {
        [b'-', ..] => ("-", field.get(1..)?),
        [b'+', ..] => ("", field.get(1..)?),
        _ => ("", field),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || whole.len() + fraction.len() == 0 {
        return None;
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let point = if fraction.is_empty() { "" } else { "." };
    write!(out, "\"{sign}{whole}{point}{fraction}\"").ok()
}

fn bool(field: &str, out: &mut Vec<u8>) -> Option<()> {
    let any = |words: [&str; 4]| words.iter().any(|word| field.eq_ignore_ascii_case(word));
    if any(["true", "t", "yes", "y"]) || field == "1" {
        out.extend_from_slice(b"true");
    } else if any(["false", "f", "no", "n"]) || field == "0" {
        out.extend_from_slice(b"false");
    } else {
        return None;
    }
    Some(())
}

fn timestamp(field: &str, out: &mut Vec<u8>) -> Option<()> {
    // A date alone is none: midnight where would be a guess.
    if field.len() <= "2024-03-10".len() {
        return None;
    }
    let time: Timestamp = TIMES
        .parse_timestamp(field)
        .or_else(|_| TIMES.parse_datetime(field).and_then(|local| Offset::UTC.to_timestamp(local)))
        .ok()?;
    let from = out.len();
    write!(out, "\"{time:.6}\"").ok()?;
    // RFC 3339 has four digits for the year.
    out.get(from + 1).filter(|byte| byte.is_ascii_digit()).map(drop)
}

fn date(field: &str, out: &mut Vec<u8>) -> Option<()> {
    let shape = field.bytes().enumerate().all(|(at, b)| if matches!(at, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    if field.len() != 10 || !shape || TIMES.parse_date(field).is_err() {
        return None;
    }
    write!(out, "\"{field}\"").ok()
}

fn json(field: &str, out: &mut Vec<u8>) -> Option<()> {
    if !crate::json::is_shallow(field) {
        return None;
    }
    serde_json::from_str::<IgnoredAny>(field).ok()?;
    out.extend_from_slice(field.trim_ascii().as_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json_of(kind: Kind, field: &str) -> Option<String> {
        let mut out = Vec::new();
        kind.write(field, &mut out).ok()?;
        Some(String::from_utf8(out).unwrap())
    }

    #[track_caller]
    fn read(kind: Kind, forms: &[(&str, &str)]) {
        for (field, expected) in forms {
            assert_eq!(json_of(kind, field).as_deref(), Some(*expected), "{field}");
        }
    }

    #[track_caller]
    fn refused(kind: Kind, fields: &[&str]) {
        for field in fields {
            assert_eq!(json_of(kind, field), None, "{field}");
        }
    }

    #[test]
    fn int_is_exact_within_64_bit() {
        read(Kind::Int, &[("9223372036854775807", "9223372036854775807"), ("-007", "-7"), (" +5 ", "5"), ("-0", "0")]);
        refused(Kind::Int, &["9223372036854775808", "1.0", "1e3", "", "1 000", "0x1"]);
    }

    #[test]
    fn float_keeps_its_digits_where_json_allows_them() {
        read(Kind::Float, &[("1.50", "1.50"), ("1e5", "1e5"), (".5", "0.5"), ("+1", "1.0"), ("-2.", "-2.0")]);
        refused(Kind::Float, &["inf", "NaN", "1,5", "1e999", "x", ""]);
    }

    #[test]
    fn decimal_is_a_string_with_its_scale() {
        read(Kind::Decimal, &[("1.50", "\"1.50\""), ("+007.5", "\"7.5\""), ("-.5", "\"-0.5\""), ("5.", "\"5\"")]);
        read(Kind::Decimal, &[("12345678901234567890.000000001", "\"12345678901234567890.000000001\"")]);
        refused(Kind::Decimal, &["1,50", "1e5", ".", "-", "1.2.3", "", "--1"]);
    }

    #[test]
    fn bool_takes_the_usual_words() {
        read(Kind::Bool, &[("true", "true"), ("No", "false"), ("Y", "true"), ("0", "false"), ("T", "true")]);
        refused(Kind::Bool, &["2", "on", ""]);
    }

    #[test]
    fn timestamp_becomes_utc_with_microseconds() {
        read(
            Kind::Timestamp,
            &[
                ("2024-03-10T02:05:00-04:00", "\"2024-03-10T06:05:00.000000Z\""),
                ("2024-03-10 06:05:00.123456789Z", "\"2024-03-10T06:05:00.123456Z\""),
                ("2024-03-10 06:05:00", "\"2024-03-10T06:05:00.000000Z\""),
            ],
        );
        refused(Kind::Timestamp, &["2024-03-10", "2024-02-30T00:00:00Z", "10.03.2024 06:05", "1710050700", ""]);
    }

    #[test]
    fn date_has_one_form() {
        read(Kind::Date, &[("2024-02-29", "\"2024-02-29\"")]);
        refused(Kind::Date, &["2023-02-29", "2024-3-1", "29.02.2024", "20240229", "2024-02-29T00:00:00Z", ""]);
    }

    #[test]
    fn json_is_taken_as_it_is() {
        read(Kind::Json, &[("{\"a\" : [1.10]}", "{\"a\" : [1.10]}"), (" 7", "7")]);
        refused(Kind::Json, &["{a:1}", "", "1 2"]);
        refused(Kind::Json, &[&"[".repeat(200)]);
    }

    #[test]
    fn text_is_escaped() {
        read(Kind::Text, &[("a\"\\\n\u{1}é", r#""a\"\\\n\u0001é""#), ("", "\"\"")]);
    }
}
