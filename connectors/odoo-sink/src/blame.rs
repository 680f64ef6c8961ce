//! Whose fault an error is that Odoo tells of a row: the record's, the database's, or nobody can say. Counts the calls in which the last
//! kind came for a record. Sends nothing.

use std::collections::BTreeMap;

use wharf_sdk::{Error, Result};

use crate::groups::Row;

/// In so many calls a record is tried before it is taken for the cause of an error that may pass.
pub const TRIES: u32 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// A lost race, or a full disk: it passes, whatever the record.
    Passing,
    /// An error in Odoo's code, which the record may be the cause of or not.
    Doubtful,
    Record,
}

/// By a text of Odoo's import, which tells all errors as if the row were wrong. Its own words are translated, so the name of a Python
/// class is looked for besides.
#[must_use]
pub fn of(text: &str) -> Blame {
    const PASSING: [&str; 5] = [
        "could not serialize access",
        "deadlock detected",
        "could not obtain lock",
        "canceling statement",
        "No space left on device",
    ];
    const DOUBTFUL: [&str; 4] =
        ["Unknown error during import", "<class '", "Unknown database error", "current transaction is aborted"];
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    match (has(&PASSING), has(&DOUBTFUL)) {
        (true, _) => Blame::Passing,
        (_, true) => Blame::Doubtful,
        _ => Blame::Record,
    }
}

/// Calls in which Odoo failed over a record, by its external id.
#[derive(Debug, Default)]
pub struct Tries(BTreeMap<String, u32>);

impl Tries {
    /// Counts a failure; gives the text back once the record is to be rejected with it.
    ///
    /// # Errors
    /// `retry` before that.
    pub fn again(&mut self, name: &str, text: String) -> Result<String> {
        let tries = self.0.entry(name.to_owned()).or_default();
        *tries += 1;
        if *tries < TRIES { Err(Error::retry(text)) } else { Ok(text) }
    }

    /// These are written or rejected.
    pub fn forget(&mut self, rows: &[Row]) {
        for row in rows {
            self.0.remove(&row.name);
        }
    }
}
