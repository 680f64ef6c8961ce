//! The shape of Mailchimp's answers, and the events in them. Keeps no state and sends nothing.
//!
//! Source: the published specification of the Marketing API 3.0, `/reports`, `/reports/{campaign_id}/email-activity` and
//! `/reports/{campaign_id}/unsubscribed`.

use std::collections::{HashSet, VecDeque};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use wharf_packing::hash;
use wharf_sdk::Rejection;

use crate::config::Config;
use crate::event::{Action, Event, Found};
use crate::mailchimp::stream::{Kind, Stream};

/// A page of campaigns.
#[derive(Debug)]
pub struct Reports {
    pub campaigns: Vec<Campaign>,
    /// Rows of the page, also those that are no campaign.
    pub count: usize,
    pub total: Option<usize>,
}

/// A campaign that was sent, as far as reading it needs.
#[derive(Debug, Deserialize)]
pub struct Campaign {
    pub id: String,
    /// Microseconds since 1970; `None`: not sent.
    #[serde(rename = "send_time", default, deserialize_with = "moment")]
    pub sent: Option<i64>,
    #[serde(rename = "list_id")]
    pub list: Option<String>,
}

#[derive(Deserialize)]
struct RawReports {
    reports: Vec<Value>,
    total_items: Option<i64>,
}

#[derive(Deserialize)]
struct RawPage {
    #[serde(alias = "emails", alias = "unsubscribes")]
    rows: Vec<Value>,
    total_items: Option<i64>,
}

/// A page of members.
#[derive(Debug)]
pub struct Page {
    rows: Vec<Value>,
    pub total: Option<usize>,
}

impl Reports {
    /// # Errors
    /// Where it is no JSON, or not what is documented.
    pub fn parse(body: &[u8]) -> serde_json::Result<Self> {
        let RawReports { reports, total_items } = serde_json::from_slice(body)?;
        let count = reports.len();
        Ok(Self {
            campaigns: reports.into_iter().filter_map(|report| serde_json::from_value(report).ok()).collect(),
            count,
            total: total_items.and_then(|total| usize::try_from(total).ok()).filter(|total| *total > 0),
        })
    }
}

