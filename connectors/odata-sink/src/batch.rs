//! Several operations in one request, `$batch`: its two formats, and the answers matched to what they answer. Sends nothing and judges
//! no answer. What was not answered stays unanswered here: it may have been done or not.

use wharf_sdk::http::Request;

use crate::config::Format;
use crate::operation::{Answer, Operation};

mod json;
mod multipart;

/// The answers to a `$batch`, in the order of its operations.
#[derive(Debug, PartialEq, Eq)]
pub struct Answers {
    /// `None`: the service did not say, or its answer was cut off before.
    pub of: Vec<Option<Answer>>,
    /// Whether the answer came to its end.
    pub whole: bool,
}

/// An answer that is no `$batch`. Texts show no values.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadBatch {
    #[error("the answer to $batch is `{0}` in place of multipart/mixed")]
    Content(String),
    #[error(
        "the answer to $batch names {id} where {place} was due: what answers what cannot be told; `config.batch = 1` does without"
    )]
    Id { id: usize, place: usize },
    #[error("the answer to $batch is no JSON with `responses`, or was cut off")]
    Json,
}

/// Content type and body go into `request`.
#[must_use]
pub fn write(format: Format, request: Request, operations: &[Operation]) -> Request {
    match format {
        Format::Multipart => multipart::write(request, operations),
        Format::Json => json::write(request, operations),
    }
}

/// `body` may be cut off anywhere.
///
/// # Errors
/// [`BadBatch`] where nothing can be told from it.
pub fn read(format: Format, content: &str, body: &[u8], count: usize) -> Result<Answers, BadBatch> {
    match format {
        Format::Multipart => multipart::read(content, body, count),
        Format::Json => json::read(body, count),
    }
}
