//! One stream of one campaign: where reading it stands, and what of it is stored. Owns cursor, pages and floor; sends nothing.
//!
//! The service gives rows in no order that it documents, by offset. So the cursor moves only at the end of a whole read, to the
//! time at which that read began, less the overlap. What happened after that time is left to the next read: a read that is
//! interrupted for long would have to remember all of it. Pages overlap by one row: where that row is not the first
//! of the next page, rows before it have gone or come, others may have been passed over, and the same is read again in the next round.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wharf_packing::hash;
use wharf_sdk::http::Request;
use wharf_sdk::{Error, Position, Result, log};

use crate::client::Client;
use crate::config::{Config, micros};
use crate::event::Found;
use crate::mailchimp::answer::{Page, iso};
use crate::seen::Seen;
use crate::service::{LARGEST, LEAST_OVERLAP, MOST_HELD, QUIET};

/// Nothing happens to a campaign before it is sent; the first read asks from this long before.
const BEFORE_SENT: Duration = Duration::from_secs(86_400);

/// What is read of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Opens, clicks, bounces; can be asked for what came since a time.
    Activity,
    /// All of it comes with each read, and all of it is remembered: no unsubscribe is missed for having come late.
    Unsubscribed,
}

impl Kind {
    /// The last part of its path.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Activity => "email-activity",
            Self::Unsubscribed => "unsubscribed",
        }
    }

    #[must_use]
    pub fn slice(self, campaign: &str) -> String {
        format!("{campaign}/{}", self.path())
    }

    #[must_use]
    pub fn of_slice(slice: &str) -> Option<(&str, Self)> {
        let (campaign, path) = slice.rsplit_once('/')?;
        [Self::Activity, Self::Unsubscribed].into_iter().find(|kind| kind.path() == path).map(|kind| (campaign, kind))
    }
}

/// A position as it is stored. Times are microseconds since 1970.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    sent: i64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    list: Option<String>,
    /// What is at or before it was handed over.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    since: Option<i64>,
    /// A read is under way: the service's clock when it began, its next row, the row before that, and whether rows moved.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    begun: Option<i64>,
    #[serde(skip_serializing_if = "is_zero", default)]
    offset: usize,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    after: Option<String>,
    #[serde(skip_serializing_if = "is_false", default)]
    moved: bool,
    /// More came within the overlap than a position holds: what is at or before it is not stored.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    cut: Option<i64>,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    seen: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Where the page that is being handed out ends.
#[derive(Debug)]
struct Open {
    offset: usize,
    after: Option<String>,
    is_last: bool,
}

/// The state of reading one stream.
#[derive(Debug)]
pub struct Stream {
    pub campaign: String,
    pub kind: Kind,
    pub sent: i64,
    pub list: Option<String>,
    pub since: Option<i64>,
    pub begun: Option<i64>,
    offset: usize,
    after: Option<String>,
    moved: bool,
    /// The last read began with no row of some.
    doubted: bool,
    /// As in the position.
    cut: Option<i64>,
    pub seen: Seen,
    /// So many times in a row there was no report of it.
    pub gone: u32,
    open: Option<Open>,
    /// Rows a page in this read, where those of the configuration hold too many events.
    rows: Option<usize>,
    stored_at: Option<Instant>,
    /// Something was handed over in this read.
    brought: bool,
}

impl Stream {
    #[must_use]
    pub fn new(campaign: String, kind: Kind, sent: i64, list: Option<String>) -> Self {
        let since = (kind == Kind::Activity).then(|| sent.saturating_sub(micros(BEFORE_SENT)));
        Self::of(campaign, kind, Place { sent, list, since, ..Place::default() }, Seen::default())
    }

    /// # Errors
    /// `fatal` for a position that another version wrote.
    pub fn stored(campaign: &str, kind: Kind, position: &Position) -> Result<Self> {
        let place: Place = position.read()?;
        let bad = || Error::fatal(format!("the stored position of `{}` cannot be read: its `seen` is damaged", position.slice));
        let seen = Seen::unpack(&place.seen).ok_or_else(bad)?;
        Ok(Self::of(campaign.to_owned(), kind, place, seen))
    }

    fn of(campaign: String, kind: Kind, place: Place, seen: Seen) -> Self {
        let Place { sent, list, since, begun, offset, after, moved, cut, .. } = place;
        let (open, stored_at) = (None, None);
        Self {
            campaign,
            kind,
            sent,
            list,
            since,
            begun,
            offset,
            after,
            moved,
            doubted: false,
            cut,
            seen,
            gone: 0,
            open,
            rows: None,
            stored_at,
            brought: false,
        }
    }

    /// The next page, from the row before it on.
    #[must_use]
    pub fn request(&self, client: &Client, config: &Config) -> Request {
        let (rows, own) = match self.kind {
            Kind::Activity => ("emails", &["activity"][..]),
            Kind::Unsubscribed => ("unsubscribes", &["timestamp", "reason"][..]),
        };
        // The address is not even asked for where nobody wants it.
        let address = config.addresses.then_some("email_address");
        let fields: Vec<_> = ["email_id", "list_id"]
            .into_iter()
            .chain(own.iter().copied())
            .chain(address)
            .map(|field| format!("{rows}.{field}"))
            .chain(["total_items".to_owned()])
            .collect();
        let path = format!("reports/{}/{}", self.campaign, self.kind.path());
        let request = Request::get(client.url(&path))
            .query("fields", &fields.join(","))
            .query("count", &self.rows.unwrap_or(config.page_size as usize).to_string())
            .query("offset", &(self.offset - self.rows_again()).to_string());
        match self.since {
            Some(since) => request.query("since", &iso(since)),
            None => request,
        }
    }

