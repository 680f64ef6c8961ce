//! Reading an API round by round. Owns the state of it: the highest cursor, what was seen, the page. What a record comes to is
//! in `record.rs`, from where a restart goes on in `restart.rs`. Sends nothing.
//!
//! A round is all pages of one `{{ since }}`. In any order its highest cursor counts for the next round only: a record further on
//! may have a lower one. Where the API sorts by the cursor, all before the highest one is done with, so that reading can go on
//! there at any time; numbers of pages and records are not gone by then, as they shift when a record changes meanwhile.
//!
//! What the next round counts from: a record of a page that was read may change while the round goes on, to a cursor below one
//! that is found further on. So it is the highest cursor, but nothing later than the round's beginning by the API's clock; and
//! where cursors are not comparable with a clock, after a round of several pages the highest one that was known before it.

use std::cmp::Ordering;

use jiff::Timestamp;
use wharf_sdk::log;

use crate::config::{Order, Pagination, Unchanged};
use crate::cursor::{Cursor, Kind};
use crate::page::Page;
use crate::pager::{BadPages, Pager, Whereabouts};
use crate::place::Step;
use crate::plan::Plan;
use crate::seen::Seen;

mod record;
mod restart;

pub use record::Read;

/// So many records are remembered of a round, or half of it where there are more, beyond those of the overlap.
const REMEMBERED: usize = 100_000;
/// So many records at the least may be all that an API gives at a time.
const LIKE_A_LIMIT: u64 = 10;
/// After so many empty pages in a row the next one is not asked for at once.
const QUIET_PAGES: u32 = 10;

/// The state of reading.
#[derive(Debug)]
pub struct Reader {
    pub plan: Plan,
    /// The highest cursor.
    high: Option<Cursor>,
    /// The highest cursor when the round began.
    before: Option<Cursor>,
    /// What the round counts from, and the next one.
    base: Option<Cursor>,
    next: Option<Cursor>,
    /// What cursors are, once one was read.
    kind: Option<Kind>,
    /// When the round began, by the API's clock: of its first answer.
    began: Option<Timestamp>,
    /// Pages with records of this round, or since it was begun again; of which the last ones brought so many records each.
    pages: u32,
    row: Row,
    /// What lies before this was read in another round.
    floor: Option<Cursor>,
    /// In ascending order: from where on this request asks, and the last cursor that it brought.
    sought: Option<Cursor>,
    last: Option<Cursor>,
    /// The page that is being read, or comes next.
    step: Step,
    pager: Pager,
    seen: Seen,
    /// What could not be read.
    odd: Seen,
    /// Counts rounds; and for cursors without an age, how often the highest one has risen.
    round: i64,
    rises: i64,
    /// Counts records.
    turn: u64,
    /// A round is being read.
    within: bool,
    /// Of this round not all is remembered.
    cut: bool,
    /// How often the API did not take its own link since it took that one, and behind how many pages that was.
    lost: u32,
    lost_behind: u32,
    /// Empty pages that had another one behind them, in a row.
    empty: u32,
    /// What was warned of already.
    told: Told,
}

/// Pages in ascending order, as many of them as brought the same number of records and a higher cursor.
#[derive(Debug, Default)]
struct Row {
    /// Records of the last page.
    count: Option<u64>,
    pages: u32,
}

#[derive(Debug, Default)]
struct Told {
    ahead: bool,
    overlap: bool,
    stuck: bool,
}

/// Reading cannot go on without risk of leaving something out.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReadError {
    #[error(transparent)]
    Pages(#[from] BadPages),
    #[error(
        "the records do not come in the order of `{0}` as order = \"ascending\" says: going on could leave some out. Have the API sort by it, or set order = \"any\""
    )]
    Unordered(String),
    #[error(
        "a whole page ({0} records) shares one cursor, and there is no pagination to reach those behind it: raise `config.page-size`, or set `config.pagination`"
    )]
    Stuck(u64),
    #[error(
        "the API lists {0} records, and the position cannot hold them (256 KiB), by which unchanged ones are known: give `config.cursor`, or set unchanged = \"send\", which produces all of them in each round"
    )]
    List(usize),
    #[error(
        "`config.overlap` is of another kind than the cursor `{0}`: give a duration (\"60s\") for times, a number for numbers, and none for texts"
    )]
    OverlapKind(String),
}

