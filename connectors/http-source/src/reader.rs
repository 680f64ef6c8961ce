//! Reading an API round by round. Owns the state of it: the highest cursor, what was seen, the page. What a record comes to is
//! in `record.rs`, from where a restart goes on in `restart.rs`, pages by their last cursor are in `ascending.rs`. Sends nothing.
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

mod ascending;
mod kind;
mod record;
mod restart;

use ascending::{Behind, Row};
pub use record::Read;

/// So many records are remembered of a round, or half of it where there are more, beyond those of the overlap.
const REMEMBERED: usize = 100_000;
/// After so many empty pages in a row the next one is not asked for at once. Many, as an API that filters behind its paging has
/// long stretches without a record, and each page of them would cost an interval.
const QUIET_PAGES: u32 = 100;

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
    /// What cursors are, once it is known.
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
    /// Of this round not all is remembered: it has too many records, or a position has held too few of them.
    large: bool,
    cut: bool,
    /// It is looked behind a cursor that may fill a page.
    behind: Option<Behind>,
    /// How often the API did not take its own link since it took that one, and behind how many pages that was.
    lost: u32,
    lost_behind: u32,
    /// Empty pages that had another one behind them, in a row.
    empty: u32,
    /// What was warned of already.
    told: Told,
}

#[derive(Debug, Default)]
struct Told {
    ahead: bool,
    overlap: bool,
    stuck: bool,
    zone: bool,
    full: bool,
    many: bool,
    quiet: bool,
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
            large: false,
            cut: false,
            behind: None,
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
        (self.row, self.empty, self.behind) = (Row::default(), 0, None);
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
        self.warn_of_a_full_page(page);
        let next = self.pager.after(&self.plan.config, &self.step, page, at)?;
        self.empty = if page.count == 0 { self.empty + 1 } else { 0 };
        match next {
            Some(next) => {
                self.step = next;
                self.warn_of_empty_pages();
                Ok(true)
            }
            None => {
                self.end();
                Ok(false)
            }
        }
    }

    fn warn_of_empty_pages(&mut self) {
        if self.is_quiet() && !std::mem::replace(&mut self.told.quiet, true) {
            log::warn!(
                "{QUIET_PAGES} pages in a row hold no record and name a next one: from here on one page is asked for each `config.interval`, until one holds a record"
            );
        }
    }

    fn warn_of_a_full_page(&mut self, page: &Page) {
        let config = &self.plan.config;
        let is_full = config.page_size.is_some_and(|size| page.count >= size);
        if config.pagination == Pagination::None && is_full && !std::mem::replace(&mut self.told.full, true) {
            log::warn!(
                "an answer has {} records, as many as `config.page-size` says that the API gives at a time: if it has more of them, they are not read. Set `config.pagination`",
                page.count
            );
        }
    }

    /// All is read for now.
    pub fn end(&mut self) {
        self.end_at(i64::MAX);
    }

    /// All is read up to this age.
    fn end_at(&mut self, reached: i64) {
        self.next = self.next_base();
        // A round without an answer, or with none but an empty one, says nothing of what it has not listed.
        if self.plan.cursor.is_some() && self.pages > 0 {
            self.seen.forget_unlisted(self.round, reached);
        }
        let floor = match (&self.plan.cursor, self.plan.config.unchanged) {
            (Some(_), _) => self.oldest_of(self.next.as_ref()),
            (None, Unchanged::Skip) => self.round,
            (None, Unchanged::Send) => i64::MAX,
        };
        self.seen.forget_before(floor, true);
        self.odd.forget_before(self.round, true);
        self.round += 1;
        self.within = false;
        (self.large, self.cut, self.behind) = (false, false, None);
        (self.lost, self.lost_behind) = (0, 0);
    }

    /// What the next round counts from.
    fn next_base(&self) -> Option<Cursor> {
        if self.pages == 0 {
            return self.base.clone();
        }
        let high = self.high.as_ref()?;
        let capped = self.began.and_then(|began| high.no_later_than(began));
        match capped {
            Some(capped) => Some(capped),
            None if self.ascends() || self.pages <= 1 || self.large => Some(high.clone()),
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
            self.seen.forget(self.seen.replaced(self.round, self.plan.cursor.is_some()));
            self.renumber();
            self.start_over();
        }
        own
    }

    /// The round is read once more: what it had listed so far is of an earlier one now.
    const fn renumber(&mut self) {
        if self.plan.cursor.is_some() || matches!(self.plan.config.unchanged, Unchanged::Skip) {
            self.round += 1;
        }
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
        self.cut || self.large
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
        let most = if self.ascends() { REMEMBERED * 4 } else { REMEMBERED };
        if self.ascends() {
            // Up to the highest cursor this round still reads again what lies behind the record at hand.
            let floor = self.oldest().min(self.oldest_of(self.last.as_ref()));
            self.seen.forget_before(floor, false);
        }
        if self.seen.len() > most && (by_cursor || self.plan.config.unchanged == Unchanged::Send) {
            let floor = if by_cursor { self.oldest() } else { i64::MAX };
            let before = self.seen.len();
            let too_many = self.seen.forget_extras(floor, self.turn.saturating_sub(REMEMBERED as u64 / 2), REMEMBERED);
            self.large |= self.seen.len() < before;
            if too_many && !std::mem::replace(&mut self.told.many, true) {
                log::warn!(
                    "the next round reads more than {} records again, and not all of them are remembered: some may come twice. A lower `config.overlap` makes them fewer",
                    REMEMBERED * 4
                );
            }
        }
    }
}
