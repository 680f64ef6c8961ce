//! Times and dates, in UTC, from JSON to the integers by which ClickHouse holds them.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::config::Times;
use crate::object::{Json, text};

const SECOND: i128 = 1_000_000_000;
/// 2105-12-31, the last day that each version shows as itself (18.16 ends there).
const LAST_DATE: i64 = 49_672;
/// 1900-01-01 and 2299-12-31, and the seconds from the one to the other.
const FIRST_DAY: i64 = -25_567;
const LAST_DAY: i64 = 120_529;
const FIRST_SECOND: i128 = FIRST_DAY as i128 * 86_400;
const LAST_SECOND: i128 = (LAST_DAY as i128 + 1) * 86_400 - 1;

/// Nanoseconds since 1970-01-01T00:00:00Z: of RFC 3339 with an offset, or of an integer of milliseconds.
#[must_use]
pub fn read(json: Json<'_>) -> Option<i128> {
    if !json.0.starts_with('"') {
        return json.0.parse::<i64>().ok().map(|milliseconds| i128::from(milliseconds) * 1_000_000);
    }
    let text = text(json)?;
    // A leap second would be moved; a zone's name after the offset is not RFC 3339's, nor are digits without marks between them.
    let has_marks =
        [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')].iter().all(|(at, mark)| text.as_bytes().get(*at) == Some(mark));
    if !has_marks || text.get(17..19).is_none_or(|second| second == "60") || text.ends_with(']') {
        return None;
    }
    text.parse::<Timestamp>().ok().map(Timestamp::as_nanosecond)
}

/// Appends a `DateTime`.
pub fn seconds(time: i128, times: Times, row: &mut Vec<u8>) -> Option<()> {
    let seconds = whole(time, SECOND, times)?;
    row.extend(u32::try_from(seconds).ok()?.to_le_bytes());
    Some(())
}

/// Appends a `DateTime64` of so many digits of a second.
pub fn ticks(time: i128, digits: u32, times: Times, row: &mut Vec<u8>) -> Option<()> {
    if !(FIRST_SECOND..=LAST_SECOND).contains(&time.div_euclid(SECOND)) {
        return None;
    }
    let ticks = whole(time, 10_i128.checked_pow(9_u32.checked_sub(digits)?)?, times)?;
    row.extend(i64::try_from(ticks).ok()?.to_le_bytes());
    Some(())
}

/// Appends a `Date`.
pub fn date(text: &str, row: &mut Vec<u8>) -> Option<()> {
    let days = days(text).filter(|days| (0..=LAST_DATE).contains(days))?;
    row.extend(u16::try_from(days).ok()?.to_le_bytes());
    Some(())
}

/// Appends a `Date32`.
pub fn date32(text: &str, row: &mut Vec<u8>) -> Option<()> {
    let days = days(text).filter(|days| (FIRST_DAY..=LAST_DAY).contains(days))?;
    row.extend(i32::try_from(days).ok()?.to_le_bytes());
    Some(())
}

fn whole(time: i128, unit: i128, times: Times) -> Option<i128> {
    (times == Times::Cut || time.rem_euclid(unit) == 0).then_some(time.div_euclid(unit))
}

/// Days since 1970-01-01 of `YYYY-MM-DD`.
fn days(text: &str) -> Option<i64> {
    if text.len() != 10 || text.as_bytes().get(4) != Some(&b'-') {
        return None;
    }
    let midnight = text.parse::<Date>().ok()?.at(0, 0, 0, 0);
    TimeZone::UTC.to_timestamp(midnight).ok().map(|time| time.as_second().div_euclid(86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut Vec<u8>) -> Option<()>) -> Option<i64> {
        let mut row = Vec::new();
        write(&mut row)?;
        row.resize(8, if row.last().is_some_and(|byte| row_is_negative(*byte)) { 0xff } else { 0 });
        Some(i64::from_le_bytes(row.try_into().unwrap()))
    }

    /// Only signed numbers of tests have their highest bit set.
    const fn row_is_negative(highest: u8) -> bool {
        highest >= 0x80
    }

    #[test]
    fn times_are_instants_whatever_their_offset() {
        for (json, nanoseconds) in [
            ("\"1970-01-01T00:00:00Z\"", 0),
            ("\"2024-02-29T22:59:59.5-01:00\"", 1_709_251_199_500_000_000),
            ("\"1969-12-31T23:59:59.75+00:00\"", -250_000_000),
            ("\"2024-05-01T10:00:00.123456Z\"", 1_714_557_600_123_456_000),
            ("1714557600123", 1_714_557_600_123_000_000),
        ] {
            assert_eq!(read(Json(json)), Some(nanoseconds), "{json}");
        }
        for json in [
            "\"2024-05-01T10:00:00\"",
            "\"2024-05-01\"",
            "\"2023-02-29T00:00:00Z\"",
            "\"2016-12-31T23:59:60Z\"",
            "\"20161231T235960.0000Z\"",
            "\"20240501T100000.0000Z\"",
            "\"2024-05-01T10Z\"",
            "\"2024-05-01T10:00:00Z[Europe/Berlin]\"",
            "\"yesterday, about ten\"",
        ] {
            assert_eq!(read(Json(json)), None, "{json}");
        }
    }

    #[test]
    fn what_is_finer_than_the_column_is_cut_only_where_it_is_said() {
        let time = 1_714_557_600_123_456_000;
        assert_eq!(written(|row| seconds(time, Times::Exact, row)), None);
        assert_eq!(written(|row| seconds(time, Times::Cut, row)), Some(1_714_557_600));
        assert_eq!(written(|row| ticks(time, 6, Times::Exact, row)), Some(1_714_557_600_123_456));
        assert_eq!(written(|row| ticks(time, 3, Times::Exact, row)), None);
        assert_eq!(written(|row| ticks(-1, 3, Times::Cut, row)), Some(-1));
    }

    #[test]
    fn times_and_dates_out_of_range_do_not_come_out_as_others() {
        assert_eq!(written(|row| seconds(-SECOND, Times::Exact, row)), None);
        assert_eq!(written(|row| seconds(4_294_967_296 * SECOND, Times::Exact, row)), None);
        assert_eq!(written(|row| ticks((LAST_SECOND + 1) * SECOND, 3, Times::Exact, row)), None);
        assert_eq!(written(|row| date("1970-01-02", row)), Some(1));
        assert_eq!(written(|row| date("2024-02-29", row)), Some(19_782));
        for text in ["1969-12-31", "2106-01-01", "2024-02-30", "2024-2-29", "20240229", "2024-02-29T00:00:00Z"] {
            assert_eq!(written(|row| date(text, row)), None, "{text}");
        }
        assert_eq!(written(|row| date32("1900-01-01", row)), Some(-25_567));
        assert_eq!(written(|row| date32("2299-12-31", row)), Some(120_529));
        assert_eq!((written(|row| date32("1899-12-31", row)), written(|row| date32("2300-01-01", row))), (None, None));
    }
}
