//! Literals of `$filter`: how a value is written in a URL, by type and version. Encodes nothing for the URL.
//!
//! Sources: OData ABNF 4.01, `primitiveLiteral`, and OData 4.01 Part 2, 5.1.1.14.1; OData V2 "Overview", 6 (Primitive Data
//! Types), where the literal names its type: `datetime'…'`, `guid'…'`, `12L`, `1.5M`, `1.5d`.

use serde_json::Value;

use crate::Version;
use crate::edm::Simple;
use crate::time;

/// The literal of a value as it stands in a record or in an answer; `None` where the value cannot be of that type.
#[must_use]
pub fn literal(version: Version, simple: Simple, value: &Value) -> Option<String> {
    let text = match value {
        Value::Bool(yes) => return Some(yes.to_string()),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    if simple.is_time() {
        return moment(version, simple, time::parse(&text)?);
    }
    let (before, after) = match (simple, version) {
        (Simple::Guid, Version::V2) => ("guid'", "'"),
        (Simple::Int64, Version::V2) => ("", "L"),
        (Simple::Decimal, Version::V2) => ("", "M"),
        (Simple::Double, Version::V2) => ("", "d"),
        (Simple::Single, Version::V2) => ("", "f"),
        (s, _) if s.is_bare() => ("", ""),
        // Enumerations and times of day have forms of their own; a string is what most services take for them.
        _ => return Some(quoted(&text)),
    };
    is_word(&text).then(|| format!("{before}{text}{after}"))
}

/// The literal of a point in time, in microseconds since 1970.
#[must_use]
pub fn moment(version: Version, simple: Simple, micros: i64) -> Option<String> {
    match (version, simple) {
        (_, Simple::Date) => time::date(micros),
        (Version::V4, _) => Some(format!("{}Z", time::iso(micros)?)),
        (Version::V2, Simple::LocalMoment) => Some(format!("datetime'{}'", time::iso(micros)?)),
        (Version::V2, _) => Some(format!("datetimeoffset'{}Z'", time::iso(micros)?)),
    }
}

/// The type of a value where no `$metadata` tells it.
#[must_use]
pub fn guess(value: &Value) -> Simple {
    match value {
        Value::Bool(_) => Simple::Boolean,
        // Written without a suffix: right for V4, and what V2 takes for a 32-bit number.
        Value::Number(_) => Simple::Integer,
        Value::String(text) if time::is_date(text) => Simple::Date,
        Value::String(text) if time::parse(text).is_some() => {
            let zone = text
                .strip_prefix("/Date(")
                .map_or(text.ends_with('Z') || offset(text), |ticks| ticks.get(1..).is_some_and(|t| t.contains(['+', '-'])));
            if zone { Simple::Moment } else { Simple::LocalMoment }
        }
        _ => Simple::Text,
    }
}

/// `…+02:00`
fn offset(text: &str) -> bool {
    text.split_once('T').is_some_and(|(_, clock)| clock.contains(['+', '-']))
}

/// OData ABNF, `string`: a quote is doubled.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Nothing that could end a literal and begin something else.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-._".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_written_as_the_version_has_them() {
        let at = "2024-05-01T10:00:00.500000Z";
        for (simple, value, v4, v2) in [
            (Simple::Moment, Value::from(at), "2024-05-01T10:00:00.5Z", "datetimeoffset'2024-05-01T10:00:00.5Z'"),
            (Simple::LocalMoment, "/Date(1714557600000)/".into(), "2024-05-01T10:00:00Z", "datetime'2024-05-01T10:00:00'"),
            (Simple::Date, "2024-05-01".into(), "2024-05-01", "2024-05-01"),
            (Simple::Text, "O'Neill".into(), "'O''Neill'", "'O''Neill'"),
            (Simple::Guid, "0b1c-1".into(), "0b1c-1", "guid'0b1c-1'"),
            (Simple::Int64, Value::from(7), "7", "7L"),
            (Simple::Decimal, "1.50".into(), "1.50", "1.50M"),
            (Simple::Double, Value::from(1.5), "1.5", "1.5d"),
            (Simple::Integer, Value::from(3), "3", "3"),
            (Simple::Boolean, Value::Bool(true), "true", "true"),
        ] {
            assert_eq!(literal(Version::V4, simple, &value).as_deref(), Some(v4));
            assert_eq!(literal(Version::V2, simple, &value).as_deref(), Some(v2));
        }
    }

    #[test]
    fn a_value_cannot_leave_its_literal() {
        assert_eq!(literal(Version::V4, Simple::Text, &"' or 1 eq 1".into()).as_deref(), Some("''' or 1 eq 1'"));
        assert_eq!(literal(Version::V4, Simple::Int64, &"1 or true".into()), None);
        assert_eq!(literal(Version::V2, Simple::Guid, &"' or '".into()), None);
        assert_eq!(literal(Version::V4, Simple::Moment, &"yesterday".into()), None);
    }

    #[test]
    fn types_are_guessed_where_no_metadata_tells_them() {
        for (value, simple) in [
            (Value::from("2024-05-01T10:00:00Z"), Simple::Moment),
            ("2024-05-01T10:00:00+02:00".into(), Simple::Moment),
            ("2024-05-01T10:00:00".into(), Simple::LocalMoment),
            ("/Date(1714557600000)/".into(), Simple::LocalMoment),
            ("/Date(-1714557600000)/".into(), Simple::LocalMoment),
            ("/Date(1714557600000+0000)/".into(), Simple::Moment),
            ("2024-05-01".into(), Simple::Date),
            ("0001".into(), Simple::Text),
            (7.into(), Simple::Integer),
        ] {
            assert_eq!(guess(&value), simple, "{value}");
        }
    }
}
