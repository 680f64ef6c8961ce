//! `copy`: gives what stands in a field to another one as well, over what is there; one copy after the other, in the order written.
//! Within one object in a list each element keeps its own. A field that isn't there is no fault, and changes nothing.

use serde_json::Value;

use super::field::index;
use super::record::{Refused, Working};
use super::set::insert;
use crate::config::FieldPath;

#[derive(Debug)]
pub struct Copy {
    fields: Vec<(FieldPath, FieldPath)>,
}

impl Copy {
    pub const fn new(fields: Vec<(FieldPath, FieldPath)>) -> Self {
        Self { fields }
    }

    pub fn apply(&self, record: &mut Working<'_>) -> Result<(), Refused> {
        let Some(root) = record.fields_mut()? else { return Ok(()) };
        for (from, to) in &self.fields {
            if let Some((parent, old, new)) = within(from, to) {
                parent.change(root, &mut |value| {
                    copy_in(value, old, new);
                    Ok(())
                })?;
            } else if let Some(value) = from.get(root).cloned() {
                insert(root, to, &value)?;
            }
        }
        Ok(())
    }
}

/// The object that both fields are in, and their names.
fn within<'f>(from: &'f FieldPath, to: &'f FieldPath) -> Option<(FieldPath, &'f str, &'f str)> {
    let ((old, parent), (new, new_parent)) = (from.0.split_last()?, to.0.split_last()?);
    let names = parent == new_parent && [old, new].iter().all(|name| *name != "*" && index(name).is_none());
    names.then(|| (FieldPath(parent.to_vec()), old.as_str(), new.as_str()))
}

fn copy_in(value: &mut Value, old: &str, new: &str) {
    match value {
        Value::Object(members) => {
            if let Some(found) = members.get(old).cloned() {
                members.insert(new.to_owned(), found);
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| copy_in(element, old, new)),
        _ => {}
    }
}
