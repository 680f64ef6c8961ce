//! In which steps rows are written. Within a key order is kept: a row is left out only when later ones of its key set all
//! that it sets, or where versions count, when one before it has a higher version; rows of one wave have different keys, so a wave
//! may be written by the set of fields. Where keys of different bytes may be one key, no row is left out, and each step comes after
//! the rows before it. Does no I/O.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::{HashMap, HashMapExt};

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

/// How far rows may be written in another order than they came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The database tells keys apart as their bytes do, and orders versions as integers: only the order within a key counts.
    WithinKeys,
    /// Different bytes may be one key: each step comes after the rows before it.
    Steps,
    /// Each row by itself.
    Rows,
}

/// The work on one call's rows, and what came of it.
#[derive(Debug)]
pub(super) struct Plan {
    /// Each action that a row has, once.
    actions: Vec<Action>,
    /// Per row the place of its action.
    action_of: Vec<usize>,
    /// Per row its key's number; rows refused beforehand have none, nor have rows without a key.
    key_of: Vec<Option<usize>>,
    /// Per key its last row.
    last: Vec<usize>,
    /// Per row the one before it of its key.
    before: Vec<Option<usize>>,
    /// Per row its version; empty: the last row of a key wins.
    versions: Vec<i64>,
    order: Order,
    rejected: BTreeMap<usize, RejectedRow>,
    /// Keys of which a row was refused while others of its rows were left out.
    replayed: BTreeSet<usize>,
}

/// A row's key, compared by value.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum Key<'a> {
    Int(i64),
    Bytes(&'a [u8]),
    /// Of several columns, or of a kind that is seldom a key.
    Many(Vec<u8>),
}

impl Plan {
    /// `refused`: rows that are not to be written, as [`View::refuse`] answers them.
    pub(super) fn new(view: &View<'_>, refused: BTreeMap<usize, RejectedRow>, order: Order) -> Self {
        let (actions, action_of) = actions(view);
        let mut plan = Self {
            actions,
            action_of,
            key_of: vec![None; view.count],
            last: Vec::new(),
            before: vec![None; view.count],
            versions: if order == Order::WithinKeys { versions(view) } else { Vec::new() },
            order,
            rejected: refused,
            replayed: BTreeSet::new(),
        };
        if !view.key.is_empty() && order != Order::Rows {
            plan.link(view);
        }
        plan
    }

    /// Finds the rows of each key.
    fn link(&mut self, view: &View<'_>) {
        let mut numbers: HashMap<Key<'_>, usize> = HashMap::with_capacity(view.count);
        let rows = self.key_of.iter_mut().zip(&mut self.before).enumerate();
        for (row, (key_of, before)) in rows.filter(|(row, _)| !self.rejected.contains_key(row)) {
            let key = *numbers.entry(key(view, row)).or_insert(self.last.len());
            match self.last.get_mut(key) {
                Some(last) => *before = Some(std::mem::replace(last, row)),
                None => self.last.push(row),
            }
            *key_of = Some(key);
        }
    }

