//! Times and dates from text (RFC 3339), exact to the microsecond.

const MICROS: i64 = 1_000_000;

/// Microseconds since 1970-01-01T00:00:00Z of an RFC 3339 time; what is finer than a microsecond is cut off.
pub fn timestamp(text: &str) -> Option<i64> {
    plain(text.as_bytes()).or_else(|| any(text))
}

/// The form that most are written in, `YYYY-MM-DDTHH:MM:SS[.ffffff]Z`; `None` for all others.
fn plain(text: &[u8]) -> Option<i64> {
    let (head, tail) = text.split_first_chunk::<19>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2] = head else { return None };
    let number = |digits: &[&u8]| {
        let digit = |number: i64, byte: &&u8| byte.is_ascii_digit().then(|| number * 10 + i64::from(**byte - b'0'));
        digits.iter().try_fold(0, digit)
    };
    let fraction = match tail {
        [b'Z'] => 0,
        [b'.', a, b, c, d, e, f, b'Z'] => number(&[a, b, c, d, e, f])?,
        [b'.', a, b, c, b'Z'] => number(&[a, b, c])? * 1_000,
        _ => return None,
    };
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[n1, n2])?, number(&[s1, s2])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days(number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?)?;
    Some((days * 86_400 + hour * 3_600 + minute * 60 + second) * MICROS + fraction)
}

fn any(text: &str) -> Option<i64> {
    let (day, time) = text.split_at_checked(10)?;
    let time = time.strip_prefix(['T', 't', ' '])?;
    let (clock, zone) = time.split_at_checked(time.find(['Z', 'z', '+', '-'])?)?;
    let (clock, fraction) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, micros(fraction)?),
        None => (clock, 0),
    };
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = date(day)? * 86_400 + hour * 3_600 + minute * 60 + second - offset(zone)?;
    Some(seconds * MICROS + fraction)
}

/// Days since 1970-01-01 of a date `YYYY-MM-DD`.
pub fn date(text: &str) -> Option<i64> {
    let [year, month, day] = numbers(text, '-', [4, 2, 2])?;
    days(year, month, day)
}

/// Days since 1970-01-01; `None`: there is no such day.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if day < 1 || day > last {
        return None;
    }
    // Years begin in March, so that the leap day is the last of its year (Howard Hinnant, "chrono-compatible date algorithms").
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

/// Seconds east of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let [hours, minutes] = numbers(zone.get(1..)?, ':', [2, 2])?;
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

fn micros(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
    Some(digits.fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

/// Numbers of exactly so many digits with one sign between them, and nothing else.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(between);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_with_offset_is_the_same_instant_in_utc() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t00:00:00.000001z", 1),
            ("2024-02-29T23:59:59.1234567Z", 1_709_251_199_123_456),
            ("2024-02-29T22:59:59.5-01:00", 1_709_251_199_500_000),
            ("1969-12-31T23:59:59.75+00:00", -250_000),
            ("2000-03-01 05:30:00+05:30", 951_868_800_000_000),
            ("2024-02-29T23:59:59Z", 1_709_251_199_000_000),
            ("2024-02-29T23:59:59.007Z", 1_709_251_199_007_000),
            ("2024-02-29T23:59:59.000007Z", 1_709_251_199_000_007),
        ] {
            assert_eq!(timestamp(text), Some(expected), "{text}");
            assert_eq!(any(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_not_guessed() {
        for text in [
            "",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-02-30T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-02-30T00:00:00.000Z",
            "2024-01-01T00:60:00.000000Z",
            "2024-01-01T00:00:0xZ",
            "2024-01-01T00:00:00.00000xZ",
            "2024-01-01T00:00:00.Z",
            "2024-1-1T00:00:00Z",
            "2024-01-01T00:00:00+0100",
            "2024-01-01T00:00:00Z ",
            "yesterday äöü",
        ] {
            assert_eq!(timestamp(text), None, "{text}");
            assert_eq!(any(text), None, "{text}");
        }
        assert_eq!(date("1900-03-01"), Some(-25_508));
        assert_eq!((date("2024-02-29"), date("2100-02-29"), date("0000-01-01")), (Some(19_782), None, Some(-719_528)));
    }
}
