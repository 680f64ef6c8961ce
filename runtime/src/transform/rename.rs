//! `rename`: gives fields other names, or moves them. Renames within one object happen at once (two names may be
//! swapped) and keep the field's place; a field that isn't there is no fault; an existing field of the new name gives way.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::record::{Refused, Working};
use super::set::insert;
use crate::config::FieldPath;

#[derive(Debug)]
pub struct Rename {
    /// By the object they are in: old name, new name.
    within: Vec<(FieldPath, HashMap<String, String>)>,
    across: Vec<(FieldPath, FieldPath)>,
}

impl Rename {
    pub fn new(pairs: Vec<(FieldPath, FieldPath)>) -> Self {
        let mut rename = Self { within: Vec::new(), across: Vec::new() };
        for (from, to) in pairs {
            rename.add(from, to);
        }
        rename
    }

    fn add(&mut self, from: FieldPath, to: FieldPath) {
        let (Some((old, parent)), Some((new, new_parent))) = (from.0.split_last(), to.0.split_last()) else {
            self.across.push((from, to));
            return;
        };
        if parent != new_parent || old == "*" {
            self.across.push((from, to));
        } else if let Some((_, names)) = self.within.iter_mut().find(|(p, _)| p.0 == parent) {
            names.insert(old.clone(), new.clone());
        } else {
            self.within.push((FieldPath(parent.to_vec()), HashMap::from([(old.clone(), new.clone())])));
        }
    }

    pub fn apply(&self, record: &mut Working<'_>) -> Result<(), Refused> {
        let Some(root) = record.fields_mut()? else { return Ok(()) };
        for (parent, names) in &self.within {
            parent.change(root, &mut |value| {
                rename_in(value, names);
                Ok(())
            })?;
        }
        for (from, to) in &self.across {
            if let Some(value) = from.get(root).cloned() {
                from.remove(root);
                insert(root, to, &value)?;
            }
        }
        Ok(())
    }
}

fn rename_in(value: &mut Value, names: &HashMap<String, String>) {
    match value {
        Value::Object(members) if names.keys().any(|old| members.contains_key(old)) => {
            let old = std::mem::take(members);
            let replaced: Vec<&String> = names.iter().filter(|(from, _)| old.contains_key(*from)).map(|(_, to)| to).collect();
            *members = old
                .into_iter()
                .filter_map(|(name, value)| named(name, &replaced, names).map(|n| (n, value)))
                .collect::<Map<_, _>>();
        }
        Value::Array(elements) => elements.iter_mut().for_each(|e| rename_in(e, names)),
        _ => {}
    }
}

/// The name a member gets; `None`: another one takes its name.
fn named(name: String, replaced: &[&String], names: &HashMap<String, String>) -> Option<String> {
    match names.get(&name) {
        Some(new) => Some(new.clone()),
        None => (!replaced.contains(&&name)).then_some(name),
    }
}
