//! What was read already: so that a record which is read again is produced only where it changed. Holds hashes of whole records,
//! no values: an API may list several of one key, such as all of its changes.

use std::cmp::Reverse;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

/// The fewest characters of an entry in a packed list.
const SHORTEST: usize = 12;

/// Records by their hash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    entries: HashMap<u64, Entry>,
    /// Number of entries at which old ones are looked for next.
    prune_at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// The age of its cursor, or the number of the read that found it last.
    at: i64,
    /// When it was read, counted in records.
    turn: u64,
}

/// A list as a position holds it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Packed {
    pub text: String,
    /// Nothing had to be left out.
    pub whole: bool,
    /// Nothing from the floor on had to be left out.
    pub enough: bool,
}

/// The first 64 bits of SHA-256: the same in every build, as positions outlive them.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    Sha256::digest(bytes).first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

impl Seen {
    /// Whether this very record was read, at `floor` or after it.
    #[must_use]
    pub fn holds(&self, record: u64, floor: i64) -> bool {
        self.entries.get(&record).is_some_and(|entry| entry.at >= floor)
    }

    pub fn insert(&mut self, record: u64, at: i64, turn: u64) {
        self.entries.insert(record, Entry { at, turn });
    }

    /// Forgets what is before `floor`. Looks only when the number of entries has doubled, or when `now` is set.
    pub fn forget_before(&mut self, floor: i64, now: bool) {
        if now || self.entries.len() >= self.prune_at {
            self.entries.retain(|_, entry| entry.at >= floor);
            self.prune_at = (self.entries.len() * 2).max(1024);
        }
    }

    /// Forgets what is before `floor` and was read before `turn`.
    pub fn forget_extras(&mut self, floor: i64, turn: u64) {
        self.entries.retain(|_, entry| entry.at >= floor || entry.turn >= turn);
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Packed for a position, in at most `room` characters: per entry the hash, and how far it is before `high`, as zigzag
    /// LEB128; then base64. 12 to 16 characters an entry. What does not fit is left out: what is before `floor` first, and of
    /// that the oldest.
    #[must_use]
    pub fn pack(&self, high: i64, floor: i64, room: usize) -> Packed {
        let mut entries: Vec<_> = self.entries.iter().collect();
        let rank = |(key, entry): &(&u64, &Entry)| (entry.at < floor, Reverse(entry.turn), **key);
        // More than that cannot fit.
        let most = room / SHORTEST;
        if entries.len() > most {
            entries.select_nth_unstable_by_key(most, rank);
            entries.truncate(most + 1);
        }
        entries.sort_unstable_by_key(rank);
        let mut bytes = Vec::with_capacity(entries.len() * 20);
        let (mut whole, mut enough) = (true, true);
        for (record, entry) in entries {
            let before = bytes.len();
            bytes.extend(record.to_be_bytes());
            push_leb128(&mut bytes, zigzag(high.wrapping_sub(entry.at)));
            if bytes.len().div_ceil(3) * 4 > room {
                enough = entry.at < floor;
                bytes.truncate(before);
                whole = false;
                break;
            }
        }
        Packed { text: STANDARD_NO_PAD.encode(bytes), whole, enough }
    }

    /// What [`Seen::pack`] wrote; `None` for anything else.
    #[must_use]
    pub fn unpack(text: &str, high: i64) -> Option<Self> {
        let bytes = STANDARD_NO_PAD.decode(text).ok()?;
        let mut rest = bytes.as_slice();
        let mut seen = Self::default();
        while !rest.is_empty() {
            let (record, tail) = rest.split_first_chunk()?;
            let (age, tail) = leb128(tail)?;
            rest = tail;
            seen.insert(u64::from_be_bytes(*record), high.wrapping_sub(unzigzag(age)), 0);
        }
        Some(seen)
    }
}

const fn zigzag(number: i64) -> u64 {
    (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned()
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

fn push_leb128(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            bytes.push(low & 0x7f);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn leb128(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f).checked_shl(u32::try_from(index).ok()? * 7)?;
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_as_seen_from_a_floor_on() {
        let mut seen = Seen::default();
        seen.insert(1, 0, 0);
        assert!(seen.holds(1, 0) && !seen.holds(2, 0));
        assert!(!seen.holds(1, 1), "it was read before");
    }

    #[test]
    fn a_position_restores_what_was_packed() {
        let mut seen = Seen::default();
        for (record, at) in [(1, i64::MAX), (2, -5), (3, 1_714_557_600_000_000), (u64::MAX, i64::MIN)] {
            seen.insert(record, at, 0);
        }
        let high = 1_714_557_600_000_001;
        let packed = seen.pack(high, i64::MIN, 1000);
        assert!(packed.whole && packed.enough);
        assert_eq!(Seen::unpack(&packed.text, high).unwrap().entries, seen.entries);
        assert_eq!(Seen::unpack(&packed.text[..10], high), None);
        assert_eq!(Seen::unpack("not base64!", high), None);
    }

    #[test]
    fn what_does_not_fit_is_left_out_the_oldest_first_and_that_of_the_overlap_last() {
        let mut seen = Seen::default();
        (0..100_u32).for_each(|n| seen.insert(u64::from(n), i64::from(n), u64::from(n)));
        let packed = seen.pack(99, 95, 40 * 12);
        let kept = Seen::unpack(&packed.text, 99).unwrap();
        assert!(!packed.whole && packed.enough && (35..100).contains(&kept.len()), "{}", kept.len());
        assert!((70..100).all(|record| kept.holds(record, 0)) && !kept.holds(0, 0));
        let packed = seen.pack(99, 0, 40 * 12);
        assert!(!packed.whole && !packed.enough && Seen::unpack(&packed.text, 99).unwrap().holds(99, 0));
    }

    #[test]
    fn hashes_do_not_change_between_builds() {
        assert_eq!(hash(b"abc"), 0xba78_16bf_8f01_cfea);
    }
}
