//! What cursors are compared as, where the configuration does not say it. The records of the first page tell it together: one
//! that is odd, such as `n/a`, 0 or `0000-00-00` among times, must not decide for all that come after it.

use super::{ReadError, Reader};
use crate::cursor::{Cursor, Kind, Overlap};
use crate::page::Page;

impl Reader {
    /// Settles it by the first page with a time or a number: what `config.overlap` is of, where there is such a cursor, else what
    /// most of them are, and times of as many. Texts say nothing: `n/a` is one, and as a text would lie behind all times.
    ///
    /// # Errors
    /// [`ReadError::OverlapKind`] where the overlap is of a kind that no cursor of the page has.
    pub fn settle_kind(&mut self, page: &Page) -> Result<(), ReadError> {
        let Some(path) = &self.plan.cursor else { return Ok(()) };
        if self.plan.config.cursor_type.is_some() || self.kind.is_some() {
            return Ok(());
        }
        let (mut times, mut numbers) = (0u64, 0u64);
        for raw in page.records() {
            match path.first(raw).ok().flatten().and_then(|found| Cursor::read(found, None)).map(|cursor| cursor.kind()) {
                Some(Kind::Time) => times += 1,
                Some(Kind::Number) => numbers += 1,
                Some(Kind::Text) | None => {}
            }
        }
        let kind = match &self.plan.overlap {
            _ if times + numbers == 0 => return Ok(()),
            Some(Overlap::Time(_)) if times > 0 => Kind::Time,
            Some(Overlap::Number(_)) if numbers > 0 => Kind::Number,
            Some(_) => return Err(ReadError::OverlapKind(self.cursor_name())),
            None if times >= numbers => Kind::Time,
            None => Kind::Number,
        };
        self.kind = Some(kind);
        Ok(())
    }
}
