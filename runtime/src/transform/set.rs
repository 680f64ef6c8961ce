//! `set`: puts a constant or something the record carries into a field, over what is there. Missing objects on the way
//! are made. Place and time that a record doesn't have yet (partition and offset in a source) are null.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::field::{index, kind};
use super::record::{Refused, Working};
use crate::config::{FieldPath, SetFrom};
use crate::outcome::Rejection;

#[derive(Debug)]
pub struct Set {
    fields: Vec<(FieldPath, SetFrom)>,
}

impl Set {
    pub const fn new(fields: Vec<(FieldPath, SetFrom)>) -> Self {
        Self { fields }
    }

    pub fn apply(&self, record: &mut Working<'_>) -> Result<(), Refused> {
        for (field, from) in &self.fields {
            let value = value_of(from, record).map_err(|r| Rejection { field: Some(field.pointer()), ..r })?;
            if let Some(root) = record.fields_mut()? {
                insert(root, field, &value)?;
            }
        }
        Ok(())
    }
}

fn value_of(from: &SetFrom, record: &Working<'_>) -> Result<Value, Rejection> {
    let original = record.original();
    Ok(match from {
        SetFrom::Constant(value) => value.clone(),
        SetFrom::Timestamp => Value::String(time(original.timestamp)?),
        SetFrom::Header(name) => header(name, record)?,
        SetFrom::Topic => Value::String(record.topic().to_owned()),
        SetFrom::Partition if original.partition >= 0 => original.partition.into(),
        SetFrom::Offset if original.offset >= 0 => original.offset.into(),
        SetFrom::Partition | SetFrom::Offset => Value::Null,
    })
}

/// The record's time; the present for a record whose time the log will set.
fn time(millis: i64) -> Result<String, Rejection> {
    let time = if millis < 0 { Ok(Timestamp::now()) } else { Timestamp::from_millisecond(millis) };
    match time {
        Ok(time) => Ok(format!("{time:.6}")),
        Err(_) => {
            Err(Rejection::new("set.timestamp", format!("the record's timestamp, {millis} ms, is no date up to year 9999")))
        }
    }
}

/// The last header of that name, as consumers read it; null when there is none.
fn header(name: &str, record: &Working<'_>) -> Result<Value, Rejection> {
    let found = record.original().headers.iter().rev().find(|(n, _)| *n == name.as_bytes());
    let Some((_, Some(bytes))) = found else { return Ok(Value::Null) };
    let text = std::str::from_utf8(bytes).map_err(|e| {
        Rejection::new("set.header", format!("header `{name}` is not UTF-8 (byte {}) and can't become a text", e.valid_up_to()))
    })?;
    Ok(Value::String(text.to_owned()))
}

/// Puts `value` at the path; behind an array without an index into each of its elements.
pub fn insert(root: &mut Value, path: &FieldPath, value: &Value) -> Result<(), Rejection> {
    insert_at(root, &path.0, value).map_err(|found| {
        let message = format!("can't set {}: there is {found} on the way to it", path.pointer());
        Rejection { field: Some(path.pointer()), ..Rejection::new("transform.shape", message) }
    })
}

fn insert_at(at: &mut Value, path: &[String], value: &Value) -> Result<(), &'static str> {
    let Some((name, rest)) = path.split_first() else {
        *at = value.clone();
        return Ok(());
    };
    if at.is_null() {
        *at = Value::Object(Map::new());
    }
    match at {
        Value::Object(members) if name == "*" => members.values_mut().try_for_each(|v| insert_at(v, rest, value)),
        Value::Object(members) => insert_at(members.entry(name.as_str()).or_insert(Value::Null), rest, value),
        Value::Array(elements) if name == "*" => elements.iter_mut().try_for_each(|v| insert_at(v, rest, value)),
        Value::Array(elements) => match index(name) {
            Some(at) => elements.get_mut(at).map_or(Err("a shorter array"), |v| insert_at(v, rest, value)),
            None => elements.iter_mut().try_for_each(|v| insert_at(v, path, value)),
        },
        other => Err(kind(other)),
    }
}
