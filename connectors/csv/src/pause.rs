//! The wait between a look that leaves a last line without an end and the look that takes it. It is spent within polls, which say that
//! there is more: the source is not at rest before that line is read, or has grown.

use std::thread;
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub struct Pause {
    until: Option<Instant>,
}

impl Pause {
    /// The next look is to come after this long.
    pub fn begin(&mut self, interval: Duration) {
        self.until = Instant::now().checked_add(interval);
    }

    /// Waits for as long as one poll may. False: it is not over.
    pub fn is_over(&mut self, wait: Duration) -> bool {
        let Some(until) = self.until else { return true };
        let left = until.saturating_duration_since(Instant::now());
        thread::sleep(left.min(wait));
        if left <= wait {
            self.until = None;
        }
        self.until.is_none()
    }

    #[cfg(test)]
    pub const fn is_on(&self) -> bool {
        self.until.is_some()
    }
}
