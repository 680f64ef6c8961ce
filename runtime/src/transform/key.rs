//! `key`: makes the record's key from fields of its value: a JSON object of them in configured order. A record that lacks
//! one, or whose value is a tombstone, is refused: under a wrong key it would change or delete another row.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::record::{Refused, Working};
use crate::config::FieldPath;
use crate::outcome::Rejection;

#[derive(Debug)]
pub struct Key {
    /// Name in the key, and where the value is.
    fields: Vec<(String, FieldPath)>,
}

impl Key {
    /// A field is called by the last name of its path, or by the dotted path where two would be called the same.
    pub fn new(fields: Vec<FieldPath>) -> Self {
        let name = |path: &FieldPath| {
            let same = fields.iter().filter(|other| other.0.last() == path.0.last()).count();
            path.0.last().filter(|_| same == 1).cloned().unwrap_or_else(|| path.0.join("."))
        };
        let names: Vec<String> = fields.iter().map(name).collect();
        Self { fields: names.into_iter().zip(fields).collect() }
    }

    pub fn apply(&self, record: &mut Working<'_>) -> Result<(), Refused> {
        let Some(root) = record.json()? else {
            let message = "a tombstone has no fields to make its key from; leave tombstones out with `when = { not = { tombstone = true } }` if they carry the right key";
            return Err(Rejection::new("key.tombstone", message).into());
        };
        let mut key = Map::with_capacity(self.fields.len());
        for (name, path) in &self.fields {
            let at = |code: &str, message: String| Rejection { field: Some(path.pointer()), ..Rejection::new(code, message) };
            match path.get(root) {
                Some(Value::Null) => return Err(at("key.null", format!("key field {} is null", path.pointer())).into()),
                Some(value) => key.insert(name.clone(), value.clone()),
                None => return Err(at("key.missing", format!("key field {} is not in the record", path.pointer())).into()),
            };
        }
        let bytes = Value::Object(key).to_string().into_bytes();
        record.set_key(Some(Cow::Owned(bytes)));
        Ok(())
    }
}
