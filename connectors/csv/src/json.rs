//! JSON objects of JSON Lines: checked and looked into without building them. Owns what a key looks like; changes no byte of
//! a value.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use wharf_sdk::Rejection;

/// Deepest nesting of objects and arrays: what JSON readers after us, Wharf's included, still take.
const MAX_DEPTH: usize = 127;

/// Checks the object of a line; puts its key into `key`.
///
/// # Errors
/// `json.invalid`, `json.not-object`, `key.missing`.
pub fn check(json: &str, names: &[String], line: u64, key: &mut Vec<u8>) -> Result<(), Rejection> {
    if !is_shallow(json) {
        let message = format!("line {line}: nested deeper than {MAX_DEPTH} levels");
        return Err(Rejection::new("json.invalid", message));
    }
    let picked = pick(json, names).map_err(|e| {
        if e.is_data() {
            return Rejection::new("json.not-object", format!("line {line}: expected a JSON object"));
        }
        let text = e.to_string();
        let reason = text.split(" at line ").next().unwrap_or_default();
        Rejection::new("json.invalid", format!("line {line}: not JSON at byte {}: {reason}", e.column()))
    })?;
    key.clear();
    if !names.is_empty() {
        write_key(names, &picked, key).map_err(|name| missing(name, line))?;
    }
    Ok(())
}

/// The rejection of a record whose key has no value here.
pub fn missing(name: &str, line: u64) -> Rejection {
    let message = format!("line {line}: `{name}` of the key has no value");
    Rejection::new("key.missing", message).at(pointer(name))
}

/// JSON pointer (RFC 6901) to a field.
pub fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Whether later readers can take this text's nesting.
pub fn is_shallow(json: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    // Most texts do not have that many brackets at all.
    if memchr::memchr2_iter(b'{', b'[', json.as_bytes()).nth(MAX_DEPTH).is_none() {
        return true;
    }
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' if depth == MAX_DEPTH => return false,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

/// The texts of these fields of the object `json`, in the order of `names`; of a name that occurs twice the last.
///
/// # Errors
/// Where `json` is anything but one JSON object.
fn pick<'a>(json: &'a str, names: &[String]) -> serde_json::Result<Vec<Option<&'a RawValue>>> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let picked = Object(names).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(picked)
}

/// Appends the key: a JSON object of these fields, in order. The error is the first name that is absent or null.
fn write_key<'n>(names: &'n [String], values: &[Option<&RawValue>], key: &mut Vec<u8>) -> Result<(), &'n str> {
    key.push(b'{');
    for (at, (name, value)) in names.iter().zip(values).enumerate() {
        let value = value.map(RawValue::get).filter(|text| *text != "null").ok_or(name.as_str())?;
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
fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
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
    type Value = Vec<Option<&'de RawValue>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Vec<Option<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut picked = vec![None; self.0.len()];
        while let Some(found) = object.next_key_seed(Name(self.0))? {
            match found {
                Some(at) => {
                    let value = object.next_value()?;
                    *picked.get_mut(at).ok_or_else(|| A::Error::custom("no such field"))? = Some(value);
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

    fn key_of(json: &str, fields: &[&str]) -> String {
        let names: Vec<String> = fields.iter().map(|&name| name.to_owned()).collect();
        let mut key = vec![b'x'];
        match check(json, &names, 3, &mut key) {
            Ok(()) => String::from_utf8(key).unwrap(),
            Err(why) => format!("{} {}", why.code, why.message),
        }
    }

    #[test]
    fn key_has_the_configured_order_and_keeps_numbers_exact() {
        let json = r#"{"b":"x","n":{"a":1},"a": 12345678901234567890.10 }"#;
        assert_eq!(key_of(json, &["a", "b"]), r#"{"a":12345678901234567890.10,"b":"x"}"#);
        assert_eq!(key_of(json, &[]), "");
    }

    #[test]
    fn one_text_has_one_key_however_it_is_escaped() {
        assert_eq!(key_of(r#"{"a":"\u00e9\/"}"#, &["a"]), key_of(r#"{"a":"é/"}"#, &["a"]));
    }

    #[test]
    fn key_without_a_value_names_the_field() {
        assert_eq!(key_of(r#"{"a":1}"#, &["a", "b"]), "key.missing line 3: `b` of the key has no value");
        assert_eq!(key_of(r#"{"a":null}"#, &["a"]), "key.missing line 3: `a` of the key has no value");
    }

    #[test]
    fn reason_of_a_bad_line_has_the_byte_and_no_value() {
        assert_eq!(key_of(r#"{"a":secret}"#, &["a"]), "json.invalid line 3: not JSON at byte 6: expected value");
        assert_eq!(key_of(r#"{"a":1} {"#, &[]), "json.invalid line 3: not JSON at byte 9: trailing characters");
        for json in ["[]", "1", "\"secret\"", "null"] {
            assert_eq!(key_of(json, &[]), "json.not-object line 3: expected a JSON object", "{json}");
        }
    }

    #[test]
    fn what_is_taken_can_be_read_by_a_json_reader_with_a_limit_of_128() {
        let nested = |depth: usize| format!("{{\"[\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert_eq!(key_of(&nested(MAX_DEPTH), &[]), "");
        serde_json::from_str::<serde_json::Value>(&nested(MAX_DEPTH)).unwrap();
        assert_eq!(key_of(&nested(MAX_DEPTH + 1), &[]), "json.invalid line 3: nested deeper than 127 levels");
        // Many brackets that do not nest are no depth.
        assert_eq!(key_of(&format!("{{\"a\":[{}0]}}", "[],".repeat(500)), &[]), "");
    }
}
