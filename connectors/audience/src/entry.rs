//! One record as a wish of one member. Owns how a record is read; texts and codes never hold an address or a value.

use std::fmt;

use jiff::Timestamp;
use md5::{Digest as _, Md5};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use wharf_sdk::{Record, Rejection};

use crate::config::{Config, Tombstones};

/// The years 1 to 9999, seconds since 1970.
const YEARS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// What the member wants, or what becomes of a member that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Subscribe,
    Withdraw,
    Archive,
    Erase,
}

/// An address in lower case. Its Debug form is its hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

/// A record that can be delivered.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Of the record in its call.
    pub index: u32,
    /// The record's place in the log, `topic/partition/offset`.
    pub origin: String,
    pub address: Address,
    /// [`Address::hash`].
    pub member: String,
    pub wish: Wish,
    /// The event's time, microseconds since 1970.
    pub at: i64,
    pub fields: Fields,
}

/// The service's fields of a member. Their Debug form is their names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(pub Map<String, Value>);

impl Entry {
    /// The same as if it had been decided at this time.
    #[must_use]
    pub fn as_of(&self, at: i64) -> Self {
        Self { at, ..self.clone() }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address(sha256 {})", self.hash())
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl Address {
    /// `None` where a text is no address: one `@` with something on both sides, no space, no control character and none that is not
    /// seen, which would make another member of what looks and is delivered like one. Nor with what
    /// separates addresses or encloses them (RFC 5322, 3.2.3): services read another address out of `x<ada@example.com>`, and that
    /// one's consent would not be looked at.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@')?;
        let is_one = !local.is_empty() && !domain.is_empty() && !local.contains('@');
        let is_strange = |c: char| c.is_whitespace() || c.is_control() || is_invisible(c) || "<>()[],;:\\\"".contains(c);
        let is_clean = !text.contains(is_strange);
        (is_one && is_clean).then(|| Self(text.to_lowercase()))
    }

    /// The address itself: for requests alone.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// SHA-256 in hex: the member's name where consent is kept.
    #[must_use]
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }

    /// MD5 in hex: the member's name at Mailchimp.
    #[must_use]
    pub fn md5(&self) -> String {
        hex(&Md5::digest(self.0.as_bytes()))
    }
}

/// Characters that only say how others are shown (Unicode's category Cf, and what selects variants).
const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a record.
///
/// # Errors
/// The rejection: `value.json`, `audience.object`, `audience.email`, `audience.consent`, `audience.time`, `audience.tombstone`.
pub fn entry(config: &Config, record: &Record<'_>) -> Result<Entry, Rejection> {
    let own_time = record.timestamp.and_then(|millis| millis.checked_mul(1000));
    let Some(_) = record.value else { return tombstone(config, record, own_time) };
    let value: Value = record.json()?;
    let Value::Object(value) = value else {
        return Err(Rejection::new("audience.object", "the value is no JSON object"));
    };
    let field = |name: &str| value.get(name).filter(|value| !value.is_null());
    let at_field = |name: &str| format!("/{}", name.replace('~', "~0").replace('/', "~1"));
    let address = field(&config.email).and_then(Value::as_str).and_then(Address::read).ok_or_else(|| {
        Rejection::new("audience.email", format!("`{}` is no address", config.email)).at(at_field(&config.email))
    })?;
    let consent = &config.consent;
    let told = match field(&consent.field) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Bool(yes)) => Some(yes.to_string()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let wish = match told {
        Some(told) if consent.withdraw.contains(&told) => Wish::Withdraw,
        Some(told) if consent.subscribe.contains(&told) => Wish::Subscribe,
        _ => {
            let why = format!("`{}` is none of the values of `config.consent`", consent.field);
            return Err(Rejection::new("audience.consent", why).at(at_field(&consent.field)));
        }
    };
    let at = match &config.time {
        Some(name) => field(name).and_then(Value::as_str).and_then(instant).ok_or_else(|| {
            let why = format!("`{name}` is no time such as 2024-05-01T10:00:00Z");
            Rejection::new("audience.time", why).at(at_field(name))
        })?,
        None => own_time.ok_or_else(no_time)?,
    };
    let at = in_years(at)?;
    let fields = config.fields.iter().filter_map(|(theirs, ours)| Some((theirs.clone(), field(ours)?.clone())));
    let fields = Fields(fields.collect());
    let origin = record.idempotency_key().to_string();
    Ok(Entry { index: record.index, origin, member: address.hash(), address, wish, at, fields })
}

fn no_time() -> Rejection {
    Rejection::new("audience.time", "the record has no time: name the field of the event's time in `config.time`")
}

/// A time that every service and the table can hold: of the years 1 to 9999.
fn in_years(at: i64) -> Result<i64, Rejection> {
    let why = || Rejection::new("audience.time", "the event's time is not within the years 1 to 9999");
    YEARS.contains(&at.div_euclid(1_000_000)).then_some(at).ok_or_else(why)
}

/// A null value: the key has to be the address, or an object that holds it.
fn tombstone(config: &Config, record: &Record<'_>, own_time: Option<i64>) -> Result<Entry, Rejection> {
    let reject = |why: String| Rejection::new("audience.tombstone", why);
    let wish = match config.tombstones {
        Tombstones::Reject => {
            return Err(reject("a null value says nothing of consent; `config.tombstones` can archive or erase".to_owned()));
        }
        Tombstones::Archive => Wish::Archive,
        Tombstones::Erase => Wish::Erase,
    };
    let key = record.key.unwrap_or_default();
    let text = match serde_json::from_slice::<Value>(key) {
        Ok(Value::String(text)) => Some(text),
        Ok(Value::Object(key)) => key.get(&config.email).and_then(Value::as_str).map(ToOwned::to_owned),
        Ok(_) => None,
        Err(_) => std::str::from_utf8(key).ok().map(ToOwned::to_owned),
    };
    let address = text.as_deref().and_then(Address::read);
    let address =
        address.ok_or_else(|| reject(format!("the key holds no address: expected it, or an object with `{}`", config.email)))?;
    let at = in_years(own_time.ok_or_else(no_time)?)?;
    let origin = record.idempotency_key().to_string();
    Ok(Entry { index: record.index, origin, member: address.hash(), address, wish, at, fields: Fields::default() })
}

/// RFC 3339, in microseconds since 1970.
fn instant(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_one_whatever_their_case_and_never_shown() {
        let address = Address::read("  Urist.McVankab@Freddiesjokes.com ").unwrap();
        assert_eq!(address, Address::read("urist.mcvankab@freddiesjokes.com").unwrap());
        // The example of Mailchimp's documentation of the subscriber hash.
        assert_eq!(address.md5(), "62eeb292278cc15f5817cb78f7790b08");
        assert!(!format!("{address:?}").contains("freddies"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in
            ["x<ada@example.com>", "a,ada@example.com", "mailto:ada@example.com", "\"ada\"@example.com", "ada(x)@example.com"]
        {
            assert_eq!(Address::read(text), None, "{text}: services read another address out of it");
        }
        for invisible in ['\u{200b}', '\u{feff}', '\u{ad}', '\u{2060}', '\u{202e}'] {
            assert_eq!(Address::read(&format!("a{invisible}da@example.com")), None, "{invisible:?} is not seen");
        }
        assert!(Address::read("jörg@example.com").is_some());
        for text in ["", "ada", "@example.com", "ada@", "a b@example.com", "a@b@example.com", "ada@exa\nmple.com"] {
            assert_eq!(Address::read(text), None, "{text}");
        }
    }
}
