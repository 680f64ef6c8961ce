//! Records of a call, put together as requests: neighbours with the same columns, each record once. Order is kept, as a record may
//! name an earlier one; sends nothing.

use std::collections::BTreeSet;

use wharf_sdk::{Batch, Outcomes, Record, Rejection};

use crate::cells::{Cells, Fields};
use crate::config::{Config, Tombstones};
use crate::external;

/// Records of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What is done with them.
    pub action: Action,
    pub rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Create or change: the columns.
    Load(Vec<String>),
    /// Archive or delete.
    Remove,
}

/// A record of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// In the call.
    pub index: u32,
    /// Its external id without the module.
    pub name: String,
    pub texts: Vec<String>,
}

impl Row {
    /// What it holds: nothing of it is to be shown.
    pub fn values(&self) -> impl Iterator<Item = &str> + Clone {
        self.texts.iter().chain([&self.name]).map(String::as_str)
    }
}

/// Groups of a call. What can never be written is told to `outcomes`.
pub fn groups(records: &Batch, fields: &Fields, config: &Config, outcomes: &mut Outcomes) -> Vec<Group> {
    let prefix = config.prefix();
    let mut groups: Vec<Group> = Vec::new();
    let mut names = BTreeSet::new();
    for record in records {
        let (action, row) = match step(&record, fields, config, &prefix) {
            Ok(Some(step)) => step,
            Ok(None) => continue,
            Err(rejection) => {
                outcomes.push(record.index, rejection);
                continue;
            }
        };
        let fits = |group: &Group| group.action == action && group.rows.len() < config.max_batch && !names.contains(&row.name);
        match groups.last_mut().filter(|group| fits(group)) {
            Some(group) => {
                names.insert(row.name.clone());
                group.rows.push(row);
            }
            None => {
                names = BTreeSet::from([row.name.clone()]);
                groups.push(Group { action, rows: vec![row] });
            }
        }
    }
    groups
}

/// What is to be done for a record; `None`: nothing, as the operator said.
fn step(record: &Record<'_>, fields: &Fields, config: &Config, prefix: &str) -> Result<Option<(Action, Row)>, Rejection> {
    if record.value.is_none() {
        match config.tombstones {
            Tombstones::Skip => return Ok(None),
            Tombstones::Reject => {
                return Err(Rejection::new(
                    "odoo.tombstone",
                    "a null value: set `config.tombstones` to archive or delete its record",
                ));
            }
            Tombstones::Archive | Tombstones::Delete => {}
        }
    }
    let name = external::of_key(prefix, record.key).map_err(|e| Rejection::new("key.invalid", e.to_string()))?;
    if record.value.is_none() {
        return Ok(Some((Action::Remove, Row { index: record.index, name, texts: Vec::new() })));
    }
    let Cells { columns, texts } = fields.cells(&record.json()?)?;
    Ok(Some((Action::Load(columns), Row { index: record.index, name, texts })))
}
