//! In which steps rows are written. Within a key order is kept: a row is left out only when later ones of its key set all
//! that it sets; rows of one wave have different keys, so a wave may be written by the set of fields. Does no I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::RejectedRow;
use super::cells::{Cell, View, number};

/// Places of the fields that a row has, ascending.
pub(super) type Shape = Vec<usize>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Action {
    Delete,
    Write(Shape),
}

/// Rows that one statement can write; ascending.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub action: Action,
    pub rows: Vec<usize>,
}

/// What a database said of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub code: &'static str,
    pub reason: String,
    pub column: Option<String>,
}

/// The work on one call's rows, and what came of it.
#[derive(Debug)]
pub(super) struct Plan {
    actions: Vec<Action>,
    /// Per row its key's number; rows refused beforehand have none, nor have rows without a key.
    key_of: Vec<Option<usize>>,
    /// Per key its rows, ascending.
    rows_of: Vec<Vec<usize>>,
    rejected: BTreeMap<usize, RejectedRow>,
    /// Keys of which a row was refused while others of its rows were left out.
    replayed: BTreeSet<usize>,
}

impl Plan {
    /// `refused`: rows that are not to be written, as [`View::refuse`] answers them.
    pub(super) fn new(view: &View<'_>, refused: Vec<Option<RejectedRow>>) -> Self {
        let whole: Shape = (0..view.fields.len()).collect();
        let uniform = view.fields.iter().all(super::cells::Field::is_in_every_row);
        let action = |row| {
            if view.is_delete(row) {
                Action::Delete
            } else if uniform {
                Action::Write(whole.clone())
            } else {
                Action::Write(whole.iter().copied().filter(|field| view.fields.get(*field).is_some_and(|f| f.has(row))).collect())
            }
        };
        let actions = (0..view.count).map(action).collect();
        let rejected: BTreeMap<_, _> =
            refused.into_iter().enumerate().filter_map(|(row, rejected)| Some((row, rejected?))).collect();
        let mut numbers: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut rows_of: Vec<Vec<usize>> = Vec::new();
        let mut key_of = vec![None; view.count];
        if !view.key.is_empty() {
            for (row, slot) in key_of.iter_mut().enumerate().filter(|(row, _)| !rejected.contains_key(row)) {
                let key = *numbers.entry(key_bytes(view, row)).or_insert(rows_of.len());
                match rows_of.get_mut(key) {
                    Some(rows) => rows.push(row),
                    None => rows_of.push(vec![row]),
                }
                *slot = Some(key);
            }
        }
        Self { actions, key_of, rows_of, rejected, replayed: BTreeSet::new() }
    }

    /// Rows that were not refused beforehand, ascending.
    pub(super) fn good_rows(&self) -> Vec<usize> {
        (0..self.actions.len()).filter(|row| !self.rejected.contains_key(row)).collect()
    }

    pub(super) fn action(&self, row: usize) -> &Action {
        self.actions.get(row).unwrap_or(&Action::Delete)
    }

    /// The waves, each to be done before the next. Deletions come first in each.
    pub(super) fn waves(&self) -> Vec<Vec<Step>> {
        if self.rows_of.is_empty() {
            return vec![self.steps(&self.good_rows())];
        }
        let mut waves: Vec<Vec<usize>> = Vec::new();
        for rows in &self.rows_of {
            for (depth, row) in self.decisive(rows).into_iter().enumerate() {
                match waves.get_mut(depth) {
                    Some(wave) => wave.push(row),
                    None => waves.push(vec![row]),
                }
            }
        }
        waves.iter_mut().for_each(|wave| wave.sort_unstable());
        waves.iter().map(|wave| self.steps(wave)).collect()
    }

    fn steps(&self, rows: &[usize]) -> Vec<Step> {
        let mut steps: BTreeMap<&Action, Vec<usize>> = BTreeMap::new();
        for &row in rows {
            steps.entry(self.action(row)).or_default().push(row);
        }
        steps.into_iter().map(|(action, rows)| Step { action: action.clone(), rows }).collect()
    }

    /// The rows of one key that leave a trace, in order: from the last back, each that sets a field no later one sets, up to
    /// a deletion.
    fn decisive(&self, rows: &[usize]) -> Vec<usize> {
        let mut kept = Vec::new();
        let mut set = BTreeSet::new();
        for &row in rows.iter().rev() {
            match self.action(row) {
                Action::Delete => {
                    kept.push(row);
                    break;
                }
                Action::Write(shape) => {
                    let before = set.len();
                    set.extend(shape.iter().copied());
                    if set.len() > before {
                        kept.push(row);
                    }
                }
            }
        }
        kept.reverse();
        kept
    }

    /// Whether a row of a later wave is to be left for `replays`.
    pub(super) fn is_replayed(&self, row: usize) -> bool {
        self.key_of.get(row).copied().flatten().is_some_and(|key| self.replayed.contains(&key))
    }

    /// A row was refused in its wave: it is rejected, or all rows of its key are tried again in order.
    pub(super) fn refused(&mut self, row: usize, refusal: Refusal) {
        let key = self.key_of.get(row).copied().flatten();
        let alone = key.and_then(|key| self.rows_of.get(key)).is_none_or(|rows| rows.len() == 1);
        match key {
            Some(key) if !alone => {
                self.replayed.insert(key);
            }
            _ => self.reject(row, refusal),
        }
    }

    /// Rows to write one by one after the waves: per key in order, so that its last good row stands.
    pub(super) fn replays(&self) -> Vec<usize> {
        self.replayed.iter().filter_map(|key| self.rows_of.get(*key)).flatten().copied().collect()
    }

    /// A row was refused alone.
    pub(super) fn reject(&mut self, row: usize, refusal: Refusal) {
        let Refusal { code, reason, column } = refusal;
        self.rejected.insert(row, RejectedRow { row: number(row), code: code.to_owned(), reason, column });
    }

    pub(super) fn finish(self) -> Vec<RejectedRow> {
        self.rejected.into_values().collect()
    }
}

fn key_bytes(view: &View<'_>, row: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in view.key.iter().filter_map(|place| view.fields.get(*place)) {
        match field.cell(row) {
            Cell::Absent | Cell::Null => bytes.push(0),
            Cell::Boolean(value) => bytes.push(1 + u8::from(value)),
            Cell::Int(value) => bytes.extend(value.to_le_bytes()),
            // The two zeros are one key.
            Cell::Float(value) => bytes.extend((value + 0.0).to_le_bytes()),
            Cell::Bytes(value) => {
                bytes.extend(value.len().to_le_bytes());
                bytes.extend(value);
            }
        }
    }
    bytes
}
