//! What an operator does with a connector's place while it is stopped: look, set, forget. Owns where a place is kept and in
//! which order the copies of it change; asks nobody and prints nothing.

use crate::capability::sql::SqlError;
use crate::supervisor::StartError;
use crate::topic_log::LogError;

mod sink;
mod source;

pub use sink::{Kept, Move, PartitionOffset, SinkOffsets, To};
pub use source::SourcePlaces;

/// Why a place cannot be shown or moved.
#[derive(Debug, thiserror::Error)]
pub enum OffsetsError {
    #[error("topic log: {0}")]
    Log(#[from] LogError),
    #[error("{0}")]
    Database(#[from] SqlError),
    #[error("{0}")]
    Start(#[from] StartError),
    /// What was asked for cannot be; the text says what can.
    #[error("{0}")]
    Refused(String),
    /// Half of it happened; the text says which half.
    #[error("{0}")]
    Half(String),
}
