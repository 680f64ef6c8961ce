//! From where a restart goes on: the position that is stored, and the state that it brings back. Owns what of the state fits in
//! a position; reads no entity.

use super::{ReadError, Reader};
use crate::cursor::Cursor;
use crate::place::{LARGEST, Place};
use crate::seen::Seen;

/// The fewest characters of an entity in a packed list.
const PACKED: usize = 22;

impl Reader {
    /// Whether a stored position is one of this plan.
    #[must_use]
    pub fn fits(&self, place: &Place) -> bool {
        let own = |link: &Option<String>| link.as_deref().is_none_or(|url| self.plan.service.owns(url));
        place.by.as_ref() == self.plan.cursor.as_ref().map(|field| &field.name) && own(&place.page) && own(&place.delta)
    }

    pub(super) fn restore(&mut self, place: Place) {
        let field = self.plan.cursor.as_ref();
        self.high = place.cursor.as_ref().zip(field).and_then(|(raw, field)| Cursor::read(raw, field).ok());
        self.seen = Seen::unpack(&place.seen, self.now()).unwrap_or_default();
        self.delta = place.delta.filter(|_| self.plan.delta);
        self.page = place.page;
        if let Some(key) = place.after {
            self.last = Some((self.high.clone(), key));
        }
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
