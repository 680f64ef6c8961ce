//! The ids that were handed over and are not gone: what a sweep compares with. Ids of Odoo are dense, so they are kept as ranges.

use std::collections::BTreeMap;
use std::ops::Bound;

use wharf_packing::varint;

/// First byte of packed ids: an empty set is a position too, and an empty position would be none.
const VERSION: u8 = 0;

/// A set of ids: the first of each range with its last, none touching another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ids(BTreeMap<u64, u64>);

impl Ids {
    #[must_use]
    pub fn contains(&self, id: u64) -> bool {
        self.0.range(..=id).next_back().is_some_and(|(_, last)| *last >= id)
    }

    /// Whether it was news.
    pub fn insert(&mut self, id: u64) -> bool {
        if self.contains(id) {
            return false;
        }
        let (mut first, mut last) = (id, id);
        if let Some((&start, &end)) = self.0.range(..id).next_back()
            && end.checked_add(1) == Some(id)
        {
            first = start;
        }
        if let Some(end) = id.checked_add(1).and_then(|next| self.0.remove(&next)) {
            last = end;
        }
        self.0.insert(first, last);
        true
    }

    /// Whether it was there.
    pub fn remove(&mut self, id: u64) -> bool {
        let Some((&first, &last)) = self.0.range(..=id).next_back().filter(|(_, last)| **last >= id) else { return false };
        self.0.remove(&first);
        if first < id {
            self.0.insert(first, id - 1);
        }
        if last > id {
            self.0.insert(id + 1, last);
        }
        true
    }

    /// The ids above `after`, up to and with `to`, ascending.
    pub fn within(&self, after: u64, to: u64) -> impl Iterator<Item = u64> {
        // The range that `after` is in begins at or before it.
        let begin = self.0.range(..=after).next_back().map_or(after, |(first, _)| *first);
        let ranges = self.0.range((Bound::Included(begin), Bound::Included(to)));
        ranges.flat_map(move |(first, last)| (*first).max(after.saturating_add(1))..=(*last).min(to))
    }

    /// Packed for a position: a version, then of each range how far it is behind the one before, and how long it is, as LEB128.
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * 3 + 1);
        bytes.push(VERSION);
        let mut end = 0;
        for (first, last) in &self.0 {
            varint::push(&mut bytes, first - end);
            varint::push(&mut bytes, last - first);
            end = *last;
        }
        bytes
    }

    /// What [`Ids::pack`] wrote; `None` for anything else.
    #[must_use]
    pub fn unpack(bytes: &[u8]) -> Option<Self> {
        let mut bytes = bytes.strip_prefix(&[VERSION])?;
        let (mut ids, mut end) = (Self::default(), 0_u64);
        while !bytes.is_empty() {
            let first = end.checked_add(varint::take(&mut bytes)?)?;
            end = first.checked_add(varint::take(&mut bytes)?)?;
            ids.0.insert(first, end);
        }
        Some(ids)
    }
}

impl FromIterator<u64> for Ids {
    fn from_iter<I: IntoIterator<Item = u64>>(ids: I) -> Self {
        let mut all = Self::default();
        for id in ids {
            all.insert(id);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(ids: &Ids) -> Vec<u64> {
        ids.within(0, u64::MAX).collect()
    }

    #[test]
    fn ids_come_and_go_in_any_order_and_neighbours_are_one_range() {
        let mut ids = Ids::default();
        assert!([5, 3, 4, 9, 1].into_iter().all(|id| ids.insert(id)));
        assert!(!ids.insert(4) && !ids.insert(1));
        assert_eq!((all(&ids), ids.0.len()), (vec![1, 3, 4, 5, 9], 3));
        assert!(ids.remove(4) && !ids.remove(4) && !ids.remove(7));
        assert_eq!((all(&ids), ids.0.len()), (vec![1, 3, 5, 9], 4));
        assert!(ids.remove(1) && ids.remove(9));
        assert_eq!(all(&ids), [3, 5]);
    }

    #[test]
    fn a_part_of_the_ids_is_cut_out_of_ranges() {
        let ids: Ids = (1..=10).chain(20..=22).collect();
        let within = |after, to| ids.within(after, to).collect::<Vec<_>>();
        assert_eq!(within(3, 6), [4, 5, 6]);
        assert_eq!(within(10, 20), [20]);
        assert_eq!(within(9, u64::MAX), [10, 20, 21, 22]);
        assert_eq!(within(22, u64::MAX), [] as [u64; 0]);
        assert_eq!(within(5, 5), [] as [u64; 0]);
    }

    #[test]
    fn a_position_restores_what_was_packed_and_dense_ids_take_no_room() {
        let ids: Ids = (1..=100_000).filter(|id| id % 1000 != 0).collect();
        let bytes = ids.pack();
        assert!(bytes.len() <= 301, "{}", bytes.len());
        assert_eq!(Ids::unpack(&bytes), Some(ids));
        assert_eq!(Ids::unpack(&bytes[..bytes.len() - 1]), None);
        let none = Ids::default().pack();
        assert!(!none.is_empty(), "an empty position is stored as none");
        assert_eq!(Ids::unpack(&none), Some(Ids::default()));
        assert_eq!(Ids::unpack(&[]), None);
        assert_eq!(Ids::unpack(&[VERSION + 1]), None, "of another version");
    }
}
