//! The cursor of a record: a time, a number or a text, as it came and as far as it can be compared. Owns the order of cursors, and
//! what is asked for when the overlap is taken off.

use std::cmp::Ordering;
use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use wharf_http_rules::decimal;

/// What cursors are compared as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Time,
    Number,
    Text,
}

/// What is read again before the highest cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    Time(Duration),
    /// In the unit of a number cursor.
    Number(u64),
}

/// A cursor that is not null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Its JSON text, as it came.
    pub json: String,
    value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Time(Timestamp, Zone),
    /// The digits.
    Number(String),
    Text(String),
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zone {
    /// With `Z` or an offset.
    Written,
    /// Without one, which counts as UTC.
    Left,
    /// A date alone.
    Date,
}

impl Cursor {
    /// Reads the JSON text of a field as `kind`, or as what it looks like: a number where it is one or has digits alone, a time
    /// where it can be read as one, else text. `None` for what is no cursor of that kind.
    #[must_use]
    pub fn read(json: &str, kind: Option<Kind>) -> Option<Self> {
        let text: String = match json.as_bytes().first()? {
            b'"' => serde_json::from_str(json).ok()?,
            b'-' | b'0'..=b'9' => json.to_owned(),
            _ => return None,
        };
        let number = || is_number(&text).then(|| Value::Number(text.clone()));
        let time = || time(&text).map(|(at, zone)| Value::Time(at, zone));
        let value = match kind {
            Some(Kind::Time) => time()?,
            Some(Kind::Number) => number()?,
            Some(Kind::Text) => Value::Text(text),
            None if !json.starts_with('"') => number()?,
            None if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => Value::Number(text),
            None => time().unwrap_or(Value::Text(text)),
        };
        Some(Self { json: json.to_owned(), value })
    }

    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.value {
            Value::Time(..) => Kind::Time,
            Value::Number(_) => Kind::Number,
            Value::Text(_) => Kind::Text,
        }
    }

    /// The order of two cursors of one kind.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        match (&self.value, &other.value) {
            (Value::Time(a, _), Value::Time(b, _)) => a.cmp(b),
            (Value::Number(a), Value::Number(b)) => decimal::order(a, b),
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            // Not of one kind: no record has both.
            _ => Ordering::Equal,
        }
    }

    /// Milliseconds since 1970, for a time that is not before: Kafka has none for those.
    #[must_use]
    pub fn milliseconds(&self) -> Option<i64> {
        match &self.value {
            Value::Time(at, _) => Some(at.as_millisecond()).filter(|at| *at >= 0),
            _ => None,
        }
    }

    /// A number that grows with the cursor, in steps of which an overlap has a whole number: microseconds, or the
    /// whole part of the number. Texts have none.
    #[must_use]
    pub fn age(&self) -> Option<i64> {
        match &self.value {
            Value::Time(at, _) => Some(at.as_microsecond()),
            Value::Number(digits) => Some(whole(digits)),
            Value::Text(_) => None,
        }
    }

    /// This cursor, or that moment where it is later; `None` where it cannot be compared with a clock: it is no time, or one
    /// without a zone.
    #[must_use]
    pub fn no_later_than(&self, moment: Timestamp) -> Option<Self> {
        match &self.value {
            Value::Time(at, Zone::Written) if *at <= moment => Some(self.clone()),
            Value::Time(_, Zone::Written) => {
                let json = wharf_sdk::json::json_string(&write(moment, Zone::Written));
                Some(Self { json, value: Value::Time(moment, Zone::Written) })
            }
            _ => None,
        }
    }

    /// Whether two of it that one record had say which is the later one: numbers, and times with their zone, that do not lie ahead of
    /// `now`. Where the clock of a place is put back, its times go back as well.
    #[must_use]
    pub fn tells_later(&self, now: Timestamp) -> bool {
        match &self.value {
            Value::Time(at, Zone::Written) => *at <= now,
            Value::Number(_) => true,
            _ => false,
        }
    }

    /// Whether it is a time of day without its zone.
    #[must_use]
    pub const fn lacks_zone(&self) -> bool {
        matches!(&self.value, Value::Time(_, Zone::Left))
    }

    /// Whether it is a time with its zone, of that moment or later.
    #[must_use]
    pub fn reaches(&self, moment: Timestamp) -> bool {
        matches!(&self.value, Value::Time(at, Zone::Written) if *at >= moment)
    }

    /// Whether it is a time, of any zone where it has none, behind that moment.
    #[must_use]
    pub fn is_after(&self, moment: Timestamp) -> bool {
        matches!(&self.value, Value::Time(at, _) if *at > moment)
    }

    /// A cursor behind this one with as little between them as an API may tell apart; `None` for texts.
    #[must_use]
    pub fn above(&self) -> Option<Self> {
        let (value, text) = match &self.value {
            Value::Time(at, zone) => {
                let step = match zone {
                    Zone::Date => SignedDuration::from_hours(24),
                    _ if at.subsec_nanosecond() == 0 => SignedDuration::from_secs(1),
                    _ => SignedDuration::from_micros(1),
                };
                let at = at.checked_add(step).ok()?;
                (Value::Time(at, *zone), write(at, *zone))
            }
            Value::Number(digits) => {
                let whole = digits.split(['.', 'e', 'E']).next().filter(|_| !digits.contains(['e', 'E']))?;
                let digits = whole.parse::<i128>().ok()?.checked_add(1)?.to_string();
                (Value::Number(digits.clone()), digits)
            }
            Value::Text(_) => return None,
        };
        Some(Self { json: self.like_this(text), value })
    }

    /// In quotes where this one has them.
    fn like_this(&self, text: String) -> String {
        if self.json.starts_with('"') { wharf_sdk::json::json_string(&text) } else { text }
    }

    /// The cursor that lies before this one by the overlap; itself where it has none.
    #[must_use]
    pub fn before(&self, overlap: Option<Overlap>) -> Self {
        let earlier = match (&self.value, overlap) {
            (Value::Time(at, zone), Some(Overlap::Time(by))) if !by.is_zero() => {
                let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
                let at = at.checked_sub(by).unwrap_or(Timestamp::MIN);
                // A date counts as its first moment, as one that is read does.
                let text = write(at, *zone);
                let at = if *zone == Zone::Date { time(&text).map_or(at, |(at, _)| at) } else { at };
                Some((Value::Time(at, *zone), text))
            }
            (Value::Number(digits), Some(Overlap::Number(by))) if by > 0 => {
                let whole = if digits.contains(['e', 'E']) {
                    format!("{:.0}", digits.parse::<f64>().unwrap_or_default().floor())
                } else {
                    digits.split('.').next().unwrap_or_default().to_owned()
                };
                let earlier = whole.parse::<i128>().ok().map(|number| number.saturating_sub(i128::from(by)).to_string());
                earlier.map(|digits| (Value::Number(digits.clone()), digits))
            }
            _ => None,
        };
        let Some((value, text)) = earlier else { return self.clone() };
        Self { json: self.like_this(text), value }
    }
}

