//! Durations as an operator writes them in the `config` table: `500ms`, `30s`, `2m`, `1h`, `7d`. Owns how they are written;
//! what one is for, and its default, are the connector's.
//!
//! A text is a whole number in decimal digits and a unit, with or without white space between them: `ms`, `s`, `m` (minutes),
//! `h`, `d` (24 hours). No fraction, no sign, no sum (`1h30m`), no number without a unit. Wharf's own settings (`linger`,
//! `drain-timeout`) take the same texts, so that an operator learns one way to write them.
//!
//! ```
//! use std::time::Duration;
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     #[serde(default, deserialize_with = "wharf_sdk::duration::deserialize")]
//!     overlap: Duration,
//!     #[serde(deserialize_with = "wharf_sdk::duration::above_zero")]
//!     timeout: Duration,
//! }
//!
//! let config: Config = wharf_sdk::Context::new("orders", r#"{"timeout": "30s"}"#).config().unwrap();
//! assert_eq!((config.overlap, config.timeout), (Duration::ZERO, Duration::from_secs(30)));
//! ```

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, Unexpected, Visitor};

use crate::error::{Error, Result};

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SUCH_AS: &str = r#"such as "500ms", "30s", "2m", "1h" or "7d""#;

/// Reads a duration, also one of 0.
///
/// # Errors
/// [`Error::Fatal`] for any other text, and for one of 2^64 milliseconds or more. It shows the text and what was expected.
pub fn parse(text: &str) -> Result<Duration> {
    read(text).ok_or_else(|| Error::fatal(format!("`{text}` is no duration: expected one {SUCH_AS}")))
}

/// A field's duration, also one of 0: `#[serde(deserialize_with = "wharf_sdk::duration::deserialize")]`.
///
/// # Errors
/// Where the field holds anything else. [`Context::config`](crate::Context::config) adds the field's name.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_str(Text { zero: true })
}

/// A field's duration where 0 makes no sense: a timeout, an interval.
///
/// # Errors
/// As for [`deserialize`], and for 0.
pub fn above_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_str(Text { zero: false })
}

fn read(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at_checked(at)?;
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    digits.parse::<u64>().ok()?.checked_mul(*millis).map(Duration::from_millis)
}

/// A text that is a duration; `zero`: it may be 0.
struct Text {
    zero: bool,
}

impl Visitor<'_> for Text {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a duration {}{SUCH_AS}", if self.zero { "" } else { "above 0, " })
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Duration, E> {
        let found = read(text).filter(|duration| self.zero || !duration.is_zero());
        found.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::Context;

    #[derive(Debug, Deserialize)]
    struct Config {
        #[serde(default, deserialize_with = "deserialize")]
        overlap: Duration,
        #[serde(default, deserialize_with = "above_zero")]
        timeout: Duration,
    }

    fn config(json: &str) -> Result<Config> {
        Context::new("orders", json).config()
    }

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
            ("0s", 0),
            ("05 s", 5000),
            ("18446744073709551615ms", u64::MAX),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn any_other_text_is_an_error_that_shows_it() {
        for text in "|5|s| 5s|5s |-5s|+5s|1.5s|1h30m|5S|5sec|5us|٥s|18446744073709551616ms|18446744073709551615s".split('|') {
            let expected = format!(r#"`{text}` is no duration: expected one such as "500ms", "30s", "2m", "1h" or "7d""#);
            assert_eq!(parse(text), Err(Error::fatal(expected)));
        }
    }

    #[test]
    fn a_field_that_is_no_duration_is_named_with_what_was_expected() {
        let expected = r#"a duration such as "500ms", "30s", "2m", "1h" or "7d""#;
        assert_eq!(
            config(r#"{"overlap": "5"}"#).unwrap_err().message(),
            format!(r#"`config` `overlap` of `orders`: invalid value: string "5", expected {expected}"#)
        );
        assert_eq!(
            config(r#"{"overlap": 5}"#).unwrap_err().message(),
            format!("`config` `overlap` of `orders`: invalid type: integer `5`, expected {expected}")
        );
    }

    #[test]
    fn zero_is_refused_only_where_it_makes_no_sense() {
        assert_eq!(config(r#"{"overlap": "0s"}"#).unwrap().overlap, Duration::ZERO);
        assert_eq!(config(r#"{"timeout": "1ms"}"#).unwrap().timeout, Duration::from_millis(1));
        let text = config(r#"{"timeout": "0s"}"#).unwrap_err().message().to_owned();
        assert!(
            text.contains(r#"`timeout` of `orders`: invalid value: string "0s", expected a duration above 0, such as"#),
            "{text}"
        );
    }
}
