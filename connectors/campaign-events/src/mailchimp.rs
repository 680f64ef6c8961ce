//! Mailchimp, Marketing API 3.0. Each round lists the campaigns (`/reports`), then reads of each its activity
//! (`/reports/{id}/email-activity`) and its unsubscribes (`/reports/{id}/unsubscribed`). Owns the round; the state of one
//! campaign's stream is in `mailchimp/stream.rs`, the shape of answers in `mailchimp/answer.rs`.
//!
//! A campaign is read from when it was sent until `config.follow` after it. What is known of it is forgotten in the transaction
//! that stores until when campaigns were listed, so that it is not taken up again. A report that is gone (404) is asked for in some
//! rounds more, then left out until it is listed again; where it was read to is kept, so that it is not read from its start.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use wharf_sdk::http::Request;
use wharf_sdk::{Error, Position, Result, log};

use crate::client::{Client, now};
use crate::config::{Config, micros};
use crate::event::{Action, Found};
use crate::service::{QUIET, Service, Step};

mod answer;
mod stream;

use answer::{Campaign, Page, Reports};
use stream::{Kind, Stream};

/// How often a report that is gone is asked for.
const TRIES: u32 = 3;

/// A page of more events is asked for again with half its rows: a position has to hold those of one page.
const MOST_EVENTS: usize = 10_000;

/// The slice that holds until when campaigns were listed.
const CAMPAIGNS: &str = "campaigns";

/// What is stored in that slice.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    /// The service's clock when the last whole listing began, microseconds since 1970.
    listed: i64,
}

/// A listing of campaigns that is under way.
#[derive(Debug)]
struct Listing {
    after: i64,
    begun: Option<i64>,
    offset: usize,
    found: Vec<Campaign>,
}

/// The account that is read.
#[derive(Debug)]
pub struct Mailchimp {
    config: Config,
    client: Client,
    listed: Option<i64>,
    listing: Option<Listing>,
    streams: BTreeMap<String, Stream>,
    /// Slices that are still to be read in this round, the first one under way.
    queue: VecDeque<String>,
    page: VecDeque<Found>,
    /// A page is being handed out.
    open: bool,
    round_over: bool,
    /// Slices whose position is to be stored next; `false`: it is to be forgotten.
    changed: BTreeMap<String, bool>,
    listed_at: Option<Instant>,
    told_moved: BTreeSet<String>,
}

impl Mailchimp {
    /// # Errors
    /// `fatal` for a position that another version wrote.
    pub fn open(config: Config, positions: &[Position]) -> Result<Self> {
        let mut streams = BTreeMap::new();
        let mut listed = None;
        for position in positions {
            if position.slice == CAMPAIGNS {
                listed = Some(position.read::<Listed>()?.listed);
            } else if let Some((campaign, kind)) = Kind::of_slice(&position.slice) {
                streams.insert(position.slice.clone(), Stream::stored(campaign, kind, position)?);
            }
        }
        Ok(Self {
            client: Client::new(&config),
            config,
            listed,
            listing: None,
            streams,
            queue: VecDeque::new(),
            page: VecDeque::new(),
            open: false,
            round_over: false,
            changed: BTreeMap::new(),
            listed_at: None,
            told_moved: BTreeSet::new(),
        })
    }

    /// One page of the campaigns that were sent since the last listing, or within the time that campaigns are followed.
    fn list(&mut self) -> Result<()> {
        let follow = micros(self.config.follow);
        let listed = self.listed;
        let listing = self.listing.get_or_insert_with(|| {
            let after = listed.unwrap_or_else(now).saturating_sub(follow);
            Listing { after, begun: None, offset: 0, found: Vec::new() }
        });
        let request = Request::get(self.client.url("reports"))
            .query("fields", "reports.id,reports.send_time,reports.list_id,total_items")
            .query("count", &self.config.page_size.to_string())
            .query("offset", &listing.offset.to_string())
            .query("since_send_time", &answer::iso(listing.after));
        let Some(answer) = self.client.send(request, "reports")? else {
            let root = self.config.root();
            return Err(Error::fatal(format!(
                "{root} has no `reports`: give the root of the API in `config.url`, with /3.0 at its end"
            )));
        };
        let reports = Reports::parse(&answer.body).map_err(|e| self.client.unreadable("reports", &e))?;
        let begun = *listing.begun.get_or_insert(answer.at);
        let count = reports.count;
        if reports.campaigns.len() < count {
            log::warn!(reports = count - reports.campaigns.len(); "Mailchimp lists reports without an `id`: they are left out");
        }
        listing.offset += count;
        let is_short = count < self.config.page_size as usize;
        let is_last = count == 0 || reports.total.map_or(is_short, |total| listing.offset >= total);
        listing.found.extend(reports.campaigns);
        if is_last {
            self.listed_to(begun);
        }
        Ok(())
    }

    /// The listing is whole: the round is known.
    fn listed_to(&mut self, begun: i64) {
        let Some(listing) = self.listing.take() else { return };
        let named: BTreeSet<_> = listing.found.iter().map(|campaign| campaign.id.clone()).collect();
        for campaign in listing.found {
            let other_list = self.config.list.as_ref().is_some_and(|list| campaign.list.as_ref() != Some(list));
            // What has no time of sending was not sent. The service's filter has whole seconds, ours has not.
            let Some(sent) = campaign.sent.filter(|sent| *sent > listing.after && !other_list) else { continue };
            for kind in [Kind::Activity, Kind::Unsubscribed].into_iter().filter(|kind| kind.is_wanted(&self.config)) {
                let list = campaign.list.clone();
                self.streams
                    .entry(kind.slice(&campaign.id))
                    .or_insert_with(|| Stream::new(campaign.id.clone(), kind, sent, list));
            }
        }
        // A clock that goes back would take up again what was forgotten.
        self.listed = self.listed.max(Some(begun));
        let (gone, there): (Vec<_>, Vec<_>) = self.streams.iter().partition(|(_, stream)| self.is_left_out(stream, &named));
        self.queue = there.into_iter().map(|(slice, _)| slice.clone()).collect();
        let over: Vec<_> = gone.into_iter().filter(|(_, stream)| self.is_over(stream)).map(|(slice, _)| slice.clone()).collect();
        over.iter().for_each(|slice| self.forget(slice));
        self.round_over = self.queue.is_empty();
        if self.listed_at.is_none_or(|at| at.elapsed() >= QUIET) {
            self.changed.insert(CAMPAIGNS.to_owned(), true);
        }
    }