/// From here on ages are coarse.
const COARSE: i64 = 1 << 62;

/// The largest whole number that is not above it. From 2^62 on, where the times of some have 20 digits, it is the bits of the
/// nearest float, which lie above that and grow with the number, though more slowly.
fn whole(digits: &str) -> i64 {
    let near = |number: &i64| (-COARSE..COARSE).contains(number);
    if let Some(number) = digits.parse().ok().filter(near) {
        return number;
    }
    let floor = digits.parse::<f64>().unwrap_or_default().floor();
    let coarse = || if floor < 0.0 { -(-floor).to_bits().cast_signed() } else { floor.to_bits().cast_signed() };
    format!("{floor:.0}").parse().ok().filter(near).unwrap_or_else(coarse)
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(f64::is_finite) && text.bytes().any(|b| b.is_ascii_digit())
}

/// RFC 3339, and ISO 8601 without a zone or without a time of day. Digits behind the ninth of a second are cut off.
fn time(text: &str) -> Option<(Timestamp, Zone)> {
    let text = &shortened(text);
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some((at, Zone::Written));
    }
    // `9999-12-31T23:59:59Z`, by which some mean "for ever", lies behind the last moment that can be counted.
    if text.starts_with("9999-12-3") && text.len() > 10 && text.ends_with(['Z', 'z']) {
        let civil = text.get(..text.len() - 1)?.parse::<DateTime>();
        return civil.is_ok().then_some((Timestamp::MAX, Zone::Written));
    }
    let (civil, zone) = match text.parse::<Date>() {
        Ok(date) if text.len() <= 10 => (date.at(0, 0, 0, 0), Zone::Date),
        _ => (text.parse::<DateTime>().ok()?, Zone::Left),
    };
    let at = TimeZone::UTC.to_timestamp(civil).ok();
    Some((at.unwrap_or(if civil.year() > 0 { Timestamp::MAX } else { Timestamp::MIN }), zone))
}

