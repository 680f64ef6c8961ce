//! Times, dates and decimals as text. Does no I/O.

use jiff::civil::Date;
use jiff::{Span, Timestamp};

const EPOCH: Date = jiff::civil::date(1970, 1, 1);

/// RFC 3339 UTC with microseconds; `None` outside the years 0 to 9999.
pub(super) fn timestamp(us: i64) -> Option<String> {
    let text = format!("{:.6}", Timestamp::from_microsecond(us).ok()?);
    (!text.starts_with('-')).then_some(text)
}

/// `YYYY-MM-DD`; `None` outside the years 0 to 9999.
pub(super) fn date(days: i64) -> Option<String> {
    let date = EPOCH.checked_add(Span::new().try_days(days).ok()?).ok()?;
    (date.year() >= 0).then(|| date.to_string())
}

/// Microseconds of an RFC 3339 text, or of SQLite's own `YYYY-MM-DD HH:MM:SS`, which is UTC.
pub(super) fn parse_timestamp(text: &str) -> Option<i64> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp.as_microsecond());
    }
    let local = text.parse::<jiff::civil::DateTime>().ok()?;
    Some(jiff::tz::Offset::UTC.to_timestamp(local).ok()?.as_microsecond())
}

/// Days of a `YYYY-MM-DD`.
pub(super) fn parse_date(text: &str) -> Option<i64> {
    let date = text.parse::<Date>().ok()?;
    Some(date.since((jiff::Unit::Day, EPOCH)).ok()?.get_days().into())
}

/// Digits with an optional sign, fraction and exponent.
pub(super) fn is_decimal(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole) && fraction.is_none_or(digits) && exponent.is_none_or(digits)
}
