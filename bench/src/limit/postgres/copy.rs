//! PostgreSQL's binary COPY, as far as the table needs it: head, tail, and a field of each type.

use std::fmt::{Display, Formatter};

/// Magic, flags, and the length of an extension that is not there.
pub const HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
pub const TAIL: &[u8] = &[0xff, 0xff];

/// Days from 1970-01-01, where Unix starts, to 2000-01-01, where PostgreSQL does.
const POSTGRES_EPOCH: i64 = 10_957;

/// A value that its type cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrong(&'static str);

impl Display for Wrong {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Wrong {}

pub fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1i32).to_be_bytes());
}

pub fn bigint(out: &mut Vec<u8>, value: Option<i64>) {
    let Some(value) = value else { return null(out) };
    out.extend_from_slice(&8i32.to_be_bytes());
    out.extend_from_slice(&value.to_be_bytes());
}

pub fn integer(out: &mut Vec<u8>, value: Option<i32>) {
    let Some(value) = value else { return null(out) };
    out.extend_from_slice(&4i32.to_be_bytes());
    out.extend_from_slice(&value.to_be_bytes());
}

/// # Errors
/// When it is longer than PostgreSQL can take.
pub fn text(out: &mut Vec<u8>, value: &str) -> Result<(), Wrong> {
    let length = i32::try_from(value.len()).map_err(|_| Wrong("text of more than 2 GiB"))?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value.as_bytes());
    Ok(())
}

/// A decimal as `-1234.50`: no exponent, no sign `+`, at least one digit before a point.
///
/// # Errors
/// When it is none.
pub fn numeric(out: &mut Vec<u8>, decimal: &str) -> Result<(), Wrong> {
    const WRONG: Wrong = Wrong("not a decimal");
    let (negative, digits) = decimal.strip_prefix('-').map_or((false, decimal), |rest| (true, rest));
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return Err(WRONG),
        Some(parts) => parts,
        None => (digits, ""),
    };
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return Err(WRONG);
    }
    if whole.len() > 100_000 || fraction.len() > 16_383 {
        return Err(Wrong("a decimal with more digits than PostgreSQL has"));
    }
    let whole = whole.trim_start_matches('0').as_bytes();
    // Groups of four digits, counted from the point to both sides.
    let (short, full) = whole.split_at(whole.len() % 4);
    let first = (!short.is_empty()).then_some(short);
    let groups = first.into_iter().chain(full.chunks(4)).map(|part| group(part, part.len()));
    let groups = groups.chain(fraction.as_bytes().chunks(4).map(|part| group(part, 4)));
    let start = out.len();
    out.extend_from_slice(&[0; 12]);
    let (mut seen, mut leading, mut kept) = (0usize, 0usize, 0usize);
    for value in groups {
        if seen == leading && value == 0 {
            leading += 1;
        } else {
            out.extend_from_slice(&value.to_be_bytes());
            if value != 0 {
                kept = seen + 1 - leading;
            }
        }
        seen += 1;
    }
    out.truncate(start + 12 + 2 * kept);
    let number = |n: usize| i16::try_from(n).map_err(|_| WRONG);
    let weight = if kept == 0 { 0 } else { number(whole.len().div_ceil(4))? - 1 - number(leading)? };
    let sign: u16 = if negative && kept > 0 { 0x4000 } else { 0 };
    let length = i32::try_from(8 + 2 * kept).map_err(|_| WRONG)?;
    let mut head = [0; 12];
    let fields = length.to_be_bytes().into_iter().chain(number(kept)?.to_be_bytes()).chain(weight.to_be_bytes());
    let fields = fields.chain(sign.to_be_bytes()).chain(number(fraction.len())?.to_be_bytes());
    head.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    if let Some(to) = out.get_mut(start..start + 12) {
        to.copy_from_slice(&head);
    }
    Ok(())
}

/// Digits as a number, padded on the right to `width`.
fn group(digits: &[u8], width: usize) -> i16 {
    let padding = std::iter::repeat_n(&b'0', width - digits.len());
    digits.iter().chain(padding).fold(0, |sum, digit| sum * 10 + i16::from(digit - b'0'))
}

/// # Errors
/// As [`micros`].
pub fn timestamptz(out: &mut Vec<u8>, text: &str) -> Result<(), Wrong> {
    bigint(out, Some(micros(text)?));
    Ok(())
}

/// Microseconds since 2000-01-01 of a timestamp as RFC 3339 writes it.
///
/// # Errors
/// When it is none, or more exact than a microsecond.
pub fn micros(text: &str) -> Result<i64, Wrong> {
    const WRONG: Wrong = Wrong("not a timestamp as of RFC 3339");
    let (date, rest) = text.as_bytes().split_first_chunk::<19>().ok_or(WRONG)?;
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b't' | b' ', h1, h2, b':', n1, n2, b':', s1, s2] = date else {
        return Err(WRONG);
    };
    let year = number(&[y1, y2, y3, y4])?;
    let (month, day) = (number(&[m1, m2])?, number(&[d1, d2])?);
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[n1, n2])?, number(&[s1, s2])?);
    let (fraction, zone) = match rest.split_first() {
        Some((b'.', rest)) => rest.split_at(rest.iter().take_while(|b| b.is_ascii_digit()).count()),
        _ => (&b"0"[..], rest),
    };
    if fraction.len() > 6 {
        return Err(Wrong("a timestamp more exact than a microsecond"));
    }
    let power = 10i64.pow(6 - u32::try_from(fraction.len()).map_err(|_| WRONG)?);
    let east = match *zone {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[h1, h2])?, number(&[m1, m2])?);
            if hours > 15 || minutes > 59 {
                return Err(WRONG);
            }
            (hours * 60 + minutes) * if sign == b'-' { -1 } else { 1 }
        }
        _ => return Err(WRONG),
    };
    if year == 0 || day == 0 || day > days_of(year, month) || hour > 23 || minute > 59 || second > 60 || fraction.is_empty() {
        return Err(WRONG);
    }
    let minutes = (days(year, month, day) - POSTGRES_EPOCH) * 1440 + hour * 60 + minute - east;
    Ok((minutes * 60 + second) * 1_000_000 + number(fraction)? * power)
}

fn number(digits: &[u8]) -> Result<i64, Wrong> {
    digits.iter().try_fold(0, |sum, digit| match digit {
        b'0'..=b'9' => Ok(sum * 10 + i64::from(digit - b'0')),
        _ => Err(Wrong("not a timestamp as of RFC 3339")),
    })
}

const fn days_of(year: i64, month: i64) -> i64 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 0,
    }
}

/// Days since 1970-01-01. The year is counted from March, so that a leap day is its last.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468
}