fn shortened(text: &str) -> String {
    let Some((head, tail)) = text.split_once('.') else { return text.to_owned() };
    let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
    let (digits, zone) = tail.split_at_checked(end).unwrap_or((tail, ""));
    format!("{head}.{}{zone}", digits.get(..9).unwrap_or(digits))
}

/// In the way in which the cursor is written, in UTC.
fn write(at: Timestamp, zone: Zone) -> String {
    let text = at.to_string();
    match zone {
        Zone::Written => text,
        Zone::Left => text.trim_end_matches('Z').to_owned(),
        Zone::Date => text.split('T').next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Cursor {
        Cursor::read(json, None).unwrap()
    }

    #[test]
    fn cursors_compare_by_what_they_mean() {
        for (a, b, expected) in [
            ("\"2024-05-01T12:00:00+02:00\"", "\"2024-05-01T10:00:00Z\"", Ordering::Equal),
            ("\"2024-05-01T10:00:00.1Z\"", "\"2024-05-01T10:00:00.09Z\"", Ordering::Greater),
            ("\"2024-05-01 10:00:00\"", "\"2024-05-01T10:00:01\"", Ordering::Less),
            ("9", "10", Ordering::Less),
            ("\"9\"", "\"10\"", Ordering::Less),
            ("9007199254740993", "9007199254740992", Ordering::Greater),
            ("1.5", "2", Ordering::Less),
            ("1714557600.1234567892", "1714557600.1234567891", Ordering::Greater),
            ("\"b\"", "\"a10\"", Ordering::Greater),
        ] {
            assert_eq!(read(a).order(&read(b)), expected, "{a} {b}");
        }
    }

    #[test]
    fn a_cursor_is_of_the_kind_that_was_asked_for() {
        assert_eq!(Cursor::read("\"20240501\"", Some(Kind::Text)).unwrap().kind(), Kind::Text);
        assert_eq!(
            (read("\"20240501\"").kind(), read("\"a\"").kind(), read("\"2024-05-01\"").kind()),
            (Kind::Number, Kind::Text, Kind::Time)
        );
        for (json, kind) in [("\"soon\"", Kind::Time), ("7", Kind::Time), ("\"x\"", Kind::Number), ("\"NaN\"", Kind::Number)] {
            assert_eq!(Cursor::read(json, Some(kind)), None, "{json}");
        }
        for json in ["null", "true", "{}", "[1]"] {
            assert_eq!(Cursor::read(json, None), None, "{json}");
        }
    }

    #[test]
    fn an_age_is_whole_and_grows_with_the_number_as_far_as_numbers_go() {
        for (json, age) in [("7", 7), ("7.9", 7), ("-7.5", -8), ("1e3", 1000), ("4611686018427387903", COARSE - 1)] {
            assert_eq!(read(json).age(), Some(age), "{json}");
        }
        let growing = [
            "-1e300",
            "-20240501100000123456",
            "-4611686018427387904",
            "-7",
            "7",
            "4611686018427387903",
            "4611686018427387904",
            "9223372036854775807",
            "20240501100000000000",
            "20240501100000123456",
            "1e300",
        ];
        let ages: Vec<_> = growing.iter().map(|json| read(json).age().unwrap()).collect();
        assert!(ages.is_sorted_by(|a, b| a < b), "{ages:?}");
        assert_eq!(read("\"1970-01-01T00:00:00.000001Z\"").age(), Some(1));
    }

    #[test]
    fn a_time_before_1970_is_no_time_of_a_record() {
        assert_eq!(read("\"1970-01-01T00:00:00.007Z\"").milliseconds(), Some(7));
        assert_eq!(read("\"0001-01-01T00:00:00Z\"").milliseconds(), None);
    }

    #[test]
    fn the_last_day_of_all_is_a_time_in_each_way_of_writing_it() {
        for json in ["\"9999-12-31T23:59:59Z\"", "\"9999-12-31T23:59:59.9999999Z\"", "\"9999-12-31T23:59:59\"", "\"9999-12-31\""]
        {
            assert_eq!((read(json).kind(), read(json).json), (Kind::Time, json.to_owned()));
            assert_eq!(read(json).order(&read("\"2024-05-01T10:00:00Z\"")), Ordering::Greater);
        }
    }

    #[test]
    fn a_time_with_its_zone_is_capped_by_a_moment_and_nothing_else_is() {
        let moment: Timestamp = "2024-05-01T10:00:00Z".parse().unwrap();
        let capped = |json: &str| read(json).no_later_than(moment).map(|cursor| cursor.json);
        assert_eq!(capped("\"2024-05-01T13:00:00+02:00\"").as_deref(), Some("\"2024-05-01T10:00:00Z\""));
        assert_eq!(capped("\"2024-05-01T11:00:00+02:00\"").as_deref(), Some("\"2024-05-01T11:00:00+02:00\""));
        for json in ["\"2024-05-01T13:00:00\"", "\"2024-05-02\"", "7", "\"a\""] {
            assert_eq!(capped(json), None, "{json}");
        }
    }

    #[test]
    fn a_cursor_behind_another_one_is_as_near_as_its_form_tells() {
        for (json, expected) in [
            ("7", Some("8")),
            ("7.5", Some("8")),
            ("\"7\"", Some("\"8\"")),
            ("\"2024-05-01\"", Some("\"2024-05-02\"")),
            ("\"2024-05-01T10:00:00\"", Some("\"2024-05-01T10:00:01\"")),
            ("\"2024-05-01T10:00:00.25Z\"", Some("\"2024-05-01T10:00:00.250001Z\"")),
            ("\"a\"", None),
        ] {
            let above = read(json).above();
            assert_eq!(above.as_ref().map(|above| above.json.as_str()), expected, "{json}");
            assert!(above.is_none_or(|above| above.order(&read(json)) == Ordering::Greater), "{json}");
        }
    }

    #[test]
    fn the_overlap_of_a_date_is_all_of_its_day() {
        let minute = Some(Overlap::Time(Duration::from_secs(60)));
        assert_eq!(read("\"2024-05-01\"").before(minute).order(&read("\"2024-04-30\"")), Ordering::Equal);
    }

    #[test]
    fn an_overlap_is_taken_off_in_the_way_in_which_the_cursor_is_written() {
        let minute = Some(Overlap::Time(Duration::from_secs(60)));
        for (json, overlap, expected) in [
            ("\"2024-05-01T10:00:00.250+02:00\"", minute, "\"2024-05-01T07:59:00.25Z\""),
            ("\"2024-05-01T10:00:00\"", minute, "\"2024-05-01T09:59:00\""),
            ("\"2024-05-01\"", minute, "\"2024-04-30\""),
            ("\"2024-05-01T10:00:00+02:00\"", None, "\"2024-05-01T10:00:00+02:00\""),
            ("1714557600", Some(Overlap::Number(60)), "1714557540"),
            ("\"1714557600\"", Some(Overlap::Number(60)), "\"1714557540\""),
            ("1.7145576e9", Some(Overlap::Number(60)), "1714557540"),
            ("1714557600", minute, "1714557600"),
            ("\"abc\"", Some(Overlap::Number(60)), "\"abc\""),
        ] {
            assert_eq!(read(json).before(overlap).json, expected, "{json}");
        }
    }
}
