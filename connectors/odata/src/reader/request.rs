//! Which request comes next: how a read begins, what follows a page, and when all is read. Writes no URL and sends none.
//!
//! Next links of a read by cursor are mostly not followed: many services count rows in them (`$skiptoken=1000`), and an entity
//! that changes while pages are read moves to the end and pulls another one over the border, unread. A new query at the last
//! cursor leaves nothing out.

use super::{Next, ReadError, Reader};
use crate::page::Links;
use crate::plan::From;

impl Reader {
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

    /// The page at `url` is read to its end.
    ///
    /// # Errors
    /// [`ReadError`] for a link to another host, and where no way leads on.
    pub fn page_end(&mut self, links: &Links, url: &str) -> Result<Next, ReadError> {
        // Followed links may bring a row twice where others came in before it: order holds within a page.
        self.ascended = None;
        let follow = |link: &str| self.plan.service.follow(link, url, links.context.as_deref());
        if let Some(next) = links.next.as_deref().map(follow).transpose()? {
            return self.after_next_link(next);
        }
        let delta = links.delta.as_deref().map(follow).transpose()?;
        match delta.filter(|_| self.plan.delta) {
            Some(delta) => Ok(self.after_delta_link(delta)),
            None if self.delta.is_some() => Err(ReadError::DeltaEnds(self.plan.entity.clone())),
            None => self.own_next(),
        }
    }

    /// The service has more. A restart goes on there where no cursor leads it.
    fn after_next_link(&mut self, next: String) -> Result<Next, ReadError> {
        if let Some(instead) = self.seek()? {
            return Ok(Next::Page(instead));
        }
        if self.delta.is_some() {
            self.delta = Some(next.clone());
        } else if self.plan.cursor.is_none() {
            self.page = Some(next.clone());
        }
        Ok(Next::Page(next))
    }

    /// All is read for now, and the service told where its changes will be.
    fn after_delta_link(&mut self, delta: String) -> Next {
        if self.delta.is_none() {
            self.seen.clear();
        }
        (self.delta, self.page) = (Some(delta), None);
        // What this read brought may come once more in the next: a token's own instant belongs to both.
        self.seen.forget_before(self.tick, true);
        self.tick += 1;
        Next::End
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

    /// The service does not take the request for changes to be tracked.
    pub const fn tracks_nothing(&mut self) {
        self.tracking = false;
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
}
