//! Backoff: how long to wait before the next try, when to give up, and what is said of both. Owns the arithmetic; reads no
//! clock and does no I/O.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant, SystemTime};

use crate::config::{Connector, Retry};

/// Longest delay that is computed.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// The longest wait that a target may ask for (`Retry-After`), unless the backoff's own is longer. A wrong date there, years
/// ahead, would park a sink for good; one try an hour troubles nobody.
pub const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// Exponential backoff with jitter and a budget of time. One per thing that is tried; [`Backoff::reset`] after success.
#[derive(Debug, Clone)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
    budget: Option<Duration>,
    /// State of the jitter's generator (SplitMix64).
    random: u64,
    retries: u32,
    first: Option<Instant>,
    /// What the target asked for last, as it asked.
    asked: Option<Duration>,
}

impl Backoff {
    /// `seed` decides the jitter: [`seed`] gives one that differs between tasks and workers, so that they don't come back together.
    #[must_use]
    pub fn new(config: &Retry, seed: u64) -> Self {
        let max = config.max.max(config.initial);
        Self { initial: config.initial, max, budget: config.budget, random: seed, retries: 0, first: None, asked: None }
    }

    /// For something that a task of this connector does.
    #[must_use]
    pub fn of(connector: &Connector, task: u32) -> Self {
        Self::new(&connector.retry, seed(&connector.name, task))
    }

    /// How long to wait after the failure at `now`; `None`: the budget is used up, counted from the first failure.
    ///
    /// The delay doubles from `initial` to `max`, and half of it is random. `after` is what the target asked for: it wins where
    /// it is longer, even over `max`, up to [`LONGEST_ASKED`]. Whatever the wait, it is cut so that one last try falls on the
    /// budget's end.
    pub fn next(&mut self, now: Instant, after: Option<Duration>) -> Option<Duration> {
        let first = *self.first.get_or_insert(now);
        self.asked = after.or(self.asked);
        let left = self.budget.map(|budget| budget.saturating_sub(now.saturating_duration_since(first)));
        if left.is_some_and(|left| left.is_zero()) {
            return None;
        }
        let computed = self.jittered();
        self.retries = self.retries.saturating_add(1);
        let wanted = after.map_or(computed, |after| after.min(LONGEST_ASKED).max(computed));
        Some(wanted.min(left.unwrap_or(Duration::MAX)))
    }

    /// [`Backoff::next`] would give up after a failure at `now`.
    #[must_use]
    pub fn is_used_up(&self, now: Instant) -> bool {
        let used = self.first.map(|first| now.saturating_duration_since(first));
        self.budget.zip(used).is_some_and(|(budget, used)| used >= budget)
    }

    /// For people: a wait that begins at `now`, and whether the target has asked for a longer one.
    #[must_use]
    pub fn told(&self, message: &str, wait: Duration, now: SystemTime) -> String {
        let at = now.checked_add(wait).and_then(|at| jiff::Timestamp::try_from(at).ok());
        let at = at.map_or_else(|| format!("in {wait:?}"), |at| format!("at {at:.0}"));
        let sooner = self.asked.filter(|asked| *asked > wait);
        let sooner =
            sooner.map_or_else(String::new, |asked| format!(", sooner than asked for: the target said to wait {asked:?}"));
        format!("{message}; next try {at}{sooner}")
    }

    /// For people: that the budget is used up, after how many tries, and what the target had asked for.
    #[must_use]
    pub fn given_up(&self) -> String {
        let budget = self.budget.unwrap_or_default();
        let asked = self.asked.map_or_else(String::new, |asked| format!(", while the target asked to wait {asked:?}"));
        format!("gave up after {} tries, when the retry budget of {budget:?} was used up{asked}", self.attempt())
    }

    fn jittered(&mut self) -> Duration {
        let factor = 1u32.checked_shl(self.retries).unwrap_or(u32::MAX);
        let full = self.initial.saturating_mul(factor).min(self.max);
        // 32 bits of the random number: 0 to 1 of the upper half.
        let part = u32::try_from(self.random() >> 32).unwrap_or(u32::MAX);
        // Nobody waits that long, and the arithmetic below ends there.
        let full = full.min(LONGEST);
        full.mul_f64(0.5 + f64::from(part) / f64::from(u32::MAX) / 2.0).min(full)
    }

    const fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// After a success: the next failure is a first one.
    pub const fn reset(&mut self) {
        self.retries = 0;
        self.first = None;
        self.asked = None;
    }

    /// Number of the delivery attempt that comes next, from 1.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.retries.saturating_add(1)
    }
}

/// Of one task's jitter: no two tasks of a deployment share it, nor two workers of one task.
#[must_use]
pub fn seed(connector: &str, task: u32) -> u64 {
    let mut hasher = DefaultHasher::new();
    (connector, task, std::process::id()).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
