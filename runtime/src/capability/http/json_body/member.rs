//! One step into a JSON document: the value of an object's member, or of an array's element, as it is written. Keeps nothing of what it
//! passes over, so that an array of millions takes no memory.

use std::fmt;

use serde::de::{DeserializeSeed as _, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// What there is by a name.
#[derive(Debug)]
pub(super) enum Found<'b> {
    None,
    One(&'b RawValue),
    /// The name is there twice, or once more in another case, as some readers do not mind (Go's, for one).
    Doubtful,
}

/// `token`: the name, or the index in digits without a zero before them (RFC 6901, 4).
pub(super) fn member<'b>(value: &'b RawValue, token: &str) -> Found<'b> {
    let mut reader = serde_json::Deserializer::from_str(value.get());
    // An error: it is neither an object nor an array, or has a name that is no text.
    Step(token).deserialize(&mut reader).unwrap_or(Found::None)
}

struct Step<'t>(&'t str);

impl<'b> serde::de::DeserializeSeed<'b> for Step<'_> {
    type Value = Found<'b>;

    fn deserialize<D: Deserializer<'b>>(self, deserializer: D) -> Result<Found<'b>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'b> Visitor<'b> for Step<'_> {
    type Value = Found<'b>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<Found<'b>, A::Error> {
        let (mut found, wanted) = (Found::None, folded(self.0));
        while let Some(name) = map.next_key::<String>()? {
            if folded(&name) != wanted {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = map.next_value()?;
            found = if name == self.0 && matches!(found, Found::None) { Found::One(value) } else { Found::Doubtful };
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut seq: A) -> Result<Found<'b>, A::Error> {
        let index = self.0.parse::<usize>().ok().filter(|index| index.to_string() == self.0);
        let (mut found, mut at) = (Found::None, 0);
        loop {
            if index == Some(at) {
                let Some(value) = seq.next_element()? else { return Ok(found) };
                found = Found::One(value);
            } else if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(found);
            }
            at += 1;
        }
    }
}

/// The same for names that differ in case alone.
fn folded(name: &str) -> String {
    name.to_uppercase().to_lowercase()
}
