//! One record of an answer: its cursor, its key, and whether it is news.

use std::cmp::Ordering;

use jiff::{SignedDuration, Timestamp};
use serde::de::IgnoredAny;
use wharf_packing::hash;
use wharf_sdk::Rejection;
use wharf_sdk::json::key;
use wharf_sdk::log;

use super::{REMEMBERED, ReadError, Reader};
use crate::config::Unchanged;
use crate::cursor::Cursor;
use crate::seen::Entry;

/// A cursor may be ahead of this clock by no more: a time without a zone may be that of any place.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);
/// So far the API's clock may be ahead of this one.
const SOON: SignedDuration = SignedDuration::from_mins(1);

/// What a record of an answer comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    Record {
        /// `None`: no key is configured.
        key: Option<Vec<u8>>,
        /// Milliseconds since 1970.
        timestamp: Option<i64>,
    },
    /// Read before.
    Nothing,
    /// To the dead-letter topic.
    Unreadable(Rejection),
}

/// What a record says of itself.
struct Facts {
    cursor: Option<Cursor>,
    key: Option<Vec<u8>>,
}

impl Reader {
    /// Takes one record as it stands in the answer.
    ///
    /// # Errors
    /// [`ReadError`] where the API's order cannot be trusted.
    pub fn record(&mut self, raw: &str) -> Result<Read, ReadError> {
        if let Some(behind) = self.behind.as_ref().filter(|behind| !behind.confirms) {
            let found = self.facts(raw).ok().and_then(|facts| facts.cursor);
            let found = found.is_some_and(|cursor| cursor.order(&behind.cursor) == Ordering::Greater);
            self.behind.iter_mut().for_each(|behind| behind.found |= found);
            return Ok(Read::Nothing);
        }
        self.turn += 1;
        let Facts { cursor, key } = match self.facts(raw) {
            Ok(facts) => facts,
            Err(rejection) => return Ok(self.unreadable(raw, rejection)),
        };
        if let Some(cursor) = &cursor {
            self.check_order(cursor)?;
            let before = |floor: &Cursor| floor.kind() == cursor.kind() && cursor.order(floor) == Ordering::Less;
            let before = self.floor.as_ref().is_some_and(before);
            if before {
                return Ok(Read::Nothing);
            }
            self.raise(cursor);
        }
        let identity = hash(raw.as_bytes());
        let age = self.age(cursor.as_ref());
        let since = if cursor.is_none() && self.plan.config.unchanged == Unchanged::Send { self.round } else { i64::MIN };
        let new = !self.seen.holds(identity, since);
        let key_hash = key.as_deref().map(hash);
        let soon = Timestamp::now().saturating_add(SOON).unwrap_or(Timestamp::MAX);
        if let Some(key) = key_hash.filter(|_| cursor.as_ref().is_some_and(|cursor| cursor.tells_later(soon))) {
            if new && self.seen.has_higher(key, age, self.round) {
                return Ok(Read::Nothing);
            }
            self.seen.raise(key, age, self.round);
        }
        self.seen.insert(identity, Entry { at: age, round: self.round, turn: self.turn, key: key_hash });
        self.forget();
        // Kafka refuses a time that lies ahead; without one it is that of its writing.
        let timestamp = cursor.as_ref().filter(|cursor| !cursor.is_after(soon)).and_then(Cursor::milliseconds);
        Ok(if new { Read::Record { key, timestamp } } else { Read::Nothing })
    }

    fn facts(&self, raw: &str) -> Result<Facts, Rejection> {
        let no_json = |e: serde_json::Error| Rejection::new("value.json", format!("the record is no JSON: {e}"));
        let mut values = Vec::with_capacity(self.plan.key.len());
        for path in &self.plan.key {
            values.push(path.first(raw).map_err(no_json)?);
        }
        let cursor = match &self.plan.cursor {
            Some(path) => {
                let found = path.first(raw).map_err(no_json)?.filter(|found| *found != "null");
                let found =
                    found.ok_or_else(|| Rejection::new("cursor.missing", format!("the record has no `{path}`, its cursor")))?;
                let kind = self.plan.config.cursor_type.or(self.kind);
                let wrong = || Rejection::new("cursor.type", format!("`{path}`, the cursor, is no {}", name(kind)));
                Some(kind.and_then(|kind| Cursor::read(found, Some(kind))).ok_or_else(wrong)?)
            }
            None => None,
        };
        if self.plan.key.is_empty() {
            serde_json::from_str::<IgnoredAny>(raw).map_err(no_json)?;
            return Ok(Facts { cursor, key: None });
        }
        let mut bytes = Vec::new();
        key(&self.plan.key_names, &values, &mut bytes)
            .map_err(|name| Rejection::new("key.missing", format!("the field `{name}` of the key is missing or null")))?;
        Ok(Facts { cursor, key: Some(bytes) })
    }

    /// In ascending order no cursor is before the last one.
    fn check_order(&mut self, cursor: &Cursor) -> Result<(), ReadError> {
        if !self.ascends() {
            return Ok(());
        }
        if self.last.as_ref().is_some_and(|last| cursor.order(last) == Ordering::Less) {
            return Err(ReadError::Unordered(self.cursor_name()));
        }
        self.last = Some(cursor.clone());
        Ok(())
    }

    /// A time that is far ahead of all clocks, such as 2099, would hide all that comes after it: it does not count.
    fn raise(&mut self, cursor: &Cursor) {
        if cursor.lacks_zone() && self.plan.config.overlap.is_none() && !std::mem::replace(&mut self.told.zone, true) {
            let name = self.cursor_name();
            log::warn!(
                "the times in `{name}` have no zone and count as UTC. If they are of a place whose clocks are put back in autumn, give overlap = \"61m\": what changes in the hour that comes twice is left out without it"
            );
        }
        let higher = self.high.as_ref().is_none_or(|high| cursor.order(high) == Ordering::Greater);
        if !higher {
            return;
        }
        if cursor.is_after(Timestamp::now().saturating_add(AHEAD).unwrap_or(Timestamp::MAX)) {
            if !std::mem::replace(&mut self.told.ahead, true) {
                let name = self.cursor_name();
                log::warn!(
                    "a record has `{name}` {}, which lies ahead: it is produced, and reading goes on from those before it",
                    cursor.json
                );
            }
            return;
        }
        self.high = Some(cursor.clone());
        self.rises += 1;
    }

    pub(super) fn cursor_name(&self) -> String {
        self.plan.cursor.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    /// A record that cannot be read is told of once, as long as each round brings it.
    fn unreadable(&mut self, raw: &str, rejection: Rejection) -> Read {
        let identity = hash(raw.as_bytes());
        let new = !self.odd.holds(identity, i64::MIN);
        self.odd.insert(identity, Entry { at: self.round, round: self.round, turn: self.turn, key: None });
        self.odd.forget_extras(i64::MAX, self.turn.saturating_sub(REMEMBERED as u64 / 2), REMEMBERED);
        if new { Read::Unreadable(rejection) } else { Read::Nothing }
    }
}

const fn name(kind: Option<crate::cursor::Kind>) -> &'static str {
    match kind {
        Some(crate::cursor::Kind::Time) => "time",
        Some(crate::cursor::Kind::Number) => "number",
        Some(crate::cursor::Kind::Text) => "text",
        None => "time and no number; where the API's cursors are texts, set `config.cursor-type = \"text\"`",
    }
}
