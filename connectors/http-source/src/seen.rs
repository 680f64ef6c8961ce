//! What was read already: so that a record which is read again is produced only where it changed. Holds hashes of whole records,
//! no values: an API may list several of one key, such as all of its changes.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use wharf_packing::varint;

/// The fewest characters of an entry in a packed list.
const SHORTEST: usize = 12;

/// Records by their hash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    entries: HashMap<u64, Entry>,
    /// By the hash of a key: the age of its highest cursor, and in which round that was read.
    highest: HashMap<u64, (i64, i64)>,
    /// Number of entries at which old ones are looked for next.
    prune_at: usize,
}

/// What is remembered of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The age of its cursor, or the number of the round that listed it last.
    pub at: i64,
    /// The round that listed it last.
    pub round: i64,
    /// When that was, counted in records.
    pub turn: u64,
    /// The hash of its key; `None`: it has none, or it was read before a restart.
    pub key: Option<u64>,
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

impl Seen {
    /// Whether this very record was read, in the round `floor` or after it.
    #[must_use]
    pub fn holds(&self, record: u64, floor: i64) -> bool {
        self.entries.get(&record).is_some_and(|entry| entry.round >= floor)
    }

    pub fn insert(&mut self, record: u64, entry: Entry) {
        self.entries.insert(record, entry);
    }

    /// Whether a round before this one has read a higher cursor of this key.
    #[must_use]
    pub fn has_higher(&self, key: u64, at: i64, round: i64) -> bool {
        self.highest.get(&key).is_some_and(|(highest, read)| *highest > at && *read < round)
    }

    /// Takes note of a key's cursor.
    pub fn raise(&mut self, key: u64, at: i64, round: i64) {
        let highest = self.highest.entry(key).or_insert((at, round));
        if at >= highest.0 {
            *highest = (at, round);
        }
    }

    /// Forgets what this round has not listed, up to the age `reached`: if it comes back it is news. Where keys are known it is what
    /// another record of its key has come for, with no lower a cursor: one that an API leaves out for once is not forgotten.
    pub fn forget_unlisted(&mut self, round: i64, reached: i64) {
        let mut listed = HashMap::new();
        for entry in self.entries.values().filter(|entry| entry.round == round) {
            let Some(key) = entry.key else { continue };
            listed.entry(key).and_modify(|at: &mut i64| *at = entry.at.max(*at)).or_insert(entry.at);
        }
        self.entries.retain(|_, entry| {
            let replaced = |key| listed.get(&key).is_some_and(|at| *at >= entry.at);
            entry.round == round || entry.at > reached || !entry.key.is_none_or(replaced)
        });
    }

    /// In a round that is not at its end: whether an entry is one that it has not listed, where it has another record of that key
    /// instead. With `same` one of the same age alone counts as that.
    pub fn replaced(&self, round: i64, same: bool) -> impl Fn(&Entry) -> bool + use<> {
        let is_listed = |entry: &&Entry| entry.round == round;
        let listed: HashSet<_> = self.entries.values().filter(is_listed).filter_map(|entry| entry.place(same)).collect();
        move |entry| entry.round != round && entry.place(same).is_some_and(|place| listed.contains(&place))
    }

    pub fn forget(&mut self, which: impl Fn(&Entry) -> bool) {
        self.entries.retain(|_, entry| !which(entry));
    }

    /// Forgets what is before `floor`. Looks only when the number of entries has doubled, or when `now` is set.
    pub fn forget_before(&mut self, floor: i64, now: bool) {
        if now || self.entries.len() >= self.prune_at {
            self.entries.retain(|_, entry| entry.at >= floor);
            self.highest.retain(|_, (at, _)| *at >= floor);
            self.prune_at = (self.entries.len() * 2).max(1024);
        }
    }

    /// Forgets what is before `floor` and was read before `turn`, as soon as there are more than `most`; then only when their number
    /// has doubled, and at four times as many, whatever the floor is. Answers whether something of it was forgotten that lies
    /// at the floor or behind it.
    pub fn forget_extras(&mut self, floor: i64, turn: u64, most: usize) -> bool {
        if self.entries.len() <= most.max(self.prune_at.min(most * 4)) {
            return false;
        }
        self.entries.retain(|_, entry| entry.at >= floor || entry.turn >= turn);
        let too_many = self.entries.len() > most * 4;
        if too_many {
            self.entries.retain(|_, entry| entry.turn >= turn);
        }
        self.highest.retain(|_, (at, _)| *at >= floor && !too_many);
        self.prune_at = (self.entries.len() * 2).min(most * 4);
        too_many
    }

