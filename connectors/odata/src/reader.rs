//! Reading an entity set: which request comes next, what of an entity is news, and from where a restart goes on. Owns cursor,
//! overlap, pages and delta links; sends nothing.
//!
//! Ordered by the cursor, every entity at or before the highest one read is done with, so the position may move on after any
//! entity. Without a cursor it names the page being read, and what was taken from it.
//!
//! Next links of a read by cursor are mostly not followed: many services count rows in them (`$skiptoken=1000`), and an entity
//! that changes while pages are read moves to the end and pulls another one over the border, unread. A new query at the last
//! cursor leaves nothing out.

use serde_json::{Map, Value};
use wharf_sdk::json::pointer;

use crate::config::Paging;
use crate::cursor::Cursor;
use crate::key;
use crate::page::Links;
use crate::place::{LARGEST, Place};
use crate::plan::{From, Plan};
use crate::seen::{Seen, hash};

mod control;
mod error;

pub use error::ReadError;

use control::{is_relation, removed};

/// Full reads remember what they saw of so many entities; beyond, each read produces all of them.
const REMEMBERED: usize = 1_000_000;
/// The fewest characters of an entity in a packed list.
const PACKED: usize = 22;
/// Stands for the value of a deleted entity.
const GONE: u64 = 0;

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

    /// Whether a stored position is one of this plan.
    #[must_use]
    pub fn fits(&self, place: &Place) -> bool {
        let own = |link: &Option<String>| link.as_deref().is_none_or(|url| self.plan.service.owns(url));
        place.by.as_ref() == self.plan.cursor.as_ref().map(|field| &field.name) && own(&place.page) && own(&place.delta)
    }

    fn restore(&mut self, place: Place) {
        let field = self.plan.cursor.as_ref();
        self.high = place.cursor.as_ref().zip(field).and_then(|(raw, field)| Cursor::read(raw, field).ok());
        self.seen = Seen::unpack(&place.seen, self.now()).unwrap_or_default();
        self.delta = place.delta.filter(|_| self.plan.delta);
        self.page = place.page;
        if let Some(key) = place.after {
            self.last = Some((self.high.clone(), key));
        }
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

    /// Whether full reads no longer know what they saw: the set is too large.
    #[must_use]
    pub fn forgets(&self) -> bool {
        self.plan.cursor.is_none() && self.seen.len() >= REMEMBERED
    }

    /// Reading strictly after the last entity, without a list of what was seen.
    const fn strict(&self) -> bool {
        self.plan.overlap == 0 && self.plan.cursor.is_some()
    }

    fn top(&self) -> bool {
        self.plan.paging == Paging::Client && !self.tracking
    }

    /// The request that a read begins with.
    ///
    /// # Errors
    /// [`ReadError::Plan`] where a literal cannot be written.
    pub fn begin(&mut self) -> Result<String, ReadError> {
        self.ascended = None;
        self.counted = 0;
        self.fresh = false;
        self.sought = None;
        if let Some(link) = self.delta.as_ref().or(self.page.as_ref()) {
            return Ok(link.clone());
        }
        let from = match (&self.last, &self.high) {
            (Some((cursor, key)), _) if self.strict() => From::Entity(cursor.as_ref(), key),
            (_, Some(high)) => From::Cursor(high),
            _ => From::Start,
        };
        let url = self.plan.url(from, self.top())?;
        self.began_after = self.last.as_ref().filter(|_| self.strict()).map(|(_, key)| key.clone());
        Ok(url)
    }

    /// Takes one entity as it came.
    ///
    /// # Errors
    /// [`ReadError`] where the service's order cannot be trusted.
    pub fn entry(&mut self, raw: &[u8]) -> Result<Read, ReadError> {
        self.counted = self.counted.saturating_add(1);
        let Ok(Value::Object(object)) = serde_json::from_slice(raw) else {
            return Ok(self.unreadable(raw, "entry.object", "the entity is no JSON object".to_owned(), None));
        };
        if is_relation(&object) {
            return Ok(Read::Nothing);
        }
        if let Some(id) = removed(&object) {
            return Ok(self.deleted(raw, &id, object));
        }
        let cursor = match self.cursor_of(&object)? {
            Ok(cursor) => cursor,
            Err(name) => {
                let message = format!("`{name}` is no value of its type");
                return Ok(self.unreadable(raw, "cursor.type", message, Some(name)));
            }
        };
        self.ascend(cursor.as_ref())?;
        let (mapping, of) = self.plan.mapping();
        let mapped = mapping.object(object, of);
        let key = match key::of(&mapped, &self.plan.key) {
            Ok(key) => key,
            Err(name) => {
                let (name, message) = (name.to_owned(), format!("the key's property `{name}` is missing or null"));
                return Ok(self.unreadable(raw, "key.missing", message, Some(name)));
            }
        };
        let timestamp = cursor.as_ref().and_then(|cursor| cursor.time).map(|micros| micros.div_euclid(1000));
        let key_bytes = json(&key);
        self.last = Some((cursor.clone(), key));
        let value = json(&mapped);
        if self.is_new(hash(&key_bytes), hash(&value), cursor.as_ref()) {
            return Ok(Read::Record { key: key_bytes, value, timestamp });
        }
        Ok(Read::Nothing)
    }

    /// The cursor of an entity; the outer error stops, the inner one rejects. Null is no cursor.
    fn cursor_of(&self, object: &Map<String, Value>) -> Result<Result<Option<Cursor>, String>, ReadError> {
        let Some(field) = &self.plan.cursor else { return Ok(Ok(None)) };
        match object.get(&field.name) {
            None => Err(ReadError::CursorMissing(self.plan.entity.clone(), field.name.clone())),
            Some(Value::Null) => Ok(Ok(None)),
            Some(raw) => Ok(Cursor::read(raw, field).map(Some).map_err(|_| field.name.clone())),
        }
    }

    /// Checks that cursors come in order, and raises the highest one.
    fn ascend(&mut self, cursor: Option<&Cursor>) -> Result<(), ReadError> {
        let (Some(cursor), Some(field)) = (cursor, &self.plan.cursor) else { return Ok(()) };
        let order = |before: &Option<Cursor>| before.as_ref().and_then(|before| cursor.order(before, field));
        if order(&self.ascended) == Some(std::cmp::Ordering::Less) {
            return Err(ReadError::Unordered(self.plan.entity.clone(), field.name.clone()));
        }
        self.ascended = Some(cursor.clone());
        let higher = match (&self.high, order(&self.high)) {
            (None, _) => true,
            (Some(_), Some(order)) => order == std::cmp::Ordering::Greater,
            (Some(high), None) => high.raw != cursor.raw,
        };
        if higher {
            self.high = Some(cursor.clone());
            self.tick += 1;
            let floor = self.floor();
            self.seen.forget_before(floor, false);
        }
        Ok(())
    }

    /// What `seen` counts ages from.
    fn now(&self) -> i64 {
        self.high.as_ref().and_then(|high| high.time).unwrap_or(self.tick)
    }

    /// What is before this is out of the overlap. Only times have one; of other cursors the highest itself is read again.
    fn floor(&self) -> i64 {
        self.high.as_ref().and_then(|high| self.plan.window(high)).unwrap_or(self.tick)
    }

    /// Whether this key with this value was not the last that was read of it; from now on it is.
    fn is_new(&mut self, key: u64, value: u64, cursor: Option<&Cursor>) -> bool {
        if self.plan.cursor.is_some() && cursor.is_none() {
            // A null cursor passes no `ge`: it comes once, in the first read.
            self.fresh = true;
            return true;
        }
        let new = !self.seen.holds(key, value);
        self.fresh |= new;
        if self.plan.cursor.is_some() || self.seen.len() < REMEMBERED {
            self.seen.insert(key, value, cursor.and_then(|cursor| cursor.time).unwrap_or(self.tick));
        }
        new
    }

    /// An entity that cannot be read is told once, too, as long as the overlap remembers it.
    fn unreadable(&mut self, raw: &[u8], code: &'static str, message: String, field: Option<String>) -> Read {
        let identity = hash(raw);
        let new = !self.seen.holds(identity, identity);
        self.seen.insert(identity, identity, self.now());
        self.fresh |= new;
        if new { Read::Unreadable { code, message, field: field.map(|name| pointer(&name)) } } else { Read::Nothing }
    }

    /// A removed entity: by its id, or by the key's properties where they stand in it (OData JSON Format 4.01, 15.3).
    fn deleted(&mut self, raw: &[u8], id: &str, object: Map<String, Value>) -> Read {
        let (mapping, of) = self.plan.mapping();
        let key = match key::of(&mapping.object(object, of), &self.plan.key) {
            Ok(key) => Some(key),
            Err(_) => key::of_id(id, &self.plan.key, self.plan.version),
        };
        let Some(key) = key else {
            return self.unreadable(raw, "key.missing", "the id of a deleted entity does not tell its key".to_owned(), None);
        };
        let bytes = json(&key);
        if self.is_new(hash(&bytes), GONE, None) { Read::Deleted { key: bytes } } else { Read::Nothing }
    }

    /// The page at `url` is read to its end.
    ///
    /// # Errors
    /// [`ReadError`] for a link to another host, and where no way leads on.
    pub fn page_end(&mut self, links: &Links, url: &str) -> Result<Next, ReadError> {
        // Followed links may bring a row twice where others came in before it: order holds within a page.
        self.ascended = None;
        let follow = |link: &str| self.plan.service.follow(link, url, links.context.as_deref());
        if let Some(next) = links.next.as_deref().map(follow).transpose()? {
            if let Some(next) = self.seek()? {
                return Ok(Next::Page(next));
            }
            if self.delta.is_some() {
                self.delta = Some(next.clone());
            } else if self.plan.cursor.is_none() {
                self.page = Some(next.clone());
            }
            return Ok(Next::Page(next));
        }
        let follow = |link: &str| self.plan.service.follow(link, url, links.context.as_deref());
        let delta = links.delta.as_deref().map(follow).transpose()?;
        if self.plan.delta && delta.is_some() {
            if self.delta.is_none() {
                self.seen.clear();
            }
            (self.delta, self.page) = (delta, None);
            // What this read brought may come once more in the next: a token's own instant belongs to both.
            self.seen.forget_before(self.tick, true);
            self.tick += 1;
            return Ok(Next::End);
        }
        if self.delta.is_some() {
            return Err(ReadError::DeltaEnds(self.plan.entity.clone()));
        }
        self.own_next()
    }

    /// The query in place of a next link; `None`: follow it. Only within a page full of one cursor there is no other way.
    fn seek(&mut self) -> Result<Option<String>, ReadError> {
        let Some((Some(cursor), key)) = &self.last else { return Ok(None) };
        if self.top() {
            if self.began_after.as_ref() == Some(key) {
                return Ok(None);
            }
            let url = self.plan.url(From::Entity(Some(cursor), key), true)?;
            (self.began_after, self.counted, self.fresh) = (Some(key.clone()), 0, false);
            return Ok(Some(url));
        }
        if self.sought.as_ref() == Some(cursor) {
            return Ok(None);
        }
        let url = self.plan.url(From::Exactly(cursor), false)?;
        self.sought = Some(cursor.clone());
        Ok(Some(url))
    }

    /// Where this connector cuts the pages: a full one is followed by another.
    fn own_next(&mut self) -> Result<Next, ReadError> {
        if !self.top() || self.counted < self.plan.page_size {
            self.end();
            return Ok(Next::End);
        }
        let Some((cursor, key)) = &self.last else {
            return Err(ReadError::Stuck(self.plan.entity.clone(), self.counted));
        };
        if self.began_after.as_ref() == Some(key) && !self.fresh {
            return Err(ReadError::Stuck(self.plan.entity.clone(), self.counted));
        }
        let url = self.plan.url(From::Entity(cursor.as_ref(), key), true)?;
        self.began_after = Some(key.clone());
        self.counted = 0;
        self.fresh = false;
        if self.plan.cursor.is_none() {
            self.page = Some(url.clone());
        }
        Ok(Next::Page(url))
    }

    fn end(&mut self) {
        self.tracking = false;
        if self.plan.cursor.is_some() {
            let floor = self.floor();
            self.seen.forget_before(floor, true);
            return;
        }
        self.page = None;
        // What this read did not find again is gone; only hashes of it are known, so nobody can be told its key.
        self.seen.forget_before(self.tick, true);
        self.tick += 1;
    }

    /// The service no longer takes a link that it handed out (400, 404 or 410): begin again. Answers whether entities
    /// deleted meanwhile may stay unnoticed.
    pub fn link_is_lost(&mut self) -> bool {
        let was_delta = self.delta.take().is_some();
        if was_delta {
            self.seen.clear();
            self.tracking = self.plan.delta;
        }
        self.page = None;
        was_delta
    }

    /// Where a restart would go on now; `None`: nothing was read yet.
    ///
    /// # Errors
    /// [`ReadError::Overlap`] where it is larger than a position may be.
    pub fn place(&self) -> Result<Option<Vec<u8>>, ReadError> {
        let by = self.plan.cursor.as_ref().map(|field| field.name.clone());
        let has_cursor = by.is_some();
        let mut place = Place { by, page: self.page.clone(), delta: self.delta.clone(), ..Place::default() };
        if self.strict() {
            let Some((cursor, key)) = &self.last else { return Ok(None) };
            place.cursor = cursor.as_ref().map(|cursor| cursor.raw.clone());
            place.after = Some(key.clone());
        } else {
            if has_cursor && self.high.is_none() {
                return Ok(None);
            }
            place.cursor = self.high.as_ref().map(|high| high.raw.clone());
            if has_cursor {
                let mut within = self.seen.clone();
                within.forget_before(self.floor(), true);
                place.seen = within.pack(self.now());
            } else if self.seen.len() <= LARGEST / PACKED {
                place.seen = self.seen.pack(self.now());
            }
        }
        match (place.write(), has_cursor) {
            (Some(bytes), _) => Ok(Some(bytes)),
            (None, true) => Err(ReadError::Overlap(self.seen.len(), self.plan.entity.clone())),
            // A full read of a large set: after a restart it produces what it cannot remember once more.
            (None, false) => {
                place.seen.clear();
                Ok(place.write())
            }
        }
    }
}

/// Objects whose keys are text and whose values came from JSON always have a JSON form.
fn json(object: &Map<String, Value>) -> Vec<u8> {
    serde_json::to_vec(object).unwrap_or_default()
}

#[cfg(test)]
mod tests;