    /// Rows that come a second time, so that it is noticed where rows moved.
    fn rows_again(&self) -> usize {
        usize::from(self.after.is_some() && self.offset > 0)
    }

    /// A page has come, at this time by the service's clock.
    pub fn begin_page(&mut self, page: &Page, at: i64) {
        self.begun.get_or_insert(at);
        let again = self.rows_again();
        if again == 1 && page.members().next() != self.after.as_deref() {
            self.moved = true;
        }
        // No row at all of some: once this is taken for an answer that went wrong.
        let is_none_of_some = self.offset == 0 && page.len() == 0 && page.total.is_some_and(|total| total > 0);
        if is_none_of_some && !self.doubted {
            self.moved = true;
        }
        self.doubted = is_none_of_some;
        let offset = self.offset - again + page.len();
        let is_last = page.len() <= again || page.total.is_some_and(|total| offset >= total);
        self.open = Some(Open { offset, after: page.members().last().map(ToOwned::to_owned), is_last });
    }

    /// The page of so many rows is not handed out, and asked for again with half of them. `false`: it has as few as can be, the row
    /// before it and one more.
    pub fn ask_for_fewer(&mut self, rows: usize) -> bool {
        if rows <= 2 {
            return false;
        }
        self.open = None;
        self.rows = Some((rows / 2).max(2));
        true
    }

    /// When this read began, less the overlap, or less as much of it as a position holds; never before where the last one left off.
    /// `None`: everything is remembered.
    fn floor(&self, overlap: i64) -> Option<i64> {
        let begun = self.begun.filter(|_| self.kind == Kind::Activity)?;
        Some(begun.saturating_sub(overlap)).max(self.since).max(self.cut)
    }

    /// The overlap of this read becomes as short as a position takes it.
    fn shorten(&mut self, overlap: i64) {
        let Some(begun) = self.begun.filter(|_| self.kind == Kind::Activity) else { return };
        self.cut = self.cut.max(self.seen.shorten(MOST_HELD, begun.saturating_sub(overlap.min(LEAST_OVERLAP))));
    }

    /// Tells where it did.
    fn tell_shortened(&self, overlap: i64) {
        let (Some(begun), Some(cut)) = (self.begun, self.cut) else { return };
        let seconds = begun.saturating_sub(cut) / 1_000_000;
        if cut > begun.saturating_sub(overlap) {
            log::warn!(campaign = self.campaign, seconds = seconds; "more happened within `config.overlap` than a position holds (256 KiB): the next read looks back by fewer seconds, and what is recorded later than that is missed");
        }
    }

    /// The page is handed over. `Some`: the read has come to its end, and whether it is whole.
    pub fn end_page(&mut self, overlap: i64) -> Option<bool> {
        let Open { offset, after, is_last } = self.open.take()?;
        self.shorten(overlap);
        let floor = self.floor(overlap);
        self.seen.end_page(floor, true);
        if !is_last {
            (self.offset, self.after) = (offset, after);
            return None;
        }
        self.tell_shortened(overlap);
        let whole = !self.moved;
        if whole {
            self.seen.end_read(floor);
            self.since = floor.or(self.since);
        } else {
            self.seen.release(floor);
        }
        (self.begun, self.offset, self.after, self.moved, self.cut, self.rows) = (None, 0, None, false, None, None);
        Some(whole)
    }

    /// Whether a position without news is to be stored: at the end of a read that brought something, and now and then.
    pub fn is_due(&mut self) -> bool {
        std::mem::take(&mut self.brought) || self.stored_at.is_none_or(|at| at.elapsed() >= QUIET)
    }

    /// What is no event may have no time, and may come with each read: it is remembered for as long as it does.
    pub fn came_again(&mut self, unreadable: &[u64]) {
        let at = self.unreadable_at();
        unreadable.iter().for_each(|event| self.seen.renew(*event, at));
    }

    /// After the floor of this read, whatever the overlap.
    fn unreadable_at(&self) -> i64 {
        self.begun.map_or(i64::MAX, |begun| begun.saturating_add(1))
    }

    /// Remembers what was handed over.
    pub fn handed_over(&mut self, found: &Found) {
        self.brought = true;
        let at = self.unreadable_at();
        match found {
            Found::Event(event) => {
                let is_last = self.open.as_ref().is_some_and(|open| open.after.as_ref() == Some(&event.member));
                self.seen.insert(event.identity(), event.recorded, is_last);
            }
            Found::Unreadable(raw, _) => self.seen.insert(hash(raw), at, false),
        }
    }

    /// # Errors
    /// `fatal` where it is larger than the host takes.
    pub fn position(&mut self, slice: String, overlap: i64) -> Result<Position> {
        self.shorten(overlap);
        self.stored_at = Some(Instant::now());
        let place = Place {
            sent: self.sent,
            list: self.list.clone(),
            since: self.since,
            begun: self.begun,
            offset: self.offset,
            after: self.after.clone(),
            moved: self.moved,
            cut: self.cut,
            seen: self.seen.pack(),
        };
        let position = Position::json(slice, &place)?;
        if position.place.len() <= LARGEST {
            return Ok(position);
        }
        let (campaign, count) = (&self.campaign, self.seen.len());
        Err(Error::fatal(match self.kind {
            Kind::Activity => format!(
                "{count} events of campaign {campaign} are within a minute, or within one page, and the position cannot hold them (256 KiB): lower `config.overlap` or `config.page-size`"
            ),
            Kind::Unsubscribed => format!(
                "campaign {campaign} has {count} unsubscribes, and the position cannot hold them (256 KiB): leave `unsubscribe` out of `config.events`"
            ),
        }))
    }
}
