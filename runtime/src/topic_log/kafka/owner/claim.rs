//! Who owns a source: stamps of workers' lives, newer claims, and when a silent owner counts as gone.

use std::time::{Duration, Instant};

use super::super::Shared;
use super::super::positions::{Sign, Stamp, Stored};
use crate::topic_log::{LogError, SourceOwner};

/// What this process knows of one source.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// It has owned the source under this stamp.
    pub(super) stamp: Option<Stamp>,
    /// Last entry that the newer owner wrote, as far as it was seen, and since when there is none after it.
    watched: Option<(i64, Instant)>,
}

impl Turn {
    /// A newer owner has the source: leave it alone, unless it has written nothing for a whole session.
    pub(super) fn stand_by(
        &mut self,
        owner: &SourceOwner,
        claim: &Stamp,
        (last, session): (Sign, Duration),
    ) -> Result<(), LogError> {
        let since = match self.watched {
            Some((seen, since)) if seen == last.offset => since,
            _ => Instant::now(),
        };
        self.watched = Some((last.offset, since));
        if since.elapsed() <= session {
            return Err(LogError::Standby(format!(
                "task {} of source `{}` was taken over by worker {} (host, process, start), started after this one; its last sign of \
                 life came {}. It is taken back when that one stops, or is silent for {session:?} (`session.timeout.ms`)",
                owner.task,
                owner.source,
                claim.worker,
                last.ago(since)
            )));
        }
        tracing::warn!(source = owner.source, worker = claim.worker, ?session, "the newer owner is silent: taking over");
        (self.stamp, self.watched) = (None, None);
        Ok(())
    }
}

/// A claim of the task that is newer than this owner's.
pub(super) fn newer<'a>(owner: &SourceOwner, stamp: &Stamp, found: &'a Stored) -> Option<&'a Stamp> {
    let newer = |claim: &&Stamp| claim.log == stamp.log && claim.worker != stamp.worker && claim.epoch > stamp.epoch;
    found.claims.get(&owner.task).filter(newer)
}

/// A start is always newer than what it finds, whatever the clocks say.
pub(super) fn stamp_after(shared: &Shared, (log, topic): (&str, Option<String>), found: &Stored) -> Stamp {
    let newest = found.claims.values().map(|claim| claim.epoch).max().unwrap_or(0);
    Stamp { log: log.to_owned(), worker: shared.worker.clone(), epoch: shared.started.max(newest.saturating_add(1)), topic }
}
