//! Events that were handed over already, by hash: so that what is read again produces no second record. Holds hashes and times,
//! nothing of an event.

use std::collections::{HashMap, HashSet};

use wharf_packing::varint;

/// Events of one stream. A read hands over events in the order of the service, which is none of time, so it has a floor: the time
/// from which on the next read looks again. What is at or before the floor need not be stored once its page is done with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Stored: those of earlier reads within the overlap, and those of this read after the floor. Hash and microseconds.
    kept: HashMap<u64, i64>,
    /// Stored: those of the page that is being handed over, and of the row before it, which comes with it once more.
    page: HashMap<u64, i64>,
    /// Those of the page's last row, which comes with the next page once more.
    last: HashSet<u64>,
    /// Not stored: the rest of this read, for as long as the process lives.
    done: HashSet<u64>,
}

impl Seen {
    #[must_use]
    pub fn holds(&self, event: u64) -> bool {
        self.kept.contains_key(&event) || self.page.contains_key(&event) || self.done.contains(&event)
    }

    /// `is_last`: it is of the page's last row.
    pub fn insert(&mut self, event: u64, at: i64, is_last: bool) {
        self.page.insert(event, at);
        if is_last {
            self.last.insert(event);
        }
    }

    /// It came again at this time, and is remembered as if it had come then.
    pub fn renew(&mut self, event: u64, at: i64) {
        if let Some(known) = self.kept.get_mut(&event) {
            *known = at.max(*known);
        }
    }

    /// The page is handed over and the position is behind it. `moves`: its rows may come again in this read.
    pub fn end_page(&mut self, floor: Option<i64>, moves: bool) {
        let last = std::mem::take(&mut self.last);
        for (event, at) in std::mem::take(&mut self.page) {
            if floor.is_none_or(|floor| at > floor) {
                self.kept.insert(event, at);
            } else if last.contains(&event) {
                self.page.insert(event, at);
            } else if moves {
                self.done.insert(event);
            }
        }
    }

    /// The read has come to its end and is to be made again from where it began: what is at or before its floor is not stored, so that
    /// a position does not grow with each of such reads.
    pub fn release(&mut self, floor: Option<i64>) {
        let Some(floor) = floor else { return };
        let released: Vec<_> = self.kept.extract_if(|_, at| *at <= floor).map(|(event, _)| event).collect();
        self.done.extend(released);
    }

    /// The read has come to its end: the next one begins after the floor.
    pub fn end_read(&mut self, floor: Option<i64>) {
        self.last.clear();
        self.end_page(floor, false);
        self.done.clear();
        if let Some(floor) = floor {
            self.kept.retain(|_, at| *at > floor);
        }
    }

    /// Where a position would hold more than so many events: it forgets the older half of those of pages that are done with, as often as
    /// it takes, but none after `latest`. Answers the time up to which it has forgotten; the process remembers until the read's end.
    pub fn shorten(&mut self, most: usize, latest: i64) -> Option<i64> {
        let mut floor = None;
        while self.len() > most {
            let mut times: Vec<_> = self.kept.values().copied().filter(|at| *at <= latest).collect();
            times.sort_unstable();
            let Some(middle) = times.get(times.len() / 2) else { break };
            self.release(Some(*middle));
            floor = Some(*middle);
        }
        floor
    }

