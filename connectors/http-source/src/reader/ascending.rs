//! Pages in ascending order without links or cursors of the API's own: asked for by the last cursor of the one before. Owns when such a
//! round is at its end, and whether one cursor fills a page.

use std::cmp::Ordering;

use wharf_sdk::log;

use super::{ReadError, Reader};
use crate::config::Pagination;
use crate::cursor::Cursor;
use crate::page::Page;
use crate::pager::LIKE_A_LIMIT;
use crate::place::Step;

/// Pages in ascending order, as many of them as brought the same number of records and a higher cursor.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Records of the last page.
    count: Option<u64>,
    pages: u32,
}

/// A page whose records all have the cursor from which on it was asked for: perhaps as many as the API gives at a time. What lies
/// behind that cursor is asked for, and not handed out; if there is something, whether that page still ends there.
#[derive(Debug)]
pub(super) struct Behind {
    pub(super) cursor: Cursor,
    count: u64,
    pub(super) found: bool,
    pub(super) confirms: bool,
}

impl Reader {
    /// In ascending order the next page is the one from the last cursor on, until a page is not full: the round ends there, so that
    /// the overlap of the next one finds what came late. `None`: pages are to be counted, as one cursor fills this one.
    pub(super) fn sought(&mut self, page: &Page) -> Result<Option<bool>, ReadError> {
        if let Some(behind) = self.behind.take()
            && let Some(goes_on) = self.looked_behind(behind, page)?
        {
            return Ok(Some(goes_on));
        }
        let before = self.row.count.replace(page.count);
        let as_many = before == Some(page.count);
        if page.count == 0 && page.more == Some(true) {
            return Ok(None);
        }
        let is_none = self.plan.config.pagination == Pagination::None;
        let by_size = self.plan.config.page_size.is_some_and(|size| page.count >= size) || page.more == Some(true);
        // An API may give less than it was asked for: what is no less than the page before may be full too.
        let full = page.count > 0 && (by_size || before.is_none_or(|before| page.count >= before));
        let higher = self.advanced();
        if !full {
            self.end();
            return Ok(Some(false));
        }
        if let Some(last) = higher.as_ref().filter(|last| self.began.is_some_and(|began| last.reaches(began))) {
            self.end_at(self.age(Some(last)).saturating_sub(1));
            return Ok(Some(false));
        }
        if let Some(last) = higher {
            self.row.pages = if page.count < LIKE_A_LIMIT {
                0
            } else if as_many {
                self.row.pages + 1
            } else {
                1
            };
            self.seek(last);
            return Ok(Some(true));
        }
        if !is_none {
            return Ok(None);
        }
        if by_size || as_many && self.row.pages >= 2 {
            return Err(ReadError::Stuck(page.count));
        }
        let likely = before.is_none_or(|before| before == page.count) && page.count >= LIKE_A_LIMIT;
        if likely && let Some((cursor, above)) = self.last.clone().and_then(|last| last.above().map(|above| (last, above))) {
            self.seek(above);
            self.behind = Some(Behind { cursor, count: page.count, found: false, confirms: false });
            return Ok(Some(true));
        }
        if likely && !std::mem::replace(&mut self.told.stuck, true) {
            log::warn!(
                "{} records share the highest cursor, and nothing lies behind them. If the API gives no more than that at a time, set `config.page-size` to it: there may be more",
                page.count
            );
        }
        self.end();
        Ok(Some(false))
    }

    /// A page has come that was asked for because of a cursor that may fill one. `None`: it is one like others.
    fn looked_behind(&mut self, behind: Behind, page: &Page) -> Result<Option<bool>, ReadError> {
        if behind.confirms {
            let ends_there = behind.count == page.count && self.advanced().is_none();
            return if ends_there { Err(ReadError::Stuck(page.count)) } else { Ok(None) };
        }
        if !behind.found {
            self.end();
            return Ok(Some(false));
        }
        // It may have come just now.
        self.seek(behind.cursor.clone());
        self.behind = Some(Behind { confirms: true, ..behind });
        Ok(Some(true))
    }

    /// The next page is the first one from there on.
    fn seek(&mut self, from: Cursor) {
        self.sought = Some(from);
        self.last = None;
        self.step = Step::First;
        self.pager.begin(&self.step);
    }

    /// The last cursor of a page, where it is higher than what was asked for.
    fn advanced(&self) -> Option<Cursor> {
        let last = self.last.as_ref()?;
        let floor = self.sought.as_ref().or(self.floor.as_ref());
        let higher = floor.is_none_or(|floor| floor.kind() != last.kind() || last.order(floor) == Ordering::Greater);
        higher.then(|| last.clone())
    }
}
