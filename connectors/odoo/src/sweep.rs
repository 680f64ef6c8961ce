//! Finding what is gone: all ids of the model are read in order and compared with those that were handed over. Owns both; sends
//! nothing.
//!
//! A sweep lies between two reads, so the ids that were handed over do not change meanwhile: each was there before the sweep began. A
//! record that is made later has an id that is not among them.
//!
//! A page that is not full is no proof of the end: a model may filter after it has cut the page. So the end is what Odoo counts as
//! none left above the last id, and until then nothing above it is gone.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::ids::Ids;

/// Ids of one request.
pub const PAGE: usize = 10_000;
/// How often a page may be empty although ids are left: a record may be made between the page and the count.
const EMPTY: u32 = 3;

#[derive(Debug, Default)]
pub struct Sweep {
    known: Ids,
    /// All ids up to this one are compared; `None` while none is under way.
    after: Option<u64>,
    /// The last page was not full: whether ids are left above it is to be counted.
    unsure: bool,
    /// Pages without an id, one after the other, although ids are left.
    empty: u32,
    /// Ids to hand out as tombstones.
    gone: VecDeque<u64>,
    /// Ids that are there and were never handed over: without a change of their own they came into the domain, or they appeared
    /// later than the overlap allows.
    missed: VecDeque<u64>,
    /// What is there now counts as handed over: sweeps were switched on after records had been read.
    adopting: bool,
}

impl Sweep {
    /// `stored`: the ids of a position; `None`: there is none, and `read_before` says whether records were read all the same.
    #[must_use]
    pub fn new(stored: Option<Ids>, read_before: bool) -> Self {
        Self { adopting: stored.is_none() && read_before, known: stored.unwrap_or_default(), ..Self::default() }
    }

    pub fn begin(&mut self) {
        (self.after, self.unsure, self.empty) = (Some(0), false, 0);
    }

    #[must_use]
    pub const fn is_under_way(&self) -> bool {
        self.after.is_some()
    }

    /// Conditions of the next page of ids.
    #[must_use]
    pub fn query(&self) -> Vec<Value> {
        vec![json!(["id", ">", self.after.unwrap_or_default()])]
    }

    /// Whether the ids that are left are to be counted before anything else is asked for.
    #[must_use]
    pub const fn is_unsure(&self) -> bool {
        self.unsure
    }

    /// Takes a page of ids, ascending.
    pub fn page(&mut self, ids: &[u64]) {
        if let Some(last) = ids.last() {
            self.compare(ids, *last);
            (self.after, self.empty) = (Some(*last), 0);
        }
        self.unsure = ids.len() < PAGE;
    }

    /// Takes the number of ids above the last page. `false`: Odoo has counted some for the third time and shows none.
    pub fn left(&mut self, number: u64) -> bool {
        self.unsure = false;
        if number > 0 {
            self.empty += 1;
            return self.empty < EMPTY;
        }
        self.compare(&[], u64::MAX);
        self.after = None;
        self.adopting = false;
        true
    }

    /// Compares the ids up to and with this one.
    fn compare(&mut self, ids: &[u64], to: u64) {
        let there: Ids = ids.iter().copied().collect();
        self.gone.extend(self.known.within(self.after.unwrap_or_default(), to).filter(|id| !there.contains(*id)));
        for id in ids.iter().filter(|id| !self.known.contains(**id)) {
            self.missed.push_back(*id);
        }
        if self.adopting {
            for id in self.missed.drain(..) {
                self.known.insert(id);
            }
        }
    }

    /// The next record that is gone.
    pub fn next_gone(&mut self) -> Option<u64> {
        let id = self.gone.pop_front()?;
        self.known.remove(id);
        Some(id)
    }

    /// Ids to read, at most so many.
    #[must_use]
    pub fn missed(&self, most: usize) -> Vec<u64> {
        self.missed.iter().take(most).copied().collect()
    }

    /// The first so many of them were read.
    pub fn missed_are_read(&mut self, number: usize) {
        self.missed.drain(..number.min(self.missed.len()));
    }

    #[must_use]
    pub fn has_gone(&self) -> bool {
        !self.gone.is_empty()
    }

    #[must_use]
    pub fn has_missed(&self) -> bool {
        !self.missed.is_empty()
    }

