//! Keys of records: a JSON object of the key's fields, or one bare scalar for a key of one column.

use serde_json::value::RawValue;
use wharf_sdk::Rejection;

/// What the key of a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key<'a, 'c> {
    /// It begins as a JSON object does. Its fields are read as those of a value; where it is none, [`no_object`] is why.
    Object(&'a [u8]),
    /// One JSON value, no object and no array, for the key's only column.
    Scalar { column: &'c str, json: &'a str },
}

/// What a record's key says of these columns.
///
/// # Errors
/// [`Rejection`] `key.missing` for a null key, `key.json` for what is no key of these columns.
pub fn read<'a, 'c>(key: Option<&'a [u8]>, columns: &'c [String]) -> Result<Key<'a, 'c>, Rejection> {
    let key = key.ok_or_else(|| Rejection::new("key.missing", "the record has no key"))?;
    if key.trim_ascii_start().starts_with(b"{") {
        return Ok(Key::Object(key));
    }
    let scalar: &RawValue =
        serde_json::from_slice(key).map_err(|e| Rejection::new("key.json", format!("the record's key is no JSON: {e}")))?;
    match columns {
        [column] if !scalar.get().starts_with('[') => Ok(Key::Scalar { column, json: scalar.get() }),
        [_] => Err(Rejection::new("key.json", "the record's key is an array: expected an object or a scalar")),
        _ => Err(Rejection::new(
            "key.json",
            format!("the record's key is one value, but the table's key has {} columns", columns.len()),
        )),
    }
}

/// Why a key that begins as an object is none.
#[must_use]
pub fn no_object() -> Rejection {
    Rejection::new("key.json", "the record's key is no JSON object")
}

/// Why a tombstone's key is none: an object without this field.
#[must_use]
pub fn without(field: &str) -> Rejection {
    Rejection::new("key.missing", format!("the record's key has no field `{field}`"))
}

/// Why a value that has no such field has no key.
#[must_use]
pub fn nowhere(field: &str) -> Rejection {
    let why = format!("the value has no field `{field}`, which is in the key, nor has the record's key");
    Rejection::new("key.missing", why).at(wharf_sdk::json::pointer(field))
}

/// Why a null is no part of a key.
#[must_use]
pub fn null(field: &str) -> Rejection {
    Rejection::new("key.missing", format!("`{field}` is in the key and null")).at(wharf_sdk::json::pointer(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(key: Option<&str>, columns: &[&str]) -> Result<String, String> {
        let columns: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
        match read(key.map(str::as_bytes), &columns) {
            Ok(Key::Object(json)) => Ok(String::from_utf8_lossy(json).into_owned()),
            Ok(Key::Scalar { column, json }) => Ok(format!("{column}={json}")),
            Err(rejection) => Err(rejection.code),
        }
    }

    #[test]
    fn a_key_is_an_object_or_the_bare_value_of_its_only_column() {
        for (key, columns, expected) in [
            (Some(" {\"id\": 1}"), &["id"][..], Ok(" {\"id\": 1}")),
            (Some(" 7 "), &["id"], Ok("id=7")),
            (Some("\"a b\""), &["id"], Ok("id=\"a b\"")),
            (Some("7"), &["id", "line"], Err("key.json")),
            (Some("[7]"), &["id"], Err("key.json")),
            (Some("a b"), &["id"], Err("key.json")),
            (Some(""), &["id"], Err("key.json")),
            (None, &["id"], Err("key.missing")),
        ] {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(code(key, columns), expected, "{key:?}");
        }
    }
}
