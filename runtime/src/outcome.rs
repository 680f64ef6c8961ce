//! What became of records: the words of `wit/v0.1/types.wit` for verdicts, as host types. No I/O.

use std::time::Duration;

use crate::batch::Batch;
use crate::topic_log::Position;

/// Why a record can never be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Short and stable; dead letters are grouped by it.
    pub code: String,
    pub message: String,
    /// JSON pointer (RFC 6901) to the field at fault.
    pub field: Option<String>,
}

impl Rejection {
    #[must_use]
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), field: None }
    }
}

/// What to do with one record that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Try again, after this long or the host's backoff.
    Retry(Option<Duration>),
    Reject(Rejection),
}

/// The verdict on the record at `index` of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub index: u32,
    pub verdict: Verdict,
}

/// What one `poll` of a source answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Polled {
    pub records: Batch,
    pub rejects: Vec<Outcome>,
    pub positions: Vec<Position>,
    pub idle: Duration,
    pub finished: bool,
}

/// What one `write` of a sink answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    pub outcomes: Vec<Outcome>,
    pub buffered: bool,
}

/// What one `apply` of a transform answered; see `wit/v0.1/worlds.wit`, record `delta`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    pub inputs: Vec<u32>,
    pub key_lens: Vec<i32>,
    pub value_lens: Vec<i32>,
    pub header_counts: Vec<i32>,
    pub header_lens: Vec<i32>,
    pub topic_of: Vec<i32>,
    pub topics: Vec<String>,
    pub data: Vec<u8>,
    pub rejects: Vec<Outcome>,
}
