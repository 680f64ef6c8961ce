//! Finding what is gone: all ids of the model are read in order and compared with those that were handed over. Owns both; sends
//! nothing.
//!
//! A sweep lies between two reads, so the ids that were handed over do not change meanwhile: each was there before the sweep began. A
//! record that is made later has an id that is not among them.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::ids::Ids;

/// Ids of one request.
pub const PAGE: usize = 10_000;

#[derive(Debug, Default)]
pub struct Sweep {
    known: Ids,
    /// All ids up to this one are compared; `None` while none is under way.
    after: Option<u64>,
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
        self.after = Some(0);
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

    /// Takes a page of ids, ascending.
    pub fn page(&mut self, ids: &[u64]) {
        let after = self.after.unwrap_or_default();
        let last = ids.last().copied().filter(|_| ids.len() >= PAGE);
        let there: Ids = ids.iter().copied().collect();
        self.gone.extend(self.known.within(after, last.unwrap_or(u64::MAX)).filter(|id| !there.contains(*id)));
        for id in ids.iter().filter(|id| !self.known.contains(**id)) {
            self.missed.push_back(*id);
        }
        if self.adopting {
            for id in self.missed.drain(..) {
                self.known.insert(id);
            }
        }
        self.after = last;
        self.adopting &= last.is_some();
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

    fn gone(sweep: &mut Sweep) -> Vec<u64> {
        std::iter::from_fn(|| sweep.next_gone()).collect()
    }

    #[test]
    fn what_was_handed_over_and_is_not_there_is_gone() {
        let mut sweep = known([1, 2, 5, 9]);
        sweep.begin();
        sweep.page(&[2, 5]);
        assert_eq!(gone(&mut sweep), [1, 9]);
        assert!(!sweep.is_under_way() && !sweep.has_missed());
        sweep.begin();
        sweep.page(&[2, 5]);
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
        assert!(!sweep.is_under_way());
    }

    #[test]
    fn what_is_there_and_was_never_handed_over_is_read() {
        let mut sweep = known([1]);
        sweep.begin();
        sweep.page(&[1, 3, 4, 7]);
        assert_eq!(sweep.missed(2), [3, 4]);
        sweep.note(3);
        sweep.note(4);
        sweep.missed_are_read(2);
        assert_eq!(sweep.missed(2), [7]);
        sweep.missed_are_read(1);
        assert!(!sweep.has_missed());
        sweep.begin();
        sweep.page(&[1, 3, 4, 7]);
        assert_eq!(sweep.missed(2), [7], "it was gone when it was read, and is there again");
    }

    #[test]
    fn a_first_sweep_over_what_was_read_before_takes_it_as_handed_over() {
        let mut sweep = Sweep::new(None, true);
        assert_eq!(sweep.place(), None);
        sweep.begin();
        sweep.page(&[1, 2]);
        assert!(!sweep.has_missed() && sweep.place().is_some());
        sweep.begin();
        sweep.page(&[2, 3]);
        assert_eq!((gone(&mut sweep), sweep.missed(9)), (vec![1], vec![3]));
        let mut new = Sweep::new(None, false);
        new.begin();
        new.page(&[1]);
        assert_eq!(new.missed(9), [1]);
    }
}