impl Reader {
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            high: None,
            before: None,
            base: None,
            next: None,
            kind: None,
            began: None,
            pages: 0,
            row: Row::default(),
            floor: None,
            sought: None,
            last: None,
            step: Step::First,
            pager: Pager::default(),
            seen: Seen::default(),
            odd: Seen::default(),
            round: 0,
            rises: 0,
            turn: 0,
            within: false,
            cut: false,
            lost: 0,
            lost_behind: 0,
            empty: 0,
            told: Told::default(),
        }
    }

    /// The page to ask for, and what `{{ since }}` stands for: a JSON text.
    pub fn ask(&mut self) -> (&Step, Option<String>) {
        if !self.within {
            self.within = true;
            self.before.clone_from(&self.high);
            self.base.clone_from(&self.next);
            (self.began, self.pages) = (None, 0);
            self.set_floor();
            self.start_over();
        }
        let since = self.sought.as_ref().map(|sought| sought.json.clone());
        let since = since.or_else(|| self.floor.as_ref().map(|floor| floor.json.clone()));
        (&self.step, since)
    }

    fn start_over(&mut self) {
        (self.sought, self.last, self.step) = (None, None, Step::First);
        (self.row, self.empty) = (Row::default(), 0);
        self.pager.begin(&self.step);
    }

    /// An answer has come, with this time on it.
    pub fn answered(&mut self, date: Option<Timestamp>) {
        if self.pages == 0 && self.began.is_none() && self.empty == 0 {
            self.began = date;
        }
    }

    fn set_floor(&mut self) {
        self.floor = self.base.as_ref().map_or_else(|| self.plan.initial.clone(), |base| Some(self.plan.floor(base)));
    }

    const fn ascends(&self) -> bool {
        matches!(self.plan.config.order, Order::Ascending)
    }

    /// A page is read to its end. Answers whether there is another one in this round.
    ///
    /// # Errors
    /// [`ReadError`] where no way leads on.
    pub fn page_end(&mut self, page: &Page, at: Whereabouts<'_>) -> Result<bool, ReadError> {
        self.pages += u32::from(page.count > 0);
        if self.pages > self.lost_behind {
            (self.lost, self.lost_behind) = (0, 0);
        }
        let pagination = self.plan.config.pagination;
        let seeks = self.ascends() && !matches!(pagination, Pagination::Link | Pagination::Cursor) && page.more != Some(false);
        if seeks && let Some(goes_on) = self.sought(page)? {
            return Ok(goes_on);
        }
        let next = self.pager.after(&self.plan.config, &self.step, page, at)?;
        self.empty = if page.count == 0 { self.empty + 1 } else { 0 };
        match next {
            Some(next) => {
                self.step = next;
                Ok(true)
            }
            None => {
                self.end();
                Ok(false)
            }
        }
    }

    /// In ascending order the next page is the one from the last cursor on, until a page is not full: the round ends there, so that
    /// the overlap of the next one finds what came late. `None`: pages are to be counted, as one cursor fills this one.
    fn sought(&mut self, page: &Page) -> Result<Option<bool>, ReadError> {
        let before = self.row.count.replace(page.count);
        let as_many = before == Some(page.count);
        let is_none = self.plan.config.pagination == Pagination::None;
        let by_size = self.plan.config.page_size.is_some_and(|size| page.count >= size) || page.more == Some(true);
        // An API may give less than it was asked for: what is no less than the page before may be full too.
        let full = page.count > 0 && (by_size || before.is_none_or(|before| page.count >= before));
        let higher = self.advanced();
        if !full || higher.as_ref().is_some_and(|last| self.began.is_some_and(|began| last.reaches(began))) {
            self.end();
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
            self.sought = Some(last);
            self.last = None;
            self.step = Step::First;
            self.pager.begin(&self.step);
            return Ok(Some(true));
        }
        if !is_none {
            return Ok(None);
        }
        if by_size || as_many && self.row.pages >= 2 {
            return Err(ReadError::Stuck(page.count));
        }
        if as_many && page.count >= LIKE_A_LIMIT && !std::mem::replace(&mut self.told.stuck, true) {
            log::warn!(
                "{} records share the highest cursor, and nothing lies behind them. If the API gives no more than that at a time, set `config.page-size` to it: there may be more",
                page.count
            );
        }
        self.end();
        Ok(Some(false))
    }

    /// The last cursor of a page, where it is higher than what was asked for.
    fn advanced(&self) -> Option<Cursor> {
        let last = self.last.as_ref()?;
        let floor = self.sought.as_ref().or(self.floor.as_ref());
        let higher = floor.is_none_or(|floor| floor.kind() != last.kind() || last.order(floor) == Ordering::Greater);
        higher.then(|| last.clone())
    }

    /// All is read for now.
    pub fn end(&mut self) {
        self.next = self.next_base();
        let floor = match (&self.plan.cursor, self.plan.config.unchanged) {
            (Some(_), _) => self.oldest_of(self.next.as_ref()),
            (None, Unchanged::Skip) => self.round,
            (None, Unchanged::Send) => i64::MAX,
        };
        self.seen.forget_before(floor, true);
        self.odd.forget_before(self.round, true);
        self.round += 1;
        self.within = false;
        self.cut = false;
        (self.lost, self.lost_behind) = (0, 0);
    }

    /// What the next round counts from.
    fn next_base(&self) -> Option<Cursor> {
        let high = self.high.as_ref()?;
        let capped = self.began.and_then(|began| high.no_later_than(began));
        match capped {
            Some(capped) => Some(capped),
            None if self.ascends() || self.pages <= 1 || self.cut => Some(high.clone()),
            None => self.before.clone(),
        }
    }

    /// The highest cursor, but nothing later than the round's beginning.
    fn settled(&self) -> Option<Cursor> {
        let high = self.high.as_ref()?;
        Some(self.began.and_then(|began| high.no_later_than(began)).unwrap_or_else(|| high.clone()))
    }

    /// The API does not take the page that it was asked for. Answers whether the round is begun again: where the page was one
    /// that it had named itself.
    pub fn begin_again(&mut self) -> bool {
        let own = self.is_own_page() && self.lost < 2;
        if own {
            self.lost += 1;
            self.lost_behind = self.lost_behind.max(self.pages);
            if self.ascends() {
                // What lies before is done with, and no longer remembered.
                self.base = self.settled();
                self.set_floor();
            }
            self.pages = 0;
            self.start_over();
        }
        own
    }

    /// Whether the API named this page itself.
    const fn is_own_page(&self) -> bool {
        matches!(self.step, Step::Url(_) | Step::Cursor(_))
    }

    /// Whether one page after the other is empty and names another one: the API has nothing now.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        self.empty >= QUIET_PAGES
    }

    /// Whether this round is remembered in part alone, so that one that is begun again repeats records.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.cut
    }

    /// The age from which on records are within the overlap.
    fn oldest(&self) -> i64 {
        let base = if self.within { self.settled() } else { self.next.clone() };
        self.oldest_of(base.as_ref())
    }

    /// The same, of a round that counts from there.
    fn oldest_of(&self, base: Option<&Cursor>) -> i64 {
        let (Some(base), Some(high)) = (base, &self.high) else { return i64::MIN };
        let rank = || if base.order(high) == Ordering::Less { i64::MIN } else { self.rises };
        self.plan.oldest(base).unwrap_or_else(rank)
    }

    /// The age of a record: of its cursor, or the number of the round.
    fn age(&self, cursor: Option<&Cursor>) -> i64 {
        let Some(cursor) = cursor else { return self.round };
        let is_lower = || self.high.as_ref().is_some_and(|high| cursor.order(high) == Ordering::Less);
        cursor.age().unwrap_or_else(|| self.rises - i64::from(is_lower()))
    }

    /// What the ages of a position are counted from.
    fn newest(&self) -> i64 {
        let Some(high) = &self.high else { return self.round };
        high.age().unwrap_or(self.rises)
    }

    /// What is remembered stays within bounds, whatever a round holds.
    fn forget(&mut self) {
        let by_cursor = self.plan.cursor.is_some();
        if self.ascends() {
            // Up to the highest cursor this round still reads again what lies behind the record at hand.
            let floor = self.oldest().min(self.oldest_of(self.last.as_ref()));
            self.seen.forget_before(floor, false);
        } else if self.seen.len() > REMEMBERED && (by_cursor || self.plan.config.unchanged == Unchanged::Send) {
            let floor = if by_cursor { self.oldest() } else { i64::MAX };
            self.seen.forget_extras(floor, self.turn.saturating_sub(REMEMBERED as u64 / 2));
            self.cut = true;
        }
    }
}
