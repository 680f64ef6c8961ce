//! Whose fault an error is that Odoo tells of a row: the record's, the database's, or nobody can say. Counts the calls in which the
//! last two kinds came for a record. Sends nothing.

use std::collections::BTreeMap;

use wharf_sdk::{Error, Result};

use crate::groups::Row;

/// In so many calls a record is tried before it is taken for the cause of an error that may pass.
pub const TRIES: u32 = 5;
/// The same for an error that passes by its own words, of calls between which other records were written. Where none are, the
/// database is what fails.
pub const PASSING_TRIES: u32 = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// A lost race, or a full disk: it passes, whatever the record.
    Passing,
    /// An error in Odoo's code, which the record may be the cause of or not.
    Doubtful,
    Record,
}

/// By a text of Odoo's import, which tells all errors as if the row were wrong. Its own words are translated, so the name of a Python
/// class is looked for besides. It quotes what the row holds: words that stand in one of its values prove nothing.
#[must_use]
pub fn of<'a>(text: &str, values: &(impl Iterator<Item = &'a str> + Clone)) -> Blame {
    const PASSING: [&str; 5] = [
        "could not serialize access",
        "deadlock detected",
        "could not obtain lock",
        "canceling statement",
        "No space left on device",
    ];
    const DOUBTFUL: [&str; 4] =
        ["Unknown error during import", "<class '", "Unknown database error", "current transaction is aborted"];
    let mut passing = PASSING.iter().filter(|part| text.contains(**part)).peekable();
    if passing.peek().is_none() {
        return if DOUBTFUL.iter().any(|part| text.contains(part)) { Blame::Doubtful } else { Blame::Record };
    }
    if passing.any(|part| !wharf_odoo_api::is_in(part, values.clone())) { Blame::Passing } else { Blame::Doubtful }
}

/// Calls in which Odoo failed over records, by their external ids.
#[derive(Debug, Default)]
pub struct Tries {
    doubtful: BTreeMap<String, u32>,
    passing: BTreeMap<String, Passing>,
    /// Requests that Odoo took.
    written: u64,
}

#[derive(Debug)]
struct Passing {
    calls: u32,
    /// [`Tries::written`] at the last of them.
    written: u64,
}

impl Tries {
    /// Counts a failure; gives the text back once the record is to be rejected with it.
    ///
    /// # Errors
    /// `retry` before that.
    pub fn again(&mut self, name: &str, text: String) -> Result<String> {
        let tries = self.doubtful.entry(name.to_owned()).or_default();
        *tries += 1;
        if *tries < TRIES { Err(Error::retry(text)) } else { Ok(text) }
    }

    /// The same of a failure that passes: it counts where other records were written since the last one.
    ///
    /// # Errors
    /// `retry` before the record is to be rejected.
    pub fn pass(&mut self, name: &str, text: String) -> Result<String> {
        let tries = self.passing.entry(name.to_owned()).or_insert(Passing { calls: 0, written: self.written });
        if self.written > tries.written {
            *tries = Passing { calls: tries.calls + 1, written: self.written };
        }
        if tries.calls < PASSING_TRIES { Err(Error::retry(text)) } else { Ok(text) }
    }

    /// Odoo took a request.
    pub const fn wrote(&mut self) {
        self.written += 1;
    }

    /// These are written or rejected.
    pub fn forget(&mut self, rows: &[Row]) {
        for row in rows {
            self.doubtful.remove(&row.name);
            self.passing.remove(&row.name);
        }
    }
}
