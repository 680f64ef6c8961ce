//! Whether the thread that serves a group is alive: a process that stood still (a machine that was paused) finds out from it before it
//! believes what it knew.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When the group was served last.
pub(super) struct Pulse {
    since: Instant,
    /// Milliseconds after `since`.
    last: AtomicU64,
    session: Duration,
}

impl Pulse {
    /// `session`: after so long without a sign of life a member's partitions are another's.
    pub(super) fn new(session: Duration) -> Self {
        Self { since: Instant::now(), last: AtomicU64::new(0), session }
    }

    pub(super) fn beat(&self, now: Instant) {
        self.last.store(self.millis(now), Ordering::Relaxed);
    }

    pub(super) fn has_stopped(&self, now: Instant) -> bool {
        let quiet = self.millis(now).saturating_sub(self.last.load(Ordering::Relaxed));
        Duration::from_millis(quiet) >= self.session
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_was_not_served_for_a_session_stood_still_until_it_is_served_again() {
        let (pulse, begin) = (Pulse::new(Duration::from_secs(6)), Instant::now());
        let after = |seconds: u64| begin + Duration::from_secs(seconds);
        pulse.beat(after(10));
        assert!(!pulse.has_stopped(after(15)));
        assert!(pulse.has_stopped(after(17)));
        pulse.beat(after(17));
        assert!(!pulse.has_stopped(after(17)) && !pulse.has_stopped(after(22)));
    }
}
