//! External ids: the name by which Odoo finds a record again, `module.prefix.value`, made of a record's key. Two keys have never one
//! name: all but letters, digits and `-` of a value is written as `_` and two hexadecimal digits a byte.

use std::fmt::Write as _;

use serde_json::Value;

/// A key that no name can be made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    #[error("the record has no key, of which its external id is made")]
    None,
    #[error("the key is no JSON: {0}")]
    Json(String),
    /// Its type; the value may be personal.
    #[error("the key has a part that is {0}: expected a text, a number, true or false")]
    Part(&'static str),
}

/// The name without its module, of a key's bytes: a scalar, or an object of scalars in their order.
///
/// # Errors
/// [`BadKey`].
pub fn of_key(prefix: &str, key: Option<&[u8]>) -> Result<String, BadKey> {
    let key: Value = serde_json::from_slice(key.ok_or(BadKey::None)?).map_err(|e| BadKey::Json(e.to_string()))?;
    of_value(prefix, &key)
}

/// The same of a value.
///
/// # Errors
/// [`BadKey`].
pub fn of_value(prefix: &str, key: &Value) -> Result<String, BadKey> {
    let mut name = prefix.to_owned();
    match key {
        Value::Object(parts) if !parts.is_empty() => {
            for part in parts.values() {
                append(&mut name, part)?;
            }
        }
        scalar => append(&mut name, scalar)?,
    }
    Ok(name)
}

fn append(name: &mut String, part: &Value) -> Result<(), BadKey> {
    let text = match part {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(yes) => yes.to_string(),
        Value::Null => return Err(BadKey::Part("null")),
        Value::Array(_) => return Err(BadKey::Part("a list")),
        Value::Object(_) => return Err(BadKey::Part("an object")),
    };
    name.push('.');
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            name.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            write!(name, "_{byte:02x}").unwrap_or_default();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(key: &str) -> Result<String, BadKey> {
        of_key("p", Some(key.as_bytes()))
    }

    #[test]
    fn a_key_becomes_a_name_that_odoo_takes_and_no_two_keys_the_same() {
        assert_eq!(name(r#"{"id":7}"#).unwrap(), "p.7");
        assert_eq!(name("7").unwrap(), "p.7", "a bare scalar is the key of one field");
        assert_eq!(name(r#"{"a":"DE","b":-1.50}"#).unwrap(), "p.DE.-1_2e50");
        let keys = [
            r#""a b""#,
            r#""a_b""#,
            r#""a_20b""#,
            r#""a.b""#,
            r#"{"x":"a","y":"b"}"#,
            r#""ä""#,
            r#""a,b""#,
            r#""""#,
            r#"{"x":"","y":""}"#,
        ];
        let mut names: Vec<_> = keys.iter().map(|key| name(key).unwrap()).collect();
        assert!(names.iter().all(|name| !name.contains([' ', ','])), "{names:?}");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), keys.len());
    }

    #[test]
    fn what_no_name_can_be_made_of_is_an_error() {
        assert_eq!(of_key("p", None), Err(BadKey::None));
        assert!(matches!(name("{"), Err(BadKey::Json(_))));
        for key in ["null", "{}", "[1]", r#"{"a":null}"#, r#"{"a":{"b":1}}"#] {
            assert!(matches!(name(key), Err(BadKey::Part(_))), "{key}");
        }
        for (key, expected) in [(r#"["Ann"]"#, "a list"), (r#"{"a":{"b":"Ann"}}"#, "an object"), (r#"{"a":null}"#, "null")] {
            let text = name(key).unwrap_err().to_string();
            assert!(text.contains(expected) && !text.contains("Ann"), "{text}");
        }
    }
}
