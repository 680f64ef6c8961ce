//! One read after the other of what changed, in the order of second and id. Owns the state of it: where the read is, where the next
//! one begins, and what was seen since. Sends nothing.
//!
//! Odoo shows `write_date` in whole seconds and keeps microseconds: its own order within a second is not that of the ids. So a
//! full page is cut before its last second, and a second that fills a page is read by itself, by id. And `write_date` is the *start* of
//! the writer's transaction: a record may appear with a time that is over. So the next read begins an overlap before the time at
//! which this one began, by the server's clock.
//!
//! A read that takes hours, or is gone on with after a halt of days, would come to hold all that changed since it began. So it ends at
//! the first full page that reaches behind its beginning: what is later is the next read's, which begins anew.

use serde_json::{Value, json};
use wharf_odoo_api::time;

use crate::place::Place;
use crate::seen::Seen;
use crate::value::Row;

/// The part of a model that the next page is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Records without `write_date`, above an id. They come with the first read only.
    Undated { after: i64 },
    /// Records of one second, above an id.
    Second { at: i64, after: i64 },
    /// Records of a second and later ones; `None`: of all.
    From(Option<i64>),
    /// All is read for now.
    End,
}

#[derive(Debug)]
pub struct Cycle {
    overlap: i64,
    page_size: usize,
    from: Option<i64>,
    at: Option<(Option<i64>, i64)>,
    began: Option<i64>,
    seen: Seen,
    stage: Stage,
}

impl Cycle {
    #[must_use]
    pub fn new(overlap: i64, page_size: usize) -> Self {
        let stage = Stage::Undated { after: 0 };
        Self { overlap, page_size, from: None, at: None, began: None, seen: Seen::default(), stage }
    }

    /// Goes on from a place; `None` where its list of what was seen cannot be read.
    #[must_use]
    pub fn restored(overlap: i64, page_size: usize, place: &Place) -> Option<Self> {
        let mut cycle = Self::new(overlap, page_size);
        cycle.seen = Seen::unpack(&place.seen)?;
        (cycle.from, cycle.at, cycle.began) = (place.from, place.at, place.began);
        cycle.stage = match (place.at, place.from) {
            (Some((Some(at), after)), _) => Stage::Second { at, after },
            (Some((None, after)), _) => Stage::Undated { after },
            (None, Some(from)) => Stage::From(Some(from)),
            (None, None) => cycle.stage,
        };
        // It had come behind its beginning, and so to its end.
        if place.at.and_then(|(second, _)| second).is_some_and(|second| cycle.is_behind(second)) {
            cycle.end();
        }
        Some(cycle)
    }

    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether a page of this read has come.
    #[must_use]
    pub const fn is_under_way(&self) -> bool {
        self.began.is_some()
    }

    /// Conditions and order of the next page.
    #[must_use]
    pub fn query(&self) -> (Vec<Value>, &'static str) {
        let since = |second: i64| json!(["write_date", ">=", time::write(second)]);
        match self.stage {
            Stage::Undated { after } => (vec![json!(["write_date", "=", false]), json!(["id", ">", after])], "id"),
            Stage::Second { at, after } => {
                let until = json!(["write_date", "<", time::write(at.saturating_add(1))]);
                (vec![since(at), until, json!(["id", ">", after])], "id")
            }
            Stage::From(None) => (vec![json!(["write_date", "!=", false])], "write_date, id"),
            Stage::From(Some(second)) => (vec![since(second)], "write_date, id"),
            Stage::End => (Vec::new(), "id"),
        }
    }

    /// Takes a page that was asked for at a time: the records to hand out, in order. The stage is then that of the page after.
    #[must_use]
    pub fn page(&mut self, mut rows: Vec<Row>, asked: i64) -> Vec<Row> {
        self.began.get_or_insert(asked);
        let full = rows.len() >= self.page_size;
        rows.sort_by_key(|row| (row.second, row.id));
        let last = rows.last().map(|row| (row.second, row.id));
        self.stage = match (self.stage, last) {
            (Stage::Undated { .. }, Some((_, after))) if full => Stage::Undated { after },
            (Stage::Undated { .. }, _) => Stage::From(None),
            (Stage::Second { at, .. }, Some((_, after))) if full => Stage::Second { at, after },
            (Stage::Second { at, .. }, _) => Stage::From(at.checked_add(1)),
            (Stage::From(_), Some((Some(second), _))) if full => {
                rows.retain(|row| row.second < Some(second));
                // Behind the beginning: of what is earlier than this second, nothing is left.
                if self.is_behind(second) {
                    Stage::End
                } else if rows.is_empty() {
                    Stage::Second { at: second, after: 0 }
                } else {
                    Stage::From(Some(second))
                }
            }
            (Stage::From(_) | Stage::End, _) => Stage::End,
        };
        rows
    }

    /// Whether a second is later than the time at which this read began. Where clocks were set back, none is: the reads would end
    /// before they bring anything.
    fn is_behind(&self, second: i64) -> bool {
        let behind = |began: i64| second > began && self.from.is_none_or(|from| from <= began.saturating_sub(self.overlap));
        self.began.is_some_and(behind)
    }

    /// Hands a record out; answers whether it is news.
    pub fn take(&mut self, row: &Row) -> bool {
        self.at = Some((row.second, row.id));
        self.note(row)
    }

    /// A record that was read beside the order.
    pub fn note(&mut self, row: &Row) -> bool {
        if self.seen.holds(row.id, row.hash) {
            return false;
        }
        match row.second.filter(|second| Some(*second) >= self.next_from()) {
            Some(second) => self.seen.insert(row.id, second, row.hash),
            None => self.seen.remove(row.id),
        }
        true
    }

    /// A record is gone.
    pub fn forget(&mut self, id: u64) {
        if let Ok(id) = i64::try_from(id) {
            self.seen.remove(id);
        }
    }

    /// The read has come to its end: the next one begins.
    pub fn end(&mut self) {
        self.from = self.next_from();
        (self.at, self.began) = (None, None);
        if let Some(from) = self.from {
            self.seen.forget_before(from);
        }
        self.stage = Stage::From(self.from);
    }

    /// Where the read after this one begins: never before where this one did, however clocks are set.
    fn next_from(&self) -> Option<i64> {
        self.began.map(|began| began.saturating_sub(self.overlap)).max(self.from)
    }

    #[must_use]
    pub fn place(&self, of: &str) -> Place {
        Place { of: of.to_owned(), from: self.from, at: self.at, began: self.began, seen: self.seen.pack() }
    }

    /// Number of records in the list of what was seen.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.seen.len()
    }
}

#[cfg(test)]
mod tests;
