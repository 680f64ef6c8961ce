//! A value's fields, one by one, as they stand in the record: nothing is built of them and no digit is lost.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use wharf_sdk::Rejection;
use wharf_sdk::json::scan;

/// Deepest nesting that is taken: what databases and readers of the table can take too.
const DEEPEST: usize = 128;

/// A field as it stands in the record.
#[derive(Debug, Clone)]
pub struct Field<'a> {
    pub name: Cow<'a, str>,
    pub json: Json<'a>,
}

/// One valid JSON value without space around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<'a> {
    pub text: &'a str,
    /// False: a string without escapes, or no string at all.
    pub escaped: bool,
}

impl<'a> From<&'a str> for Json<'a> {
    fn from(text: &'a str) -> Self {
        Self { text, escaped: text.contains('\\') }
    }
}

/// Reads the fields of a JSON object into `into`, whose room is used again from record to record.
///
/// # Errors
/// [`Rejection`] for what is no JSON, no object, or nested too deeply.
pub fn read<'a>(json: &'a [u8], into: &mut Vec<Field<'a>>) -> Result<(), Rejection> {
    into.clear();
    let plain = |field: scan::Field<'a>| {
        into.push(Field { name: Cow::Borrowed(field.name), json: Json { text: field.json, escaped: field.escaped } });
    };
    if scan::fields(json, plain).is_some() {
        return Ok(());
    }
    into.clear();
    let no_json = |e: &dyn fmt::Display| Rejection::new("value.json", format!("the value is no JSON: {e}"));
    if depth(json) > DEEPEST {
        return Err(Rejection::new("value.depth", format!("the value is nested deeper than {DEEPEST} levels")));
    }
    let mut reader = serde_json::Deserializer::from_slice(json);
    match Collect(into).deserialize(&mut reader).and_then(|()| reader.end()) {
        Ok(()) => Ok(()),
        Err(e) if e.is_data() => {
            Err(Rejection::new("value.object", "the value is JSON, but no object: a row is made of an object's fields"))
        }
        Err(e) => Err(no_json(&e)),
    }
}

/// How deep brackets are nested; texts are passed over.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut text, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            b'{' | b'[' if !text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

struct Collect<'v, 'a>(&'v mut Vec<Field<'a>>);

impl<'a> DeserializeSeed<'a> for Collect<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Collect<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            let value: &RawValue = map.next_value()?;
            self.0.push(Field { name, json: value.get().into() });
        }
        Ok(())
    }
}

/// A name that borrows where it has no escapes (serde's own `Cow` always copies).
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, name: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Borrowed(name)))
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Owned(name.to_owned())))
    }

    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Name<'de>, E> {
        Err(E::custom("a name is text"))
    }
}
