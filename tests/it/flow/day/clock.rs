//! The day's clock: 1,440 minutes, compressed, and how busy each hour is.

use std::time::{Duration, Instant};

/// Minutes of the day.
pub const MINUTES: u32 = 24 * 60;

/// How busy an hour is, in percent of the busiest: the night is quiet, noon and evening are not.
const BUSTLE: [u32; 24] = [4, 2, 1, 1, 2, 6, 14, 30, 45, 55, 70, 90, 100, 85, 60, 55, 60, 75, 95, 100, 80, 45, 22, 10];

pub fn bustle(minute: u32) -> u32 {
    BUSTLE[minute as usize / 60 % 24]
}

#[derive(Debug, Clone, Copy)]
pub struct Clock {
    began: Instant,
    minute: Duration,
}

impl Clock {
    /// The day begins now, and takes so long.
    pub fn start(day: Duration) -> Self {
        Self { began: Instant::now(), minute: day / MINUTES }
    }

    /// Waits for a minute of the day. Whoever is late does not wait: the day's events keep their order, and none is left out.
    pub async fn until(&self, minute: u32) {
        tokio::time::sleep_until((self.began + self.minute * minute).into()).await;
    }
}
