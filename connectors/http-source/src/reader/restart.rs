//! From where a restart goes on: the position that is stored, and the state that it brings back.

use jiff::Timestamp;
use serde_json::value::RawValue;
use wharf_packing::hash;
use wharf_sdk::log;

use super::{ReadError, Reader};
use crate::config::{Pagination, Unchanged};
use crate::cursor::Cursor;
use crate::place::{LARGEST, Place, Step};
use crate::seen::{Entry, Seen};

/// What a position may hold of records that could not be read, and what is left for the rest beside the two lists.
const ODD: usize = 32 << 10;
const REST: usize = 16 << 10;

impl Reader {
    /// Whether a stored position is one of this configuration.
    #[must_use]
    pub fn fits(&self, place: &Place) -> bool {
        place.by == self.plan.config.cursor && place.of.is_none_or(|of| of == self.list())
    }

    /// Which list is read: what its cursors and pages belong to.
    fn list(&self) -> u32 {
        let config = &self.plan.config;
        let list = format!("{} {}", config.url.split('?').next().unwrap_or_default(), config.records);
        u32::try_from(hash(list.as_bytes()) >> 32).unwrap_or_default()
    }

    /// Goes on at a position that fits.
    pub fn restore(&mut self, place: &Place) {
        self.kind = place.kind;
        let kind = self.plan.config.cursor_type.or(place.kind);
        let cursor = |raw: &Option<Box<RawValue>>| raw.as_ref().and_then(|raw| Cursor::read(raw.get(), kind));
        self.high = cursor(&place.high);
        self.next = if place.anew { None } else { cursor(&place.since).or_else(|| self.high.clone()) };
        if place.high.is_some() && self.high.is_none() {
            log::warn!("the highest cursor of the stored position is none of `config.cursor-type`: reading begins anew");
        }
        // Where ages are no numbers of rounds: what the round that is being read has listed is of it.
        let (by_cursor, listed) = (self.plan.cursor.is_some(), if place.page.is_some() { 0 } else { -1 });
        let seen = Seen::unpack(&place.seen, self.newest(), |at| if by_cursor { listed } else { at });
        let earlier = Seen::unpack(&place.earlier, self.newest(), |_| -1);
        let odd = Seen::unpack(&place.odd, self.round, |at| at);
        let seen = seen.zip(earlier).map(|(seen, earlier)| seen.and(earlier));
        if seen.is_none() || odd.is_none() {
            log::warn!("the stored position does not say what was read of the overlap: some records may come twice");
        }
        (self.seen, self.odd) = (seen.unwrap_or_default(), odd.unwrap_or_default());
        let Some(step) = &place.page else { return };
        self.base = cursor(&place.since);
        if self.ascends() {
            // The order was another one: what the round had not reached lies behind its beginning.
            self.high.clone_from(&self.base);
            self.next.clone_from(&self.base);
            return;
        }
        self.within = true;
        self.before = cursor(&place.before);
        self.began = place.began.and_then(|at| Timestamp::from_second(at).ok());
        // What was read of it before counts as another page, whatever comes now.
        self.pages = 2;
        self.set_floor();
        (self.cut, self.large) = (place.cut, place.large);
        self.step = match (self.plan.config.pagination, step) {
            (Pagination::Link, Step::Url(_)) | (Pagination::Cursor, Step::Url(_) | Step::Cursor(_)) => step.clone(),
            // Pages that are counted may hold other records by now.
            _ => Step::First,
        };
        if self.step == Step::First {
            self.renumber();
        }
        self.pager.begin(&self.step);
    }

    /// Where a restart would go on now; `None`: nothing was ever read, if nothing is `stored` either.
    ///
    /// # Errors
    /// [`ReadError::List`] where it is larger than a position may be.
    pub fn place(&mut self, stored: bool) -> Result<Option<Vec<u8>>, ReadError> {
        let by_cursor = self.plan.cursor.is_some();
        let skips = !by_cursor && self.plan.config.unchanged == Unchanged::Skip;
        let floor = match (by_cursor, skips) {
            (true, _) => self.oldest(),
            (false, true) => i64::MIN,
            (false, false) => i64::MAX,
        };
        let odd = self.odd.pack(self.round, i64::MAX, ODD, |_| true);
        // A link may be longer than all else beside the lists.
        let link = match &self.step {
            Step::Url(text) | Step::Cursor(text) => serde_json::to_string(text).map_or(0, |text| text.len()),
            _ => 0,
        };
        let room = LARGEST.saturating_sub(REST + odd.text.len() + link);
        let within = self.within && !self.ascends();
        let (newest, round) = (self.newest(), self.round);
        // What a restart reads again is news where something else has come for it meanwhile.
        let replaced = self.seen.replaced(round, by_cursor);
        let apart = within && by_cursor;
        let kept = |entry: &Entry| !(self.within && replaced(entry));
        let seen = self.seen.pack(newest, floor, room, |entry| kept(entry) && !(apart && entry.round != round));
        let earlier = self.seen.pack(newest, floor, room - seen.text.len(), |entry| apart && kept(entry) && entry.round != round);
        let (whole, enough) = (seen.whole && earlier.whole, seen.enough && earlier.enough);
        if skips && !enough {
            return Err(ReadError::List(self.seen.len()));
        }
        if !enough && !std::mem::replace(&mut self.told.overlap, true) {
            let count = self.seen.len();
            log::warn!(
                "the next round may read {count} records again, and the position cannot hold them all (256 KiB): after a restart some may come twice. A lower `config.overlap` makes them fewer"
            );
        }
        let raw = |cursor: Option<&Cursor>| cursor.and_then(|cursor| RawValue::from_string(cursor.json.clone()).ok());
        // In ascending order a restart begins a round wherever it was.
        let settled = if self.within { self.settled() } else { self.next.clone() };
        let since = if within { self.base.as_ref() } else { settled.as_ref().filter(|since| Some(*since) != self.high.as_ref()) };
        let place = Place {
            by: self.plan.config.cursor.clone(),
            of: Some(self.list()),
            kind: self.kind.filter(|_| self.plan.config.cursor_type.is_none()),
            high: raw(self.high.as_ref()),
            since: raw(since),
            before: raw(self.before.as_ref().filter(|_| within)),
            began: self.began.filter(|_| within).map(Timestamp::as_second),
            anew: !within && settled.is_none() && self.high.is_some(),
            page: within.then(|| self.step.clone()),
            cut: within && (self.cut || !whole),
            large: within && self.large,
            seen: seen.text,
            earlier: earlier.text,
            odd: odd.text,
        };
        if !stored && place.high.is_none() && place.seen.is_empty() && place.odd.is_empty() {
            return Ok(None);
        }
        place.write().map(Some).ok_or_else(|| ReadError::List(self.seen.len()))
    }
}
