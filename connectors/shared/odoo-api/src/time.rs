//! Times as Odoo writes them: `YYYY-MM-DD HH:MM:SS`, UTC, whole seconds, although its database has microseconds.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const FORM: &str = "%Y-%m-%d %H:%M:%S";

/// Seconds since 1970-01-01T00:00:00Z of a time in Odoo's form.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    let civil = DateTime::strptime(FORM, text).ok()?;
    Some(TimeZone::UTC.to_timestamp(civil).ok()?.as_second())
}

/// A time in Odoo's form; `None` outside of the years that it can write.
#[must_use]
pub fn write(second: i64) -> Option<String> {
    Some(Timestamp::from_second(second).ok()?.strftime(FORM).to_string())
}

/// A time in Odoo's form as RFC 3339 in UTC with microseconds: how Wharf's records hold times.
#[must_use]
pub fn to_rfc3339(text: &str) -> Option<String> {
    Some(format!("{:.6}", Timestamp::from_second(parse(text)?).ok()?))
}

/// An RFC 3339 time in Odoo's form; what is finer than a second is cut off.
#[must_use]
pub fn from_rfc3339(text: &str) -> Option<String> {
    write(text.parse::<Timestamp>().ok()?.as_microsecond().div_euclid(1_000_000))
}

/// Seconds since 1970 of the header `Date` (RFC 9110, 6.6.1).
#[must_use]
pub fn of_header(text: &str) -> Option<i64> {
    Some(jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?.as_second())
}

/// The header `Date` of a second since 1970; empty outside of the years that it can write.
#[must_use]
pub fn to_header(second: i64) -> String {
    let time = Timestamp::from_second(second).ok();
    time.and_then(|time| jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_there_and_back() {
        assert_eq!(parse("2024-05-01 10:00:00"), Some(1_714_557_600));
        assert_eq!(write(1_714_557_600).as_deref(), Some("2024-05-01 10:00:00"));
        assert_eq!(to_rfc3339("2024-05-01 10:00:00").as_deref(), Some("2024-05-01T10:00:00.000000Z"));
        assert_eq!(from_rfc3339("2024-05-01T12:00:00.999999+02:00").as_deref(), Some("2024-05-01 10:00:00"));
        assert_eq!(from_rfc3339("1969-12-31T23:59:59.5Z").as_deref(), Some("1969-12-31 23:59:59"));
        assert_eq!(of_header("Wed, 01 May 2024 10:00:00 GMT"), Some(1_714_557_600));
        for text in ["", "2024-05-01", "2024-05-01T10:00:00Z", "2024-13-01 10:00:00", "soon"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