    /// These, and others.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.entries.extend(others.entries);
        self
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Packed for a position, in at most `room` characters: per entry the hash, and how far it is before `high`, as zigzag
    /// LEB128; then base64. 12 to 16 characters an entry. What does not fit is left out: what is before `floor` first, and of
    /// that the oldest.
    #[must_use]
    pub fn pack(&self, high: i64, floor: i64, room: usize, which: impl Fn(&Entry) -> bool) -> Packed {
        let mut entries: Vec<_> = self.entries.iter().filter(|(_, entry)| which(entry)).collect();
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
            varint::push_signed(&mut bytes, high.wrapping_sub(entry.at));
            if wharf_packing::text_len(bytes.len()) > room {
                enough = entry.at < floor;
                bytes.truncate(before);
                whole = false;
                break;
            }
        }
        Packed { text: wharf_packing::text(&bytes), whole, enough }
    }

    /// What [`Seen::pack`] wrote; `None` for anything else. `round_of` gives the round of an age.
    #[must_use]
    pub fn unpack(text: &str, high: i64, round_of: impl Fn(i64) -> i64) -> Option<Self> {
        let bytes = wharf_packing::bytes(text)?;
        let mut rest = bytes.as_slice();
        let mut seen = Self::default();
        while !rest.is_empty() {
            let record = u64::from_be_bytes(wharf_packing::take(&mut rest)?);
            let at = high.wrapping_sub(varint::take_signed(&mut rest)?);
            seen.insert(record, Entry { at, round: round_of(at), turn: 0, key: None });
        }
        Some(seen)
    }
}

impl Entry {
    /// What a record may take the place of: one of its key, and of its age where `same` is set.
    fn place(&self, same: bool) -> Option<(u64, i64)> {
        self.key.map(|key| (key, if same { self.at } else { 0 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at: i64, turn: u64) -> Entry {
        Entry { at, round: 0, turn, key: None }
    }

    #[test]
    fn more_than_can_be_remembered_is_looked_through_seldom_and_forgotten_in_the_end() {
        let mut seen = Seen::default();
        let (mut looks, mut before, mut forgotten) = (0, 0, 0);
        for n in 0..1000_u64 {
            seen.insert(n, entry(0, n));
            let forgot = seen.forget_extras(0, n.saturating_sub(10), 20);
            looks += usize::from(seen.prune_at != before);
            before = seen.prune_at;
            forgotten += usize::from(forgot);
            assert!(!forgot || seen.len() == 11, "{}", seen.len());
            assert!(seen.len() <= 80, "{}", seen.len());
        }
        assert!(looks < 60 && forgotten > 10, "{looks} {forgotten}");
        seen.prune_at = 1000;
        (1000..1070).for_each(|n| seen.insert(n, entry(0, n)));
        assert!(seen.forget_extras(0, 1060, 20), "however many there were before");
        assert!(seen.holds(1069, 0) && !seen.holds(1000, 0));
    }

    #[test]
    fn a_record_counts_as_seen_from_a_floor_on() {
        let mut seen = Seen::default();
        seen.insert(1, entry(0, 0));
        assert!(seen.holds(1, 0) && !seen.holds(2, 0));
        assert!(!seen.holds(1, 1), "it was read before");
    }

    #[test]
    fn a_position_restores_what_was_packed() {
        let mut seen = Seen::default();
        for (record, at) in [(1, i64::MAX), (2, -5), (3, 1_714_557_600_000_000), (u64::MAX, i64::MIN)] {
            seen.insert(record, entry(at, 0));
        }
        let high = 1_714_557_600_000_001;
        let packed = seen.pack(high, i64::MIN, 1000, |_| true);
        assert!(packed.whole && packed.enough);
        assert_eq!(Seen::unpack(&packed.text, high, |_| 0).unwrap().entries, seen.entries);
        assert_eq!(Seen::unpack(&packed.text[..10], high, |_| 0), None);
        assert_eq!(Seen::unpack("not base64!", high, |_| 0), None);
    }

    #[test]
    fn what_does_not_fit_is_left_out_the_oldest_first_and_that_of_the_overlap_last() {
        let mut seen = Seen::default();
        (0..100_u32).for_each(|n| seen.insert(u64::from(n), entry(i64::from(n), u64::from(n))));
        let packed = seen.pack(99, 95, 40 * 12, |_| true);
        let kept = Seen::unpack(&packed.text, 99, |at| at).unwrap();
        assert!(!packed.whole && packed.enough && (35..100).contains(&kept.len()), "{}", kept.len());
        assert!((70..100).all(|record| kept.holds(record, 0)) && !kept.holds(0, 0));
        let packed = seen.pack(99, 0, 40 * 12, |_| true);
        assert!(!packed.whole && !packed.enough && Seen::unpack(&packed.text, 99, |at| at).unwrap().holds(99, 0));
    }
}
