//! Keys of records: a JSON object of the key's fields, or one bare scalar for a key of one column.

use std::borrow::Cow;

use serde_json::value::RawValue;
use wharf_sdk::{Record, Rejection};

use super::fields::{self, Field};

/// The fields of the record's key.
///
/// # Errors
/// [`Rejection`] `key.missing` for a null key, `key.json` for what is no key of this table.
pub fn read<'a>(record: &Record<'a>, names: &[String], into: &mut Vec<Field<'a>>) -> Result<(), Rejection> {
    into.clear();
    let key = record.key.ok_or_else(|| Rejection::new("key.missing", "the record has no key"))?;
    if key.trim_ascii_start().starts_with(b"{") {
        return fields::read(key, into).map_err(|_| Rejection::new("key.json", "the record's key is no JSON object"));
    }
    let scalar: &RawValue =
        serde_json::from_slice(key).map_err(|e| Rejection::new("key.json", format!("the record's key is no JSON: {e}")))?;
    match names {
        [only] if !scalar.get().starts_with('[') => {
            into.push(Field { name: Cow::Owned(only.clone()), json: scalar.get().into() });
            Ok(())
        }
        [_] => Err(Rejection::new("key.json", "the record's key is an array: expected an object or a scalar")),
        _ => Err(Rejection::new(
            "key.json",
            format!("the record's key is one value, but the table's key has {} columns", names.len()),
        )),
    }
}
