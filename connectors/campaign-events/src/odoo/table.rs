//! One table of Odoo: where reading it stands, what is asked for next, and what of it is stored. Sends nothing.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wharf_packing::hash;
use wharf_sdk::{Error, Position, Result, log};

use crate::config::Config;
use crate::event::Found;
use crate::odoo::row::{Model, text_of};
use crate::seen::Seen;
use crate::service::{LARGEST, LEAST_OVERLAP, MOST_HELD, QUIET};

/// A position as it is stored. Times are microseconds since 1970.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    /// What was written at or before it was handed over.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    since: Option<i64>,
    /// A read is under way: the service's clock when it began, and the last id of the pages that are done with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    begun: Option<i64>,
    #[serde(default)]
    after: i64,
    /// More came within the overlap than a position holds: what is at or before it is not stored.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    cut: Option<i64>,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    seen: String,
}

/// The state of reading one table.
#[derive(Debug)]
pub struct Table {
    pub model: Model,
    pub since: Option<i64>,
    pub begun: Option<i64>,
    after: i64,
    /// As in the position.
    cut: Option<i64>,
    pub seen: Seen,
    /// Last id of the page that is being handed out, and whether it is the last page.
    open: Option<(i64, bool)>,
    stored_at: Option<Instant>,
    /// Something was handed over in this read.
    brought: bool,
}

impl Table {
    #[must_use]
    pub fn new(model: Model) -> Self {
        Self::of(model, &Place::default(), Seen::default())
    }

    /// # Errors
    /// `fatal` for a position that another version wrote.
    pub fn stored(model: Model, position: &Position) -> Result<Self> {
        let place: Place = position.read()?;
        let bad = || Error::fatal(format!("the stored position of `{}` cannot be read: its `seen` is damaged", position.slice));
        Ok(Self::of(model, &place, Seen::unpack(&place.seen).ok_or_else(bad)?))
    }

    const fn of(model: Model, place: &Place, seen: Seen) -> Self {
        let Place { since, begun, after, cut, .. } = *place;
        Self { model, since, begun, after, cut, seen, open: None, stored_at: None, brought: false }
    }

    /// The body of `search_read` for the next page.
    #[must_use]
    pub fn query(&self, config: &Config) -> Value {
        let mut domain = self.model.domain(config);
        if let Some(since) = self.since {
            domain.push(json!(["write_date", ">=", text_of(since)]));
        }
        if self.after > 0 {
            domain.push(json!(["id", ">", self.after]));
        }
        json!({"domain": domain, "fields": self.model.fields(config), "order": "id", "limit": config.page_size})
    }

    /// A page has come, at this time by the service's clock.
    ///
    /// # Errors
    /// `retry` where rows have no ids that grow.
    pub fn begin_page(&mut self, rows: &[Value], page_size: u32, at: i64) -> Result<()> {
        self.begun.get_or_insert(at);
        let mut last = self.after;
        for row in rows {
            match row.get("id").and_then(Value::as_i64).filter(|id| *id > last) {
                Some(id) => last = id,
                None => return Err(Error::retry(format!("rows of `{}` come without ids that grow", self.model.name()))),
            }
        }
        self.open = Some((last, rows.len() < page_size as usize));
        Ok(())
    }

    /// When this read began, less the overlap, or less as much of it as a position holds; never before where the last one left off.
    fn floor(&self, overlap: i64) -> Option<i64> {
        Some(self.begun?.saturating_sub(overlap)).max(self.since).max(self.cut)
    }

    /// The overlap of this read becomes as short as a position takes it.
    fn shorten(&mut self, overlap: i64) {
        let Some(begun) = self.begun else { return };
        self.cut = self.cut.max(self.seen.shorten(MOST_HELD, begun.saturating_sub(overlap.min(LEAST_OVERLAP))));
    }

    /// Tells where it did.
    fn tell_shortened(&self, overlap: i64) {
        let (Some(begun), Some(cut)) = (self.begun, self.cut) else { return };
        let seconds = begun.saturating_sub(cut) / 1_000_000;
        if cut > begun.saturating_sub(overlap) {
            log::warn!(table = self.model.name(), seconds = seconds; "more was written within `config.overlap` than a position holds (256 KiB): the next read looks back by fewer seconds, and what is recorded later than that is missed");
        }
    }

    /// The page is handed over. Answers whether the read has come to its end.
    pub fn end_page(&mut self, overlap: i64) -> bool {
        let Some((last, is_last)) = self.open.take() else { return false };
        self.shorten(overlap);
        let floor = self.floor(overlap);
        if !is_last {
            // Ids grow: none of its rows comes again in this read.
            self.seen.end_page(floor, false);
            self.after = last;
            return false;
        }
        self.tell_shortened(overlap);
        self.seen.end_read(floor);
        (self.since, self.begun, self.after, self.cut) = (floor, None, 0, None);
        true
    }

    /// Whether a position without news is to be stored: at the end of a read that brought something, and now and then.
    pub fn is_due(&mut self) -> bool {
        std::mem::take(&mut self.brought) || self.stored_at.is_none_or(|at| at.elapsed() >= QUIET)
    }

    /// Remembers what was handed over, for as long as its row may come again.
    pub fn handed_over(&mut self, found: &Found) {
        self.brought = true;
        let now = self.begun.unwrap_or(i64::MAX);
        match found {
            // It comes again for as long as the next read does not pass it over.
            Found::Event(event) if self.model == Model::Trace => self.seen.insert(event.identity(), event.at, false),
            Found::Event(event) => self.seen.insert(event.identity(), event.recorded, false),
            Found::Unreadable(raw, _) => self.seen.insert(hash(raw), now, false),
        }
    }

    /// # Errors
    /// `fatal` where it is larger than the host takes.
    pub fn position(&mut self, overlap: i64) -> Result<Position> {
        self.shorten(overlap);
        self.stored_at = Some(Instant::now());
        let place = Place { since: self.since, begun: self.begun, after: self.after, cut: self.cut, seen: self.seen.pack() };
        let position = Position::json(self.model.name(), &place)?;
        if position.place.len() <= LARGEST {
            return Ok(position);
        }
        Err(Error::fatal(format!(
            "{} events of `{}` are within a minute, or within one page, and the position cannot hold them (256 KiB): lower `config.overlap` or `config.page-size`",
            self.seen.len(),
            self.model.name()
        )))
    }
}
