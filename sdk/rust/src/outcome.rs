//! What became of single records: a rejection, and the sparse list of records that were not accepted.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bindings::{sink, types};
use crate::error::milliseconds;

/// Why a record can never be delivered. It goes to the dead-letter topic with this text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Short, stable, lower-case with dots or dashes (`csv.width`); dead letters are grouped by it.
    pub code: String,
    /// One sentence for the person who reads the dead letter.
    pub message: String,
    /// JSON pointer (RFC 6901) into the value, where one field is at fault.
    pub field: Option<String>,
}

impl Rejection {
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), field: None }
    }

    /// Names the field at fault by its JSON pointer.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.field = Some(pointer.into());
        self
    }
}

impl From<Rejection> for types::Rejection {
    fn from(r: Rejection) -> Self {
        Self { code: r.code, message: r.message, field: r.field }
    }
}

/// The verdict on one record that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Try it again, after this long or after the host's backoff. What follows it with the same key waits.
    Retry(Option<Duration>),
    Reject(Rejection),
}

/// A rejection that was just noted, to add where in the record the fault is.
#[derive(Debug)]
pub struct Rejected<'a>(&'a mut Verdict);

impl Rejected<'_> {
    /// Names the field at fault by its JSON pointer.
    pub fn field(self, pointer: impl Into<String>) {
        if let Verdict::Reject(rejection) = self.0 {
            rejection.field = Some(pointer.into());
        }
    }
}

/// What [`Sink::write`](crate::Sink::write) answers: every record that it does not name was accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcomes {
    verdicts: BTreeMap<u32, Verdict>,
    buffered: bool,
}

impl Outcomes {
    /// All records were accepted.
    #[must_use]
    pub fn accepted() -> Self {
        Self::default()
    }

    /// This record can never be delivered. A second verdict on a record replaces the first.
    pub fn reject(&mut self, index: u32, code: impl Into<String>, message: impl Into<String>) -> Rejected<'_> {
        let verdict = Verdict::Reject(Rejection::new(code, message));
        Rejected(self.verdicts.entry(index).insert_entry(verdict).into_mut())
    }

    /// As [`Outcomes::reject`], for a rejection that is at hand.
    pub fn push(&mut self, index: u32, rejection: Rejection) {
        self.verdicts.insert(index, Verdict::Reject(rejection));
    }

    /// Try this record again after the host's backoff.
    pub fn retry(&mut self, index: u32) {
        self.verdicts.insert(index, Verdict::Retry(None));
    }

    /// Try this record again after this long.
    pub fn retry_after(&mut self, index: u32, wait: Duration) {
        self.verdicts.insert(index, Verdict::Retry(Some(wait)));
    }

    /// What was accepted is not durable before the next [`Sink::flush`](crate::Sink::flush); its offsets wait for that.
    pub fn buffered(&mut self) -> &mut Self {
        self.buffered = true;
        self
    }

    #[must_use]
    pub const fn is_buffered(&self) -> bool {
        self.buffered
    }

    /// The verdict on a record; `None`: accepted.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<&Verdict> {
        self.verdicts.get(&index)
    }

    /// Verdicts by ascending index.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Verdict)> {
        self.verdicts.iter().map(|(index, verdict)| (*index, verdict))
    }

    /// Number of records that were not accepted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.verdicts.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.verdicts.is_empty()
    }
}

pub(crate) fn rejected(index: u32, rejection: Rejection) -> types::Outcome {
    types::Outcome { index, verdict: types::Verdict::Reject(rejection.into()) }
}

impl From<Outcomes> for sink::exports::wharf::connector::sink_guest::Written {
    fn from(outcomes: Outcomes) -> Self {
        let verdicts = outcomes.verdicts.into_iter().map(|(index, verdict)| match verdict {
            Verdict::Retry(after) => types::Outcome { index, verdict: types::Verdict::Retry(after.map(milliseconds)) },
            Verdict::Reject(rejection) => rejected(index, rejection),
        });
        Self { outcomes: verdicts.collect(), buffered: outcomes.buffered }
    }
}
