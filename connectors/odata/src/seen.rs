//! What was read already, by key: so that an entity which is read again produces a record only where it changed. Holds
//! hashes, no values.

use std::collections::HashMap;

use wharf_packing::varint;

/// Entities by the hash of their key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    entries: HashMap<u64, Entry>,
    /// Number of entries at which old ones are looked for next.
    prune_at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    value: u64,
    /// Microseconds of the cursor, or the number of the read that found it last.
    at: i64,
}

impl Seen {
    /// Whether this very entity was read: its key with this value last.
    #[must_use]
    pub fn holds(&self, key: u64, value: u64) -> bool {
        self.entries.get(&key).is_some_and(|entry| entry.value == value)
    }

    pub fn insert(&mut self, key: u64, value: u64, at: i64) {
        self.entries.insert(key, Entry { value, at });
    }

    /// Forgets what is before `floor`. Looks only when the number of entries has doubled, or when `now` is set.
    pub fn forget_before(&mut self, floor: i64, now: bool) {
        if now || self.entries.len() >= self.prune_at {
            self.entries.retain(|_, entry| entry.at >= floor);
            self.prune_at = (self.entries.len() * 2).max(1024);
        }
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Packed for a position: per entry the two hashes, and how far it is before `high`, as LEB128; then base64. About 28
    /// characters an entry, sorted, so that equal contents have equal text.
    #[must_use]
    pub fn pack(&self, high: i64) -> String {
        let mut entries: Vec<_> =
            self.entries.iter().map(|(key, entry)| (high.saturating_sub(entry.at).max(0), *key, entry.value)).collect();
        entries.sort_unstable();
        let mut bytes = Vec::with_capacity(entries.len() * 20);
        for (age, key, value) in entries {
            bytes.extend(key.to_be_bytes());
            bytes.extend(value.to_be_bytes());
            varint::push(&mut bytes, age.unsigned_abs());
        }
        wharf_packing::text(&bytes)
    }

    /// What [`Seen::pack`] wrote; `None` for anything else.
    #[must_use]
    pub fn unpack(text: &str, high: i64) -> Option<Self> {
        let bytes = wharf_packing::bytes(text)?;
        let mut rest = bytes.as_slice();
        let mut seen = Self::default();
        while !rest.is_empty() {
            let [key, value] = [wharf_packing::take(&mut rest)?, wharf_packing::take(&mut rest)?].map(u64::from_be_bytes);
            let at = high.checked_sub(i64::try_from(varint::take(&mut rest)?).ok()?)?;
            seen.insert(key, value, at);
        }
        Some(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_counts_as_seen_only_with_its_last_value() {
        let mut seen = Seen::default();
        seen.insert(1, 10, 0);
        assert!(seen.holds(1, 10));
        seen.insert(1, 11, 0);
        assert!(seen.holds(1, 11));
        assert!(!seen.holds(1, 10), "A, B, A again: the last A is news");
        assert!(!seen.holds(2, 11));
    }

    #[test]
    fn what_is_before_the_overlap_is_forgotten() {
        let mut seen = Seen::default();
        (0..5000_i64).for_each(|n| {
            seen.insert(n.unsigned_abs(), 0, n);
            seen.forget_before(n - 10, false);
        });
        assert!(seen.len() < 1100, "{}", seen.len());
        seen.forget_before(4990, true);
        assert_eq!(seen.len(), 10);
        assert!(seen.holds(4990, 0) && !seen.holds(4989, 0));
    }

    #[test]
    fn a_position_restores_what_was_packed() {
        let mut seen = Seen::default();
        seen.insert(u64::MAX, 1, 1_000_000_000);
        seen.insert(2, u64::MAX, 999_000_000);
        seen.insert(3, 3, 1_000_000_000 - 60_000_000);
        let text = seen.pack(1_000_000_000);
        assert_eq!(Seen::unpack(&text, 1_000_000_000).unwrap().entries, seen.entries);
        assert_eq!(Seen::unpack("", 7).unwrap(), Seen::default());
        assert_eq!(Seen::unpack(&text[..10], 7), None);
        assert_eq!(Seen::unpack("not base64!", 7), None);
    }
}
