//! Times as OData writes them, to microseconds since 1970-01-01T00:00:00Z and back. Finer digits are cut off.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Microseconds of a day.
pub const DAY: i64 = 86_400_000_000;

/// A time as V4 writes it (`2024-05-01T10:00:00.5+02:00`; OData ABNF, `dateTimeOffsetValue`), as V2 does
/// (`/Date(1714557600000)/`, `/Date(1714557600000+0120)/`), a date, or an ISO time without a zone, which counts as UTC.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    if let Some(ticks) = text.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/")) {
        return ticks_of(ticks);
    }
    let text = shortened(text);
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment.as_microsecond());
    }
    let civil = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|date| date.at(0, 0, 0, 0))).ok()?;
    Some(TimeZone::UTC.to_timestamp(civil).ok()?.as_microsecond())
}

/// `ticks["+" | "-" offset]`: milliseconds of the local clock since 1970, and minutes by which it is ahead of UTC, so UTC is
/// their difference. OData V2, "JSON Format", 4 (Primitive Types); datajs and Microsoft's libraries read it the same way.
fn ticks_of(ticks: &str) -> Option<i64> {
    let at = ticks.rfind(['+', '-']).filter(|at| *at > 0);
    let (millis, offset) = at.and_then(|at| ticks.split_at_checked(at)).unwrap_or((ticks, "0"));
    let offset: i64 = offset.parse().ok()?;
    millis.parse::<i64>().ok()?.checked_sub(offset.checked_mul(60_000)?)?.checked_mul(1000)
}

/// V4 allows twelve digits of a second, the parser nine.
fn shortened(text: &str) -> String {
    let Some((head, tail)) = text.split_once('.') else { return text.to_owned() };
    let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
    let (digits, zone) = tail.split_at_checked(end).unwrap_or((tail, ""));
    format!("{head}.{}{zone}", digits.get(..9).unwrap_or(digits))
}

/// RFC 3339 in UTC with microseconds: how Wharf's records hold times.
#[must_use]
pub fn rfc3339(micros: i64) -> Option<String> {
    Some(format!("{:.6}", Timestamp::from_microsecond(micros).ok()?))
}

/// ISO 8601 in UTC without a zone and without zeros at the end of a fraction: `2024-05-01T10:00:00.5`.
#[must_use]
pub fn iso(micros: i64) -> Option<String> {
    Timestamp::from_microsecond(micros).ok()?.to_string().strip_suffix('Z').map(ToOwned::to_owned)
}

/// The day that a time is in, as a date.
#[must_use]
pub fn date(micros: i64) -> Option<String> {
    let day = micros.checked_sub(micros.rem_euclid(DAY))?;
    iso(day)?.split('T').next().map(ToOwned::to_owned)
}

/// Whether a text is a date alone.
#[must_use]
pub fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<Date>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_both_versions_become_utc() {
        for (text, expected) in [
            ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00.000000Z"),
            ("2024-05-01T10:00:00.123456789012+02:00", "2024-05-01T08:00:00.123456Z"),
            ("2024-05-01T10:00Z", "2024-05-01T10:00:00.000000Z"),
            ("2024-05-01T10:00:00", "2024-05-01T10:00:00.000000Z"),
            ("2024-05-01", "2024-05-01T00:00:00.000000Z"),
            ("/Date(1714557600123)/", "2024-05-01T10:00:00.123000Z"),
            ("/Date(1714564800000+0120)/", "2024-05-01T10:00:00.000000Z"),
            ("/Date(1714539600000-0300)/", "2024-05-01T10:00:00.000000Z"),
            ("/Date(-86400000)/", "1969-12-31T00:00:00.000000Z"),
            ("/Date(-86400000-0060)/", "1969-12-31T01:00:00.000000Z"),
        ] {
            assert_eq!(parse(text).and_then(rfc3339).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "10:00:00", "/Date()/", "/Date(99999999999999999999)/", "tomorrow", "/Date(12+ab)/"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn literals_have_no_more_digits_than_they_need() {
        assert_eq!(iso(1_714_557_600_000_000).as_deref(), Some("2024-05-01T10:00:00"));
        assert_eq!(iso(1_714_557_600_500_000).as_deref(), Some("2024-05-01T10:00:00.5"));
        assert_eq!(date(1_714_557_600_000_000).as_deref(), Some("2024-05-01"));
        assert_eq!(date(-1).as_deref(), Some("1969-12-31"));
    }
}