impl Page {
    /// # Errors
    /// As for [`Reports::parse`].
    pub fn parse(body: &[u8]) -> serde_json::Result<Self> {
        let RawPage { rows, total_items } = serde_json::from_slice(body)?;
        Ok(Self { rows, total: total_items.and_then(|total| usize::try_from(total).ok()).filter(|total| *total > 0) })
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The members of its rows; an empty text for a row without one.
    pub fn members(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.rows.iter().map(|row| row.get("email_id").and_then(Value::as_str).unwrap_or_default())
    }

    /// The events of the page that were not handed over before; and, by their hashes, what is no event and was.
    #[must_use]
    pub fn found(self, stream: &Stream, config: &Config) -> (VecDeque<Found>, Vec<u64>) {
        let (mut here, mut again) = (HashSet::new(), Vec::new());
        let mut out = VecDeque::new();
        for row in self.rows {
            let found = match stream.kind {
                Kind::Activity => activity(row, stream, config),
                Kind::Unsubscribed => vec![unsubscribe(row, stream, config)],
            };
            for found in found {
                match found {
                    Found::Unreadable(raw, _) if stream.seen.holds(hash(&raw)) => again.push(hash(&raw)),
                    found if is_news(&found, stream, config, &mut here) => out.push_back(found),
                    _ => {}
                }
            }
        }
        (out, again)
    }
}

fn is_news(found: &Found, stream: &Stream, config: &Config, here: &mut HashSet<u64>) -> bool {
    let identity = match found {
        Found::Event(event) => {
            let is_before = stream.since.is_some_and(|since| event.at <= since);
            // Unsubscribes come with each read, and are all remembered: they need not wait.
            let is_for_next = stream.kind == Kind::Activity && stream.begun.is_some_and(|begun| event.at > begun);
            if is_before || is_for_next || !config.wants(event.action) {
                return false;
            }
            event.identity()
        }
        Found::Unreadable(raw, _) => hash(raw),
    };
    !stream.seen.holds(identity) && here.insert(identity)
}

/// A member's row of `email-activity`: the events of one member.
fn activity(mut row: Value, stream: &Stream, config: &Config) -> Vec<Found> {
    let list = row.as_object_mut().and_then(|row| row.remove("activity"));
    let Some(Value::Array(list)) = list else {
        return vec![unreadable(
            row,
            stream,
            config,
            Rejection::new("event.activity", "the row has no list `activity`").at("/activity"),
        )];
    };
    let read = |event: Value| {
        let (Some(event), Some(row)) = (event.as_object(), row.as_object()) else {
            return unreadable(
                event,
                stream,
                config,
                Rejection::new("event.object", "the event, or its member, is no JSON object").at(""),
            );
        };
        // One object of both, so that a dead letter tells whose event it is.
        let mut joined = event.clone();
        joined.extend(row.clone());
        let action = match event.get("action").and_then(Value::as_str) {
            Some("open") => Action::Open,
            Some("click") => Action::Click,
            Some("bounce") => Action::Bounce,
            _ => {
                let why = "the action is none of open, click and bounce";
                return unreadable(joined.into(), stream, config, Rejection::new("event.action", why).at("/action"));
            }
        };
        let more = ["type", "url"].map(|name| (name, name));
        made(joined, stream, config, action, &more)
    };
    list.into_iter().map(read).collect()
}

/// A row of `unsubscribed`.
fn unsubscribe(row: Value, stream: &Stream, config: &Config) -> Found {
    match row {
        Value::Object(row) => made(row, stream, config, Action::Unsubscribe, &[("reason", "reason")]),
        other => unreadable(other, stream, config, Rejection::new("event.object", "the row is no JSON object").at("")),
    }
}

/// An event out of its fields; `more` are names of ours and of the service's.
fn made(row: Map<String, Value>, stream: &Stream, config: &Config, action: Action, more: &[(&str, &str)]) -> Found {
    let text = |name: &str| row.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let Some(member) = text("email_id").map(ToOwned::to_owned) else {
        return unreadable(
            row.into(),
            stream,
            config,
            Rejection::new("event.member", "the event has no `email_id`").at("/email_id"),
        );
    };
    let Some(at) = text("timestamp").and_then(instant) else {
        return unreadable(
            row.into(),
            stream,
            config,
            Rejection::new("event.timestamp", "`timestamp` is no time").at("/timestamp"),
        );
    };
    let list = text("list_id").or(stream.list.as_deref());
    let personal = [("address", text("email_address")), ("ip", text("ip"))].into_iter().filter(|_| config.addresses);
    let shown = |name: &str| text(name).map(|value| if name == "url" { shown_url(value, config) } else { value });
    let more = more.iter().map(|(ours, theirs)| (*ours, shown(theirs)));
    let more = std::iter::once(("list", list)).chain(more).chain(personal);
    let more = more.filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?)))).collect();
    Found::Event(Event { campaign: Some(stream.campaign.as_str().into()), member, action, at, recorded: at, more })
}

/// A link as it is passed on: what follows its path often holds the address, or an id of the recipient.
fn shown_url<'a>(url: &'a str, config: &Config) -> &'a str {
    let cut = if config.addresses { None } else { url.find(['?', '#']) };
    cut.and_then(|at| url.get(..at)).unwrap_or(url)
}

/// What goes to the dead-letter topic: the row, with its campaign, and without what is not asked for.
fn unreadable(row: Value, stream: &Stream, config: &Config, why: Rejection) -> Found {
    let mut raw = Map::from_iter([("campaign".to_owned(), stream.campaign.as_str().into())]);
    match row {
        Value::Object(row) => {
            let shown = |name: &str| config.addresses || !matches!(name, "email_address" | "ip" | "merge_fields");
            // What is within a list or an object may hold anything.
            let is_plain = |value: &Value| config.addresses || !(value.is_object() || value.is_array());
            raw.extend(row.into_iter().filter(|(name, value)| shown(name) && is_plain(value)));
            if let Some(url) = raw.get("url").and_then(Value::as_str).map(|url| shown_url(url, config).to_owned()) {
                raw.insert("url".to_owned(), url.into());
            }
        }
        // They may hold anything.
        Value::String(_) if !config.addresses => {
            raw.insert("row".to_owned(), "left out: a text".into());
        }
        Value::Array(_) if !config.addresses => {
            raw.insert("row".to_owned(), "left out: a list".into());
        }
        other => {
            raw.insert("row".to_owned(), other);
        }
    }
    Found::Unreadable(Value::Object(raw).to_string().into_bytes(), why)
}

/// ISO 8601 as the service writes it, `2015-10-21T15:41:36+00:00`, in microseconds since 1970.
fn instant(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond)
}

/// The form that the service takes, in whole seconds, cut and not rounded.
#[must_use]
pub fn iso(micros: i64) -> String {
    let at = Timestamp::from_second(micros.div_euclid(1_000_000)).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{}+00:00", at.to_string().trim_end_matches('Z'))
}

fn moment<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.as_deref().and_then(instant))
}
