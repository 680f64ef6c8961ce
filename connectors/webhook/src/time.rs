//! The time of an event, as senders write it. Owns the forms that are understood.

use jiff::Timestamp;

/// Numbers below are seconds (Stripe), from here on milliseconds: as milliseconds this is 1973, as seconds the year 5138.
const FIRST_MILLISECONDS: i64 = 100_000_000_000;

/// Milliseconds since 1970-01-01T00:00:00Z of a JSON value, an RFC 3339 text or a number; `None` for anything else.
pub fn milliseconds(json: &str) -> Option<i64> {
    if json.starts_with('"') {
        let text: String = serde_json::from_str(json).ok()?;
        return text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond).filter(|time| *time >= 0);
    }
    let whole = json.split_once('.').map_or(json, |(whole, _)| whole);
    let number: i64 = whole.parse().ok().filter(|number| *number >= 0)?;
    if number < FIRST_MILLISECONDS { number.checked_mul(1_000) } else { Some(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(json: &str) -> Option<i64> {
        milliseconds(json)
    }

    #[test]
    fn rfc_3339_seconds_and_milliseconds_are_the_same_moment() {
        for json in [r#""2024-03-10T06:05:00Z""#, r#""2024-03-10T02:05:00-04:00""#, "1710050700", "1710050700000", "1710050700.5"]
        {
            assert_eq!(time(json), Some(1_710_050_700_000), "{json}");
        }
    }

    #[test]
    fn anything_else_is_no_time() {
        for json in [r#""yesterday""#, r#""2024-03-10""#, "null", "-5", "1e12", "{}", "true"] {
            assert_eq!(time(json), None, "{json}");
        }
    }
}