    /// One page of the stream that is read now.
    fn read(&mut self, slice: &str) -> Result<()> {
        let Some(stream) = self.streams.get_mut(slice) else {
            self.queue.pop_front();
            return Ok(());
        };
        let what = format!("`{}` of campaign {}", stream.kind.path(), stream.campaign);
        let Some(answer) = self.client.send(stream.request(&self.client, &self.config), &what)? else {
            stream.gone += 1;
            if stream.gone == TRIES {
                log::warn!(campaign = stream.campaign; "Mailchimp has no report of this campaign any more: it is read no further unless it is listed again");
            }
            self.next_stream();
            return Ok(());
        };
        stream.gone = 0;
        let page = Page::parse(&answer.body).map_err(|e| self.client.unreadable(&what, &e))?;
        stream.begin_page(&page, answer.at);
        let rows = page.len();
        let (page, again) = page.found(stream, &self.config);
        if page.len() > MOST_EVENTS && stream.ask_for_fewer(rows) {
            return Ok(());
        }
        stream.came_again(&again);
        self.page = page;
        self.open = true;
        self.end_page_if_empty()
    }

    /// All of a page is handed over: the stream's place is behind it.
    fn end_page_if_empty(&mut self) -> Result<()> {
        if !self.open || !self.page.is_empty() {
            return Ok(());
        }
        self.open = false;
        let Some(slice) = self.queue.front().cloned() else { return Ok(()) };
        let Some(stream) = self.streams.get_mut(&slice) else { return Ok(()) };
        let ended = stream.end_page(micros(self.config.overlap));
        if stream.is_due() {
            self.changed.insert(slice.clone(), true);
        }
        if ended.is_none() {
            return Ok(());
        }
        if ended == Some(false) && self.told_moved.insert(slice.clone()) {
            log::warn!(campaign = stream.campaign; "rows moved while they were read: the same is read again in the next round");
        }
        if ended == Some(true) && self.streams.get(&slice).is_some_and(|stream| self.is_over(stream)) {
            self.forget(&slice);
        }
        self.next_stream();
        Ok(())
    }

    /// Whether a stream is not read in this round: its report is gone, or the configuration asks for others since it was stored.
    fn is_left_out(&self, stream: &Stream, named: &BTreeSet<String>) -> bool {
        let is_gone = stream.gone >= TRIES && !named.contains(&stream.campaign);
        let is_other = self.config.list.is_some() && self.config.list != stream.list;
        is_gone || is_other || !stream.kind.is_wanted(&self.config)
    }

    /// Whether the campaign was followed for as long as it is to be.
    fn is_over(&self, stream: &Stream) -> bool {
        self.listed.is_some_and(|listed| stream.sent.saturating_add(micros(self.config.follow)) < listed)
    }

    fn next_stream(&mut self) {
        self.queue.pop_front();
        self.round_over = self.queue.is_empty();
    }

    /// For good. Until when campaigns were listed is stored with it, so that none is taken up again.
    fn forget(&mut self, slice: &str) {
        self.streams.remove(slice);
        self.changed.insert(slice.to_owned(), false);
        self.changed.insert(CAMPAIGNS.to_owned(), true);
    }
}

impl Service for Mailchimp {
    fn step(&mut self) -> Result<Step> {
        if std::mem::take(&mut self.round_over) {
            return Ok(Step::RoundOver);
        }
        match self.queue.front().cloned() {
            Some(slice) => self.read(&slice)?,
            None => self.list()?,
        }
        Ok(Step::Asked)
    }

    fn next(&mut self) -> Option<Found> {
        let found = self.page.pop_front()?;
        let slice = self.queue.front().cloned().unwrap_or_default();
        if let Some(stream) = self.streams.get_mut(&slice) {
            stream.handed_over(&found);
            self.changed.insert(slice, true);
        }
        Some(found)
    }

    fn positions(&mut self) -> Result<Vec<Position>> {
        self.end_page_if_empty()?;
        let mut positions = Vec::with_capacity(self.changed.len());
        for (slice, keep) in std::mem::take(&mut self.changed) {
            let position = match (keep, self.streams.get_mut(&slice), self.listed) {
                (false, ..) => Position::forget(slice),
                (true, Some(stream), _) => stream.position(slice, micros(self.config.overlap))?,
                (true, None, Some(listed)) if slice == CAMPAIGNS => {
                    self.listed_at = Some(Instant::now());
                    Position::json(slice, &Listed { listed })?
                }
                (true, None, _) => continue,
            };
            positions.push(position);
        }
        Ok(positions)
    }
}

impl Kind {
    fn is_wanted(self, config: &Config) -> bool {
        match self {
            Self::Activity => [Action::Open, Action::Click, Action::Bounce].into_iter().any(|action| config.wants(action)),
            Self::Unsubscribed => config.wants(Action::Unsubscribe),
        }
    }
}
