//! What is news: whether an entity was read before. Owns the age at which that is forgotten.

use super::Reader;
use crate::cursor::Cursor;

/// Full reads remember what they saw of so many entities; beyond, each read produces all of them.
const REMEMBERED: usize = 1_000_000;

impl Reader {
    /// Whether full reads no longer know what they saw: the set is too large.
    #[must_use]
    pub fn forgets(&self) -> bool {
        self.plan.cursor.is_none() && self.seen.len() >= REMEMBERED
    }

    /// What `seen` counts ages from.
    pub(super) fn now(&self) -> i64 {
        self.high.as_ref().and_then(|high| high.time).unwrap_or(self.tick)
    }

    /// What is before this is out of the overlap. Only times have one; of other cursors the highest itself is read again.
    pub(super) fn floor(&self) -> i64 {
        self.high.as_ref().and_then(|high| self.plan.window(high)).unwrap_or(self.tick)
    }

    /// Whether this key with this value was not the last that was read of it; from now on it is.
    pub(super) fn is_new(&mut self, key: u64, value: u64, cursor: Option<&Cursor>) -> bool {
        if self.plan.cursor.is_some() && cursor.is_none() {
            // A null cursor passes no `ge`: it comes once, in the first read.
            self.fresh = true;
            return true;
        }
        let new = !self.seen.holds(key, value);
        self.fresh |= new;
        if self.plan.cursor.is_some() || self.seen.len() < REMEMBERED {
            self.seen.insert(key, value, cursor.and_then(|cursor| cursor.time).unwrap_or(self.tick));
        }
        new
    }
}
