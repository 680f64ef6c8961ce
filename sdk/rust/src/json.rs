//! Single fields of a JSON object, without building the object, and the key that they make (`{"ID":1}`, fields in configured
//! order). Checks the whole text on the way; changes no byte of a value.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

pub mod scan;

/// The texts of these fields of the object `json`, in the order of `names`; of a name that occurs twice the last.
///
/// # Errors
/// Where `json` is anything but one JSON object.
pub fn pick<'a>(json: &'a str, names: &[String]) -> serde_json::Result<Vec<Option<&'a str>>> {
    if let Some(picked) = pick_text(json, names) {
        return Ok(picked);
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let picked = Object(names).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(picked)
}

/// The same for an object as [`scan::fields`] takes it, nested no deeper than that. `None` says nothing about the text.
#[must_use]
pub fn pick_text<'a>(json: &'a str, names: &[String]) -> Option<Vec<Option<&'a str>>> {
    let mut picked = vec![None; names.len()];
    scan::fields_of_text(json, |field| {
        if let Some(slot) = names.iter().position(|name| name == field.name).and_then(|at| picked.get_mut(at)) {
            *slot = Some(field.json);
        }
    })?;
    Some(picked)
}

/// Appends the key to `key`: a JSON object of these fields, in order.
///
/// # Errors
/// The first name that is absent or null.
pub fn key<'n>(names: &'n [String], values: &[Option<&str>], key: &mut Vec<u8>) -> Result<(), &'n str> {
    key.push(b'{');
    for (at, (name, value)) in names.iter().zip(values).enumerate() {
        let value = value.filter(|text| *text != "null").ok_or(name.as_str())?;
        if at > 0 {
            key.push(b',');
        }
        key.extend_from_slice(json_string(name).as_bytes());
        key.push(b':');
        key.extend_from_slice(canonical(value).as_bytes());
    }
    key.push(b'}');
    Ok(())
}

/// A text as a JSON string.
#[must_use]
pub fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// JSON pointer (RFC 6901) to a field of the outermost object.
#[must_use]
pub fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// One text has one form in a key, however its sender escaped it: keys are compared by their bytes.
fn canonical(json: &str) -> Cow<'_, str> {
    if json.starts_with('"') && json.contains('\\') {
        // An escape that stands for no character (a lone surrogate) leaves the text as it was sent.
        serde_json::from_str::<String>(json).map_or(Cow::Borrowed(json), |text| Cow::Owned(json_string(&text)))
    } else {
        Cow::Borrowed(json)
    }
}

/// Reads an object and keeps the texts of some of its fields.
struct Object<'n>(&'n [String]);

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = Vec<Option<&'de str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Vec<Option<&'de str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut picked = vec![None; self.0.len()];
        while let Some(found) = object.next_key_seed(Name(self.0))? {
            match found {
                Some(at) => {
                    let value: &RawValue = object.next_value()?;
                    *picked.get_mut(at).ok_or_else(|| A::Error::custom("no such field"))? = Some(value.get());
                }
                None => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(picked)
    }
}

/// Reads a field's name as its place among the wanted ones.
struct Name<'n>(&'n [String]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|wanted| wanted == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn key_of(json: &str, fields: &[&str]) -> String {
        let names = names(fields);
        let picked = pick(json, &names).unwrap();
        let mut bytes = Vec::new();
        let done = key(&names, &picked, &mut bytes).map_err(|missing| format!("missing {missing}"));
        done.map_or_else(|missing| missing, |()| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn key_has_the_configured_order_and_keeps_numbers_exact() {
        let json = r#"{"b":"x","n":{"a":1},"a": 12345678901234567890.10 }"#;
        assert_eq!(key_of(json, &["a", "b"]), r#"{"a":12345678901234567890.10,"b":"x"}"#);
    }

    #[test]
    fn one_text_has_one_key_however_it_is_escaped() {
        assert_eq!(key_of(r#"{"a":"\u00e9\/"}"#, &["a"]), key_of(r#"{"a":"é/"}"#, &["a"]));
    }

    #[test]
    fn key_without_a_value_names_the_field() {
        assert_eq!(key_of(r#"{"a":1}"#, &["a", "b"]), "missing b");
        assert_eq!(key_of(r#"{"a":null}"#, &["a"]), "missing a");
    }

    #[test]
    fn anything_but_one_object_is_an_error() {
        for json in ["[]", "1", "{", r#"{"a":1} x"#, r#"{"a":01}"#, r#"{"a":"#] {
            assert!(pick(json, &names(&["a"])).is_err(), "{json}");
            assert!(pick(json, &[]).is_err(), "{json}");
        }
    }
}
