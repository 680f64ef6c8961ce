//! Reading an entity set. Owns the state of it: cursor, overlap, pages and delta links. Which request comes next stands in
//! `request.rs`, what an entity comes to in `entity.rs`, what is news in `news.rs`, from where a restart goes on in `restart.rs`.
//! Sends nothing.
//!
//! Ordered by the cursor, every entity at or before the highest one read is done with, so the position may move on after any
//! entity. Without a cursor it names the page being read, and what was taken from it.

use serde_json::{Map, Value};

use crate::config::Paging;
use crate::cursor::Cursor;
use crate::place::Place;
use crate::plan::Plan;
use crate::seen::Seen;

mod control;
mod entity;
mod error;
mod news;
mod request;
mod restart;

pub use error::ReadError;

/// What an entity of an answer comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    Record {
        key: Vec<u8>,
        value: Vec<u8>,
        /// Milliseconds since 1970.
        timestamp: Option<i64>,
    },
    /// The service says that it is gone.
    Deleted { key: Vec<u8> },
    /// Seen before, or control information.
    Nothing,
    /// To the dead-letter topic.
    Unreadable { code: &'static str, message: String, field: Option<String> },
}

/// What follows a page.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Page(String),
    /// All is read for now.
    End,
}

/// The state of reading one entity set.
#[derive(Debug)]
pub struct Reader {
    plan: Plan,
    /// The highest cursor.
    high: Option<Cursor>,
    seen: Seen,
    /// Age that `seen` counts from where cursors are no times: it grows when the cursor does, or with each full read.
    tick: i64,
    delta: Option<String>,
    page: Option<String>,
    /// Whether to ask for changes to be tracked: until a whole read brought no delta link.
    tracking: bool,
    /// Cursor (`None`: null) and key of the last entity in order.
    last: Option<(Option<Cursor>, Map<String, Value>)>,
    /// Highest cursor of this read alone.
    ascended: Option<Cursor>,
    /// Entities in the pages of one request, and the last of them when it began.
    counted: u32,
    began_after: Option<Map<String, Value>>,
    fresh: bool,
    /// The cursor at which the pages that are being read begin.
    sought: Option<Cursor>,
}

impl Reader {
    /// Goes on from `place` where it fits the plan: same cursor, same host.
    #[must_use]
    pub fn new(plan: Plan, place: Option<Place>) -> Self {
        let tracking = plan.delta;
        let mut reader = Self {
            plan,
            high: None,
            seen: Seen::default(),
            tick: 0,
            delta: None,
            page: None,
            tracking,
            last: None,
            ascended: None,
            counted: 0,
            began_after: None,
            fresh: false,
            sought: None,
        };
        if let Some(place) = place.filter(|place| reader.fits(place)) {
            reader.restore(place);
        }
        reader
    }

    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether reading goes by delta links now.
    #[must_use]
    pub const fn is_delta(&self) -> bool {
        self.delta.is_some()
    }

    /// Whether [`Reader::begin`] answers with a link of the service's own.
    #[must_use]
    pub const fn begins_by_link(&self) -> bool {
        self.delta.is_some() || self.page.is_some()
    }

    /// Whether the next read asks for changes to be tracked (OData 4.01 Part 1, 8.2.8.6 and 11.3).
    #[must_use]
    pub const fn asks_for_tracking(&self) -> bool {
        self.tracking && self.delta.is_none()
    }

    /// Reading strictly after the last entity, without a list of what was seen.
    const fn strict(&self) -> bool {
        self.plan.overlap == 0 && self.plan.cursor.is_some()
    }

    /// Whether this connector cuts the pages now; while it asks for changes to be tracked, the service does.
    fn top(&self) -> bool {
        self.plan.paging == Paging::Client && !self.tracking
    }
}

#[cfg(test)]
mod tests;
