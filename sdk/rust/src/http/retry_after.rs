//! `Retry-After`: how long a service wants to be left alone (RFC 9110, 10.2.3). Reads its value; to wait is the host's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest pause that is believed, in seconds: a day.
const LONGEST: u64 = 86_400;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Seconds, or an HTTP date, which may be over; `None`: neither.
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let seconds = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits alone fail only where they are too many.
        value.parse().unwrap_or(LONGEST)
    } else {
        let now = i64::try_from(now.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?;
        u64::try_from(date(value, now)? - now).unwrap_or(0)
    };
    Some(Duration::from_secs(seconds.min(LONGEST)))
}

/// Seconds since 1970 of a date in one of the three forms that have to be understood (RFC 9110, 5.6.7). Nobody compares the
/// weekday with the date.
fn date(text: &str, now: i64) -> Option<i64> {
    let parts: Vec<&str> = text.split([' ', ',', '-', ':']).filter(|part| !part.is_empty()).collect();
    // `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`; `Sun Nov  6 08:49:37 1994`. Libraries for mail write
    // the zone as `-0000`.
    let ([_, day, month, year, h, m, s, "GMT" | "UTC" | "0000" | "+0000"] | [_, month, day, h, m, s, year]) = *parts.as_slice()
    else {
        return None;
    };
    let month = MONTHS.iter().zip(1..).find_map(|(name, number)| (*name == month).then_some(number))?;
    let days = days(full_year(year, now)?, month, below(day, 32).filter(|day| *day > 0)?);
    // A leap second is second 60.
    Some(days * 86_400 + below(h, 24)? * 3600 + below(m, 60)? * 60 + below(s, 61)?)
}

fn below(digits: &str, limit: i64) -> Option<i64> {
    digits.parse().ok().filter(|number| (0..limit).contains(number))
}

/// Two digits stand for the year nearest to now that is at most 50 years ahead (RFC 9110, 5.6.7).
fn full_year(digits: &str, now: i64) -> Option<i64> {
    const AVERAGE: i64 = 31_556_952;
    let year = below(digits, 10_000)?;
    if digits.len() > 2 {
        return Some(year);
    }
    let earliest = 1970 + now / AVERAGE - 49;
    Some(earliest + (year - earliest).rem_euclid(100))
}

/// Days since 1970-01-01 in the Gregorian calendar. Years are counted from March, so that a leap day is the last of one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719,468 days lie between March 1st of year 0 and 1970.
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-05-01T10:00:00Z.
    const NOW: i64 = 1_714_557_600;

    fn pause(value: &str) -> Option<u64> {
        let now = UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs());
        retry_after(value, now).map(|pause| pause.as_secs())
    }

    #[test]
    fn a_pause_is_read_as_seconds_or_as_a_date() {
        assert_eq!(pause(" 7 "), Some(7));
        assert_eq!(pause("Wed, 01 May 2024 10:00:30 GMT"), Some(30));
        assert_eq!(pause("Wednesday, 01-May-24 10:00:30 GMT"), Some(30));
        assert_eq!(pause("Wed May  1 10:00:30 2024"), Some(30));
        assert_eq!(pause("Wed, 01 May 2024 10:00:30 -0000"), Some(30));
    }

    #[test]
    fn a_date_that_is_over_asks_for_no_pause() {
        assert_eq!(pause("Wed, 01 May 2024 09:00:00 GMT"), Some(0));
        assert_eq!(pause("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(pause("Sunday, 06-Nov-94 08:49:37 GMT"), Some(0));
    }

    #[test]
    fn a_pause_is_at_most_a_day() {
        assert_eq!(pause("9999999"), Some(LONGEST));
        assert_eq!(pause("99999999999999999999999"), Some(LONGEST));
        assert_eq!(pause("Sat, 01 Jun 2024 10:00:00 GMT"), Some(LONGEST));
    }

    #[test]
    fn what_is_neither_asks_for_nothing() {
        for value in [
            "",
            "soon",
            "-7",
            "1.5",
            "Wed, 01 May 2024 10:00:30 CET",
            "Wed, 01 Mai 2024 10:00:30 GMT",
            "Wed, 32 May 2024 10:00:30 GMT",
            "Wed, 01 May 2024 24:00:30 GMT",
            "2024-05-01T10:00:30Z",
        ] {
            assert_eq!(pause(value), None, "{value}");
        }
    }

    #[test]
    fn dates_are_those_of_the_gregorian_calendar() {
        for (text, expected) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Tue, 29 Feb 2000 12:00:00 GMT", 951_825_600),
            ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            ("Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_800),
            ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
        ] {
            assert_eq!(date(text, NOW), Some(expected), "{text}");
        }
    }

    #[test]
    fn two_digits_of_a_year_are_at_most_50_years_ahead() {
        for (year, expected) in [("74", 2074), ("75", 1975), ("94", 1994), ("24", 2024), ("00", 2000)] {
            assert_eq!(full_year(year, NOW), Some(expected), "{year}");
        }
    }
}
