//! What a log stores of how far its readers and sources are, to be looked at and moved while they are stopped: offsets of
//! groups and positions of sources. Pipelines do not use it; `wharf offsets` does.
//!
//! Rules, held by the suite that runs against both logs:
//! - Offsets of a group are moved only while it has no member; else the call is refused and nothing moves.
//! - What is stored for another log, or for an earlier topic of the same name, is told apart and never moved.

use async_trait::async_trait;

use super::{LogError, Mark, Position, Start, TopicPartition};

/// What is stored for one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredOffset {
    /// The next offset to read of this very log and topic; the one that counts.
    pub own: Option<i64>,
    /// How the own one is meant.
    pub mark: Mark,
    /// Offsets of another identity, never used: whose, and the offset.
    pub others: Vec<(Foreign, i64)>,
}

/// Whose an offset is that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreign {
    /// A log of this id.
    Log(String),
    /// An earlier topic of the same name, by its id.
    Topic(String),
}

impl std::fmt::Display for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Log(id) => write!(f, "another log ({id})"),
            Self::Topic(id) => write!(f, "an earlier topic of that name ({id})"),
        }
    }
}

/// Where a partition's stored offset goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetChange {
    pub partition: TopicPartition,
    pub topic_id: String,
    /// `None`: it is forgotten, and `start` decides.
    pub next: Option<i64>,
}

/// Positions of a source as they are stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredPositions {
    /// By slice.
    pub positions: Vec<Position>,
    /// Slices whose position belongs to another log; it is not used.
    pub foreign: Vec<String>,
}

/// Stored places of a log.
#[async_trait]
pub trait Places: Send + Sync {
    /// Who reads as a member of the group just now, in words; empty where nobody does. The embedded log knows those of this
    /// process alone: whoever writes to it holds the state-dir.
    async fn members(&self, group: &str) -> Result<Vec<String>, LogError>;
    /// The group's offsets of these partitions (each with its topic's id), in their order.
    async fn group_offsets(&self, group: &str, of: &[(TopicPartition, String)]) -> Result<Vec<StoredOffset>, LogError>;
    /// Moves or forgets offsets of a group.
    ///
    /// # Errors
    /// [`LogError::Fatal`] where the group has a member.
    async fn move_group(&self, group: &str, changes: &[OffsetChange]) -> Result<(), LogError>;
    /// The offset that `start` means now, for each partition.
    async fn offsets_at(&self, partitions: &[TopicPartition], start: Start) -> Result<Vec<i64>, LogError>;
    /// Positions of a source. Takes nothing over, so a source that runs may move them at the same time.
    async fn positions(&self, deployment: &str, source: &str) -> Result<StoredPositions, LogError>;
    /// Why a source would not start, where the positions that this worker has kept for it are gone. A log in a file of its own
    /// is gone with them.
    async fn lost_positions(&self, _deployment: &str, _source: &str) -> Result<Option<String>, LogError> {
        Ok(None)
    }
    /// Whoever takes the source over next, in this process, goes on with what is there.
    fn accept_loss(&self, _source: &str) {}
}