    /// The rows of a key from the last one back.
    fn back(&self, key: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.last.get(key).copied(), |row| self.before.get(*row).copied().flatten())
    }

    /// Whether rows are left out, or written in another order than they came in.
    pub(super) fn reorders(&self) -> bool {
        self.order == Order::WithinKeys && (self.actions.len() > 1 || self.before.iter().any(Option::is_some))
    }

    /// Rows that were not refused beforehand, ascending.
    pub(super) fn good_rows(&self) -> Vec<usize> {
        (0..self.action_of.len()).filter(|row| !self.rejected.contains_key(row)).collect()
    }

    pub(super) fn action(&self, row: usize) -> &Action {
        self.action_of.get(row).and_then(|place| self.actions.get(*place)).unwrap_or(&Action::Delete)
    }

    /// The waves, each to be done before the next. Deletions come first in each.
    pub(super) fn waves(&self) -> Vec<Vec<Step>> {
        if self.order != Order::WithinKeys {
            return self.runs();
        }
        if self.last.is_empty() {
            return vec![self.steps(&self.good_rows())];
        }
        let mut waves: Vec<Vec<usize>> = vec![Vec::with_capacity(self.last.len())];
        for (key, last) in self.last.iter().enumerate() {
            let alone = self.before.get(*last).is_none_or(Option::is_none);
            let rows = if alone { vec![] } else { self.decisive(key) };
            for (depth, row) in if alone { std::slice::from_ref(last) } else { &rows }.iter().enumerate() {
                match waves.get_mut(depth) {
                    Some(wave) => wave.push(*row),
                    None => waves.push(vec![*row]),
                }
            }
        }
        waves.iter_mut().for_each(|wave| wave.sort_unstable());
        waves.iter().map(|wave| self.steps(wave)).collect()
    }

    /// Where all is written in order: rows that follow each other and have one action, up to the next of a key that is among them.
    fn runs(&self) -> Vec<Vec<Step>> {
        let mut runs: Vec<Step> = Vec::new();
        for row in self.good_rows() {
            let before = self.before.get(row).copied().flatten();
            let goes_on = |run: &Step| {
                let is_new = before.is_none_or(|before| run.rows.first().is_none_or(|first| before < *first));
                self.order == Order::Steps && run.action == *self.action(row) && is_new
            };
            match runs.last_mut().filter(|run| goes_on(run)) {
                Some(run) => run.rows.push(row),
                None => runs.push(Step { action: self.action(row).clone(), rows: vec![row] }),
            }
        }
        runs.into_iter().map(|run| vec![run]).collect()
    }

    fn steps(&self, rows: &[usize]) -> Vec<Step> {
        let mut of_action: Vec<Vec<usize>> = vec![Vec::new(); self.actions.len()];
        for &row in rows {
            if let Some(rows) = self.action_of.get(row).and_then(|place| of_action.get_mut(*place)) {
                rows.push(row);
            }
        }
        let steps = self.actions.iter().zip(of_action).filter(|(_, rows)| !rows.is_empty());
        let mut steps: Vec<Step> = steps.map(|(action, rows)| Step { action: action.clone(), rows }).collect();
        steps.sort_by(|a, b| a.action.cmp(&b.action));
        steps
    }

    /// The rows of one key that leave a trace, in order: from the last back, each that sets a field no later one sets, up to
    /// a deletion. A row that loses to one before it sets nothing.
    fn decisive(&self, key: usize) -> Vec<usize> {
        let mut kept = Vec::new();
        let mut set = BTreeSet::new();
        let losers = self.losers(key);
        for row in self.back(key).filter(|row| !losers.contains(row)) {
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

    /// The rows of one key that have a lower version than one before them, up to its last deletion.
    fn losers(&self, key: usize) -> BTreeSet<usize> {
        if self.versions.is_empty() {
            return BTreeSet::new();
        }
        let mut rows: Vec<usize> = self.back(key).take_while(|row| *self.action(*row) != Action::Delete).collect();
        rows.reverse();
        let mut highest = i64::MIN;
        rows.retain(|row| {
            let version = self.versions.get(*row).copied().unwrap_or_default();
            highest = highest.max(version);
            version < highest
        });
        rows.into_iter().collect()
    }

    /// Whether a row of a later wave is to be left for `replays`.
    pub(super) fn is_replayed(&self, row: usize) -> bool {
        self.key_of.get(row).copied().flatten().is_some_and(|key| self.replayed.contains(&key))
    }

    /// A row was refused in its wave: it is rejected, or all rows of its key are tried again in order.
    pub(super) fn refused(&mut self, row: usize, refusal: Refusal) {
        let key = self.key_of.get(row).copied().flatten();
        // Where all rows are written in order, those before a refused one stand.
        let alone = self.order != Order::WithinKeys || key.is_none_or(|key| self.back(key).nth(1).is_none());
        match key {
            Some(key) if !alone => {
                self.replayed.insert(key);
            }
            _ => self.reject(row, refusal),
        }
    }

    /// Rows to write one by one after the waves: per key in order, so that its last good row stands.
    pub(super) fn replays(&self) -> Vec<usize> {
        let rows = |key: &usize| {
            let mut rows: Vec<usize> = self.back(*key).collect();
            rows.reverse();
            rows
        };
        self.replayed.iter().flat_map(rows).collect()
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

/// The action of each row: rows of one table mostly have the same.
fn actions(view: &View<'_>) -> (Vec<Action>, Vec<usize>) {
    let whole: Shape = (0..view.fields.len()).collect();
    if view.has_no_deletes() && view.fields.iter().all(super::cells::Field::is_in_every_row) {
        return (vec![Action::Write(whole)], vec![0; view.count]);
    }
    let (mut actions, mut places) = (Vec::new(), HashMap::new());
    let action_of = (0..view.count).map(|row| {
        let action = if view.is_delete(row) {
            Action::Delete
        } else {
            Action::Write(whole.iter().copied().filter(|field| view.fields.get(*field).is_some_and(|f| f.has(row))).collect())
        };
        *places.entry(action).or_insert_with_key(|action| {
            actions.push(action.clone());
            actions.len() - 1
        })
    });
    let action_of = action_of.collect();
    (actions, action_of)
}

/// The version of each row; none where they do not count, or are no integers.
pub(super) fn versions(view: &View<'_>) -> Vec<i64> {
    let Some(field) = view.version.and_then(|place| view.fields.get(place)) else { return Vec::new() };
    (0..view.count).map(|row| if let Cell::Int(version) = field.cell(row) { version } else { i64::MIN }).collect()
}

/// A key that outlives its row.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum OwnedKey {
    Int(i64),
    Bytes(Box<[u8]>),
}

impl From<Key<'_>> for OwnedKey {
    fn from(key: Key<'_>) -> Self {
        match key {
            Key::Int(value) => Self::Int(value),
            Key::Bytes(bytes) => Self::Bytes(bytes.into()),
            Key::Many(bytes) => Self::Bytes(bytes.into()),
        }
    }
}

pub(super) fn key<'a>(view: &View<'a>, row: usize) -> Key<'a> {
    let only = if let [place] = view.key.as_slice() { view.fields.get(*place) } else { None };
    match only.map(|field| field.cell(row)) {
        Some(Cell::Int(value)) => Key::Int(value),
        Some(Cell::Bytes(value)) => Key::Bytes(value),
        _ => Key::Many(key_bytes(view, row)),
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
