//! The records that were read within the overlap, by id: so that one which is read again brings a record only where it changed.
//! Holds hashes, no values.

use std::collections::BTreeMap;

use wharf_packing::{first_of_hash, varint};

/// Bytes of a hash. Odoo shows whole seconds, so only the value tells of a second change within one.
const HASH: usize = 6;

/// The first 48 bits of a value's SHA-256: the same in every build, as positions outlive them.
pub type Hash = [u8; HASH];

#[must_use]
pub fn hash(bytes: &[u8]) -> Hash {
    first_of_hash(bytes)
}

/// Records by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen(BTreeMap<i64, Entry>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// Seconds of `write_date`.
    at: i64,
    hash: Hash,
}

impl Seen {
    /// Whether this record was read with this value last.
    #[must_use]
    pub fn holds(&self, id: i64, hash: Hash) -> bool {
        self.0.get(&id).is_some_and(|entry| entry.hash == hash)
    }

    pub fn insert(&mut self, id: i64, at: i64, hash: Hash) {
        self.0.insert(id, Entry { at, hash });
    }

    pub fn remove(&mut self, id: i64) {
        self.0.remove(&id);
    }

    pub fn forget_before(&mut self, floor: i64) {
        self.0.retain(|_, entry| entry.at >= floor);
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Packed for a position. For each second: how much later it is than the one before, the number of its records, and of each
    /// how much higher its id is and its hash; numbers as LEB128, all of it as base64. About ten characters a record.
    #[must_use]
    pub fn pack(&self) -> String {
        let mut seconds: BTreeMap<i64, Vec<(i64, Hash)>> = BTreeMap::new();
        for (id, entry) in &self.0 {
            seconds.entry(entry.at).or_default().push((*id, entry.hash));
        }
        let mut bytes = Vec::with_capacity(self.0.len() * 8);
        let mut before = 0;
        for (second, records) in seconds {
            varint::push(&mut bytes, second.saturating_sub(before).unsigned_abs());
            varint::push(&mut bytes, records.len() as u64);
            before = second;
            let mut lower = 0;
            for (id, hash) in records {
                varint::push(&mut bytes, id.saturating_sub(lower).unsigned_abs());
                bytes.extend(hash);
                lower = id;
            }
        }
        wharf_packing::text(&bytes)
    }

    /// What [`Seen::pack`] wrote; `None` for anything else.
    #[must_use]
    pub fn unpack(text: &str) -> Option<Self> {
        let bytes = wharf_packing::bytes(text)?;
        let mut rest = bytes.as_slice();
        let (mut seen, mut at) = (Self::default(), 0_i64);
        while !rest.is_empty() {
            at = at.checked_add_unsigned(varint::take(&mut rest)?)?;
            let mut id = 0_i64;
            for _ in 0..varint::take(&mut rest)? {
                id = id.checked_add_unsigned(varint::take(&mut rest)?)?;
                seen.insert(id, at, wharf_packing::take(&mut rest)?);
            }
        }
        Some(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_as_seen_only_with_its_last_value() {
        let (mut seen, [a, b]) = (Seen::default(), [hash(b"a"), hash(b"b")]);
        seen.insert(1, 10, a);
        assert!(seen.holds(1, a) && !seen.holds(2, a));
        seen.insert(1, 10, b);
        assert!(seen.holds(1, b) && !seen.holds(1, a), "a, b, a again: the last a is news");
        seen.forget_before(11);
        assert_eq!(seen.len(), 0);
    }

    #[test]
    fn a_position_restores_what_was_packed() {
        let mut seen = Seen::default();
        for (id, at) in [(7, 1_714_557_600), (8, 1_714_557_600), (300, 1_714_557_599), (i64::MAX, 1_714_557_602)] {
            seen.insert(id, at, hash(&id.to_be_bytes()));
        }
        let text = seen.pack();
        assert_eq!(Seen::unpack(&text).unwrap(), seen);
        assert_eq!(Seen::unpack("").unwrap(), Seen::default());
        assert_eq!(Seen::unpack(&text[..text.len() - 3]), None);
        assert_eq!(Seen::unpack("not base64!"), None);
    }

    #[test]
    fn a_record_takes_about_ten_characters() {
        let mut seen = Seen::default();
        (0..10_000_i64).for_each(|n| seen.insert(50_000 + 3 * n, 1_714_557_600 + n / 100, hash(&n.to_be_bytes())));
        assert!(seen.pack().len() < 100_000, "{}", seen.pack().len());
    }
}