    /// A record was handed over.
    pub fn note(&mut self, id: i64) {
        if let Ok(id) = u64::try_from(id) {
            self.known.insert(id);
        }
    }

    /// `None` while what is there is being taken as handed over: half of it would make the rest look missed.
    #[must_use]
    pub fn place(&self) -> Option<Vec<u8>> {
        (!self.adopting).then(|| self.known.pack())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(ids: impl IntoIterator<Item = u64>) -> Sweep {
        Sweep::new(Some(ids.into_iter().collect()), true)
    }

    /// A sweep of one page, and no id above it.
    fn all(sweep: &mut Sweep, ids: &[u64]) {
        sweep.begin();
        sweep.page(ids);
        assert!(sweep.is_unsure() && sweep.left(0) && !sweep.is_under_way());
    }

    fn gone(sweep: &mut Sweep) -> Vec<u64> {
        std::iter::from_fn(|| sweep.next_gone()).collect()
    }

    #[test]
    fn what_was_handed_over_and_is_not_there_is_gone() {
        let mut sweep = known([1, 2, 5, 9]);
        all(&mut sweep, &[2, 5]);
        assert_eq!(gone(&mut sweep), [1, 9]);
        assert!(!sweep.is_under_way() && !sweep.has_missed());
        all(&mut sweep, &[2, 5]);
        assert_eq!(gone(&mut sweep), [] as [u64; 0], "told once");
    }

    #[test]
    fn pages_are_compared_with_their_own_part_alone() {
        let page = PAGE as u64;
        let mut sweep = known(1..=page + 5);
        sweep.begin();
        sweep.page(&(2..=page + 1).collect::<Vec<_>>());
        assert_eq!(gone(&mut sweep), [1]);
        assert_eq!(sweep.query(), [json!(["id", ">", page + 1])]);
        sweep.page(&[page + 2, page + 5]);
        assert_eq!(gone(&mut sweep), [page + 3, page + 4]);
        assert!(sweep.left(0) && !sweep.is_under_way());
    }

    #[test]
    fn above_a_page_that_is_not_full_nothing_is_gone_before_no_id_is_left_there() {
        let mut sweep = known(1..=9);
        sweep.begin();
        sweep.page(&[1, 3]);
        assert_eq!(gone(&mut sweep), [2]);
        assert!(sweep.is_unsure() && sweep.left(4));
        assert_eq!(sweep.query(), [json!(["id", ">", 3])]);
        sweep.page(&[5, 6, 7, 8]);
        assert_eq!(gone(&mut sweep), [4]);
        assert!(sweep.is_unsure() && sweep.is_under_way() && sweep.left(0) && !sweep.is_under_way());
        assert_eq!(gone(&mut sweep), [9]);
    }

    #[test]
    fn a_page_that_stays_empty_although_ids_are_left_is_told() {
        let mut sweep = known([1]);
        sweep.begin();
        for told in [true, true, false] {
            sweep.page(&[]);
            assert_eq!(sweep.left(7), told);
        }
        assert!(gone(&mut sweep).is_empty());
    }

    #[test]
    fn what_is_there_and_was_never_handed_over_is_read() {
        let mut sweep = known([1]);
        all(&mut sweep, &[1, 3, 4, 7]);
        assert_eq!(sweep.missed(2), [3, 4]);
        sweep.note(3);
        sweep.note(4);
        sweep.missed_are_read(2);
        assert_eq!(sweep.missed(2), [7]);
        sweep.missed_are_read(1);
        assert!(!sweep.has_missed());
        all(&mut sweep, &[1, 3, 4, 7]);
        assert_eq!(sweep.missed(2), [7], "it was gone when it was read, and is there again");
    }

    #[test]
    fn a_first_sweep_over_what_was_read_before_takes_it_as_handed_over() {
        let mut sweep = Sweep::new(None, true);
        assert_eq!(sweep.place(), None);
        all(&mut sweep, &[1, 2]);
        assert!(!sweep.has_missed() && sweep.place().is_some());
        all(&mut sweep, &[2, 3]);
        assert_eq!((gone(&mut sweep), sweep.missed(9)), (vec![1], vec![3]));
        let mut new = Sweep::new(None, false);
        all(&mut new, &[1]);
        assert_eq!(new.missed(9), [1]);
    }
}
