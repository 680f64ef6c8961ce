//! Which dead letters are meant. Pure.

use super::letter::Letter;

/// All that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// One of these codes; empty: any.
    pub codes: Vec<String>,
    /// Died at or after, and before; milliseconds since the epoch.
    pub since: Option<i64>,
    pub until: Option<i64>,
    /// `topic/partition/offset` of the record, or of the letter itself.
    pub place: Option<String>,
}

impl Filter {
    #[must_use]
    pub fn takes(&self, letter: &Letter<'_>) -> bool {
        (self.codes.is_empty() || self.codes.iter().any(|code| code == letter.code))
            && self.since.is_none_or(|since| letter.time >= since)
            && self.until.is_none_or(|until| letter.time < until)
            && self.place.as_ref().is_none_or(|place| *place == letter.place() || *place == letter.origin())
    }
}