    /// Number of events that a position holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len() + self.page.len()
    }

    /// Packed for a position: in the order of time, per event the seconds since the one before as LEB128, and its hash; then
    /// base64. About 13 characters an event. Fractions of a second are cut: a position remembers a little longer than it has to.
    #[must_use]
    pub fn pack(&self) -> String {
        let mut events: Vec<_> =
            self.kept.iter().chain(&self.page).map(|(event, at)| (at.div_euclid(1_000_000).max(0), *event)).collect();
        events.sort_unstable();
        let (mut bytes, mut before) = (Vec::with_capacity(events.len() * 10), 0);
        for (second, event) in events {
            varint::push(&mut bytes, (second - before).unsigned_abs());
            bytes.extend(event.to_be_bytes());
            before = second;
        }
        wharf_packing::text(&bytes)
    }

    /// What [`Seen::pack`] wrote; `None` for anything else.
    #[must_use]
    pub fn unpack(text: &str) -> Option<Self> {
        let bytes = wharf_packing::bytes(text)?;
        let (mut rest, mut second, mut seen) = (bytes.as_slice(), 0_i64, Self::default());
        while !rest.is_empty() {
            second = second.checked_add(i64::try_from(varint::take(&mut rest)?).ok()?)?;
            let event = u64::from_be_bytes(wharf_packing::take(&mut rest)?);
            // The last instant of its second, so that a cut fraction forgets nothing too soon.
            seen.kept.insert(event, second.checked_mul(1_000_000)?.checked_add(999_999)?);
        }
        Some(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_position_holds_the_page_under_way_and_what_is_after_the_floor() {
        let mut seen = Seen::default();
        seen.insert(1, 100 * SECOND, false);
        seen.insert(2, 900 * SECOND, false);
        let stored = Seen::unpack(&seen.pack()).unwrap();
        assert!(stored.holds(1) && stored.holds(2), "a restart reads this page again");
        seen.end_page(Some(500 * SECOND), true);
        seen.insert(3, 200 * SECOND, false);
        assert!(seen.holds(1) && seen.holds(2) && seen.holds(3), "the process knows all of its read");
        let stored = Seen::unpack(&seen.pack()).unwrap();
        assert!(!stored.holds(1) && stored.holds(2) && stored.holds(3));
    }

    #[test]
    fn the_last_row_of_a_page_is_remembered_through_the_next_one() {
        let mut seen = Seen::default();
        seen.insert(1, 100 * SECOND, true);
        seen.end_page(Some(500 * SECOND), true);
        assert!(Seen::unpack(&seen.pack()).unwrap().holds(1));
        seen.end_page(Some(500 * SECOND), true);
        assert!(!Seen::unpack(&seen.pack()).unwrap().holds(1) && seen.holds(1));
    }

    #[test]
    fn a_new_read_forgets_what_is_at_or_before_its_floor() {
        let mut seen = Seen::default();
        seen.insert(1, 500 * SECOND, false);
        seen.insert(2, 500 * SECOND + 1, false);
        seen.end_read(Some(500 * SECOND));
        assert!(!seen.holds(1) && seen.holds(2));
        assert_eq!(seen.len(), 1);
        seen.end_read(None);
        assert!(seen.holds(2), "a stream that has no floor forgets nothing");
    }

    #[test]
    fn a_read_that_is_made_again_is_remembered_and_stored_from_its_floor_on() {
        let mut seen = Seen::default();
        seen.insert(1, 600 * SECOND, false);
        seen.insert(2, 900 * SECOND, false);
        seen.end_page(Some(500 * SECOND), true);
        seen.release(Some(700 * SECOND));
        assert!(seen.holds(1) && seen.holds(2));
        assert_eq!(seen.len(), 1);
    }

    #[test]
    fn what_a_position_cannot_hold_is_forgotten_from_the_oldest_on_and_never_after_the_latest_time_that_may_be() {
        let mut seen = Seen::default();
        (0..100).for_each(|n| seen.insert(n, i64::try_from(n).unwrap() * SECOND, false));
        seen.end_page(Some(-1), true);
        assert_eq!((seen.shorten(100, 99 * SECOND), seen.len()), (None, 100));
        assert_eq!((seen.shorten(99, 99 * SECOND), seen.len()), (Some(50 * SECOND), 49));
        assert!((0..100).all(|n| seen.holds(n)), "the process knows all of its read");
        assert_eq!((seen.shorten(10, 60 * SECOND), seen.len()), (Some(60 * SECOND), 39));
        let stored = Seen::unpack(&seen.pack()).unwrap();
        assert!(!stored.holds(60) && stored.holds(61));
    }

    #[test]
    fn a_position_restores_what_was_packed_and_nothing_else() {
        let mut seen = Seen::default();
        for event in 0..1000_u64 {
            seen.insert(event, i64::try_from(event).unwrap() * SECOND * 7 + 1_714_557_600 * SECOND, false);
        }
        let text = seen.pack();
        assert!(text.len() < 12_100, "{}", text.len());
        let mut again = Seen::unpack(&text).unwrap();
        assert!((0..1000).all(|event| again.holds(event)) && !again.holds(1000));
        again.end_read(Some(1_714_557_600 * SECOND + 700 * SECOND + 500_000));
        assert!(again.holds(100), "the fraction is not known any more: rather a little longer");
        assert!(!again.holds(99));
        assert_eq!(Seen::unpack("").unwrap(), Seen::default());
        assert_eq!(Seen::unpack(&text[..10]), None);
        assert_eq!(Seen::unpack("not base64!"), None);
    }
}
