//! Keys of records, as fields of their table.

use std::borrow::Cow;

use wharf_sdk::{Record, Rejection};
use wharf_tables::key::{self, Key};

use super::fields::{self, Field};

/// The fields of the record's key.
///
/// # Errors
/// [`Rejection`] `key.missing` for a null key, `key.json` for what is no key of this table.
pub fn read<'a>(record: &Record<'a>, names: &[String], into: &mut Vec<Field<'a>>) -> Result<(), Rejection> {
    into.clear();
    match key::read(record.key, names)? {
        Key::Object(json) => fields::read(json, into).map_err(|_| key::no_object()),
        Key::Scalar { column, json } => {
            into.push(Field { name: Cow::Owned(column.to_owned()), json: json.into() });
            Ok(())
        }
    }
}
