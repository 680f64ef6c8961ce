//! Positions of one source. They are moved by taking the source over, as a task of it does at its start: one that still runs
//! elsewhere is fenced by that and cannot write its own over them, unless it is not exactly once.

use std::sync::Arc;

use super::OffsetsError;
use crate::config::{Config, SourceConfig};
use crate::topic_log::places::StoredPositions;
use crate::topic_log::{Position, SourceOwner, TopicLog};

/// The positions of one source.
pub struct SourcePlaces {
    log: Arc<dyn TopicLog>,
    owner: SourceOwner,
}

impl std::fmt::Debug for SourcePlaces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourcePlaces").field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl SourcePlaces {
    #[must_use]
    pub fn new(log: Arc<dyn TopicLog>, config: &Config, source: &SourceConfig) -> Self {
        let owner = SourceOwner::of(&config.name, source, 0);
        Self { log, owner }
    }

    /// What is stored.
    ///
    /// # Errors
    /// [`OffsetsError::Log`]
    pub async fn list(&self) -> Result<StoredPositions, OffsetsError> {
        Ok(self.log.positions(&self.owner.deployment, &self.owner.source).await?)
    }

    /// Why the source would not start, where the positions that this worker has kept for it are gone.
    ///
    /// # Errors
    /// [`OffsetsError::Log`]
    pub async fn lost(&self) -> Result<Option<String>, OffsetsError> {
        Ok(self.log.lost_positions(&self.owner.deployment, &self.owner.source).await?)
    }

    /// Takes the source over and stores these positions; an empty place forgets its slice. Positions that are gone are given up.
    ///
    /// # Errors
    /// [`OffsetsError::Log`]
    pub async fn store(&self, positions: &[Position]) -> Result<(), OffsetsError> {
        self.log.accept_loss(&self.owner.source);
        let mut owner = self.log.source(&self.owner).await?;
        if !positions.is_empty() {
            owner.append(&Arc::default(), positions).await?;
        }
        // A worker that stood by meanwhile goes on from there at once.
        owner.release().await?;
        // Closing waits for Kafka.
        drop(tokio::task::spawn_blocking(move || drop(owner)).await);
        Ok(())
    }
}
