//! Whether the thread that serves a group is alive: a process that stood still (a machine that was paused) finds out from it before it
//! believes what it knew.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Between the end of the patience here and the end of the session at the broker.
const MARGIN: Duration = Duration::from_secs(1);

/// When the group was served last.
pub(super) struct Pulse {
    since: Instant,
    /// Milliseconds after `since`.
    last: AtomicU64,
    patience: Duration,
}

impl Pulse {
    /// `session`: after so long without a sign of life a member's partitions are another's. The broker counts it from the last
    /// heartbeat, which may be a whole `heartbeat` older than the last turn here; some of it goes to what then is still under way.
    pub(super) fn new(session: Duration, heartbeat: Duration) -> Self {
        let patience = session.saturating_sub(heartbeat + MARGIN).max(session / 2);
        Self { since: Instant::now(), last: AtomicU64::new(0), patience }
    }

    pub(super) fn beat(&self, now: Instant) {
        self.last.store(self.millis(now), Ordering::Relaxed);
    }

    pub(super) fn has_stopped(&self, now: Instant) -> bool {
        let quiet = self.millis(now).saturating_sub(self.last.load(Ordering::Relaxed));
        Duration::from_millis(quiet) >= self.patience
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_was_not_served_for_a_session_less_a_heartbeat_stood_still_until_it_is_served_again() {
        let (pulse, begin) = (Pulse::new(Duration::from_secs(10), Duration::from_secs(3)), Instant::now());
        let after = |seconds: u64| begin + Duration::from_secs(seconds);
        pulse.beat(after(10));
        assert!(!pulse.has_stopped(after(15)));
        // Its last heartbeat may have been at 7: the broker gives its partitions away at 17.
        assert!(pulse.has_stopped(after(16)));
        pulse.beat(after(17));
        assert!(!pulse.has_stopped(after(17)) && !pulse.has_stopped(after(22)));
    }

    #[test]
    fn a_short_session_is_not_over_after_less_than_half_of_it() {
        let (pulse, begin) = (Pulse::new(Duration::from_secs(6), Duration::from_secs(6)), Instant::now());
        pulse.beat(begin);
        assert!(!pulse.has_stopped(begin + Duration::from_secs(2)) && pulse.has_stopped(begin + Duration::from_secs(3)));
    }
}
