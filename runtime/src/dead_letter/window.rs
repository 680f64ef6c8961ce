//! The stop window: ends a connector that rejects nearly everything, instead of pouring its topic into the dead letters.
//! Owns the count; no I/O.

use std::collections::VecDeque;

use crate::config::DeadLetter;

/// The last records, good or dead, as runs.
#[derive(Debug, Clone)]
pub struct Window {
    size: usize,
    limit: usize,
    /// Dead?, and how many in a row; oldest first. Together at most `size`.
    runs: VecDeque<(bool, usize)>,
    filled: usize,
    dead: usize,
}

impl Window {
    #[must_use]
    pub const fn new(config: &DeadLetter) -> Self {
        Self { size: config.window_size, limit: config.window_limit, runs: VecDeque::new(), filled: 0, dead: 0 }
    }

    /// One step's records: `good` went well, `dead` died, and they count as spread evenly over the step. True: stop now, more
    /// than the limit of the last records are dead.
    #[must_use]
    pub fn step(&mut self, good: usize, dead: usize) -> bool {
        let (mut spread, mut stop) = (0, false);
        for nth in 1..=dead.min(self.size) {
            let before = good * nth / dead.min(self.size);
            self.add(false, before - spread);
            spread = before;
            self.add(true, 1);
            stop |= self.dead > self.limit;
        }
        self.add(false, good - spread);
        stop
    }

    /// The state in words, for the message of a stop.
    #[must_use]
    pub fn describe(&self) -> String {
        let (dead, filled, limit, size) = (self.dead, self.filled, self.limit, self.size);
        format!("{dead} of the last {filled} records were dead-lettered; the window allows {limit} of {size}")
    }

    fn add(&mut self, dead: bool, n: usize) {
        let n = n.min(self.size);
        if n == 0 {
            return;
        }
        match self.runs.back_mut() {
            Some((kind, count)) if *kind == dead => *count += n,
            _ => self.runs.push_back((dead, n)),
        }
        self.filled += n;
        self.dead += if dead { n } else { 0 };
        self.forget(self.filled.saturating_sub(self.size));
    }

    /// Drops the `excess` oldest.
    fn forget(&mut self, mut excess: usize) {
        while excess > 0 {
            let Some((dead, count)) = self.runs.front_mut() else { return };
            let gone = excess.min(*count);
            *count -= gone;
            self.dead -= if *dead { gone } else { 0 };
            self.filled -= gone;
            excess -= gone;
            if *count == 0 {
                self.runs.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests;
