//! `keep`: leaves only the named fields, in the order of the record. A field that isn't there is no fault.

use serde_json::{Map, Value};

use super::field::index;
use super::record::{Refused, Working};
use crate::config::FieldPath;

#[derive(Debug)]
pub struct Keep {
    fields: Vec<FieldPath>,
}

impl Keep {
    pub const fn new(fields: Vec<FieldPath>) -> Self {
        Self { fields }
    }

    pub fn apply(&self, record: &mut Working<'_>) -> Result<(), Refused> {
        let Some(root) = record.fields_mut()? else { return Ok(()) };
        let paths: Vec<&[String]> = self.fields.iter().map(|f| f.0.as_slice()).collect();
        *root = project(root.take(), &paths).unwrap_or_default();
        Ok(())
    }
}

/// What of `value` the paths reach; `None`: nothing.
fn project(value: Value, paths: &[&[String]]) -> Option<Value> {
    if paths.iter().any(|path| path.is_empty()) {
        return Some(value);
    }
    match value {
        Value::Object(members) => {
            let mut kept = Map::new();
            for (name, value) in members {
                let inner = below(paths, |segment| segment == "*" || *segment == name);
                if !inner.is_empty()
                    && let Some(value) = project(value, &inner)
                {
                    kept.insert(name, value);
                }
            }
            Some(Value::Object(kept))
        }
        Value::Array(elements) => {
            Some(Value::Array(elements.into_iter().enumerate().filter_map(|e| element(e, paths)).collect()))
        }
        _ => None,
    }
}

fn element((at, value): (usize, Value), paths: &[&[String]]) -> Option<Value> {
    let mut inner = below(paths, |segment| segment == "*" || index(segment) == Some(at));
    let through = |path: &&&[String]| path.first().is_some_and(|s| s != "*" && index(s).is_none());
    inner.extend(paths.iter().filter(through).copied());
    if inner.is_empty() { None } else { project(value, &inner) }
}

/// The rest of each path whose first segment fits.
fn below<'p>(paths: &[&'p [String]], fits: impl Fn(&String) -> bool) -> Vec<&'p [String]> {
    paths.iter().filter_map(|path| path.split_first().filter(|(first, _)| fits(first)).map(|(_, rest)| rest)).collect()
}
