//! What rows of Odoo's tables mean: which fields are asked for, and the events in them. Keeps no state and sends nothing.
//!
//! Source: Odoo 19, addon `mass_mailing`, `models/mailing_trace.py` and `models/mailing_subscription.py`; addon `mail`,
//! `models/mail_blacklist.py`. A field without a value is `false`, a reference is `[id, name]`, times are UTC in whole seconds.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use wharf_packing::hash;
use wharf_sdk::Rejection;

use crate::config::Config;
use crate::event::{Action, Event, Found};
use crate::odoo::table::Table;

/// Times have whole seconds; a row may have been written until the end of its one.
const WITHIN_SECOND: i64 = 999_999;

/// The tables that hold events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// A message to one recipient, and what became of it.
    Trace,
    /// That a contact is on a list, or has left it.
    Subscription,
    /// Addresses that want no mailing at all.
    Blacklist,
}

impl Model {
    pub const ALL: [Self; 3] = [Self::Trace, Self::Subscription, Self::Blacklist];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trace => "mailing.trace",
            Self::Subscription => "mailing.subscription",
            Self::Blacklist => "mail.blacklist",
        }
    }

    #[must_use]
    pub fn is_wanted(self, config: &Config) -> bool {
        match self {
            Self::Trace => [Action::Sent, Action::Open, Action::Click, Action::Bounce].into_iter().any(|a| config.wants(a)),
            Self::Subscription | Self::Blacklist => config.wants(Action::Unsubscribe),
        }
    }

    #[must_use]
    pub fn fields(self, config: &Config) -> Vec<&'static str> {
        let mut fields = match self {
            Self::Trace => vec![
                "mass_mailing_id",
                "model",
                "res_id",
                "trace_status",
                "sent_datetime",
                "open_datetime",
                "links_click_datetime",
                "failure_type",
            ],
            Self::Subscription => vec!["contact_id", "list_id", "opt_out_datetime", "opt_out_reason_id"],
            Self::Blacklist => vec!["opt_out_reason_id"],
        };
        // The address is not even asked for where nobody wants it. A subscription has none: it stands with its contact.
        if config.addresses && self != Self::Subscription {
            fields.push("email");
        }
        fields.push("write_date");
        fields
    }

    /// Conditions beside those of the cursor.
    #[must_use]
    pub fn domain(self, config: &Config) -> Vec<Value> {
        let list = config.list.as_ref().and_then(|list| list.parse::<i64>().ok());
        match self {
            Self::Trace => {
                let of_list = list.map(|list| json!(["mass_mailing_id.contact_list_ids", "in", [list]]));
                std::iter::once(json!(["is_test_trace", "=", false])).chain(of_list).collect()
            }
            Self::Subscription => {
                let of_list = list.map(|list| json!(["list_id", "=", list]));
                std::iter::once(json!(["opt_out", "=", true])).chain(of_list).collect()
            }
            Self::Blacklist => Vec::new(),
        }
    }
}

/// What asks for the addresses of subscriptions: the contacts of these rows. `None` where none is wanted or there are none.
#[must_use]
pub fn contacts(model: Model, rows: &[Value], config: &Config) -> Option<Value> {
    if model != Model::Subscription || !config.addresses {
        return None;
    }
    let ids: BTreeSet<i64> = rows.iter().filter_map(|row| id_of(row, "contact_id")?.as_i64()).collect();
    let query = json!({
        "domain": [["id", "in", ids]], "fields": ["email"], "order": "id", "limit": ids.len(), "context": {"active_test": false},
    });
    (!ids.is_empty()).then_some(query)
}

/// Puts the address of its contact into each row. A contact without one, or that is gone, leaves the row without.
pub fn add_addresses(rows: &mut [Value], contacts: &[Value]) {
    let of = |contact: &Value| Some((contact.get("id")?.as_i64()?, contact.get("email")?.clone()));
    let addresses: HashMap<i64, Value> = contacts.iter().filter_map(of).collect();
    for row in rows {
        let address = id_of(row, "contact_id").and_then(|id| addresses.get(&id.as_i64()?));
        if let (Some(address), Some(row)) = (address, row.as_object_mut()) {
            row.insert("email".to_owned(), address.clone());
        }
    }
}

/// The events of a page that were not handed over before, and not those that happened and were written after the read began: the next
/// one brings them. A read that is interrupted for long would have to remember all of them.
#[must_use]
pub fn found(rows: Vec<Value>, config: &Config, table: &Table) -> VecDeque<Found> {
    let Table { model, since, begun, ref seen, .. } = *table;
    let mut here = HashSet::new();
    let is_for_next = |event: &Event| {
        begun.is_some_and(|begun| {
            let is_written_later = event.recorded.saturating_sub(WITHIN_SECOND) > begun;
            // The next read passes over what a trace tells of the time before it: that has to be taken now.
            is_written_later && (model != Model::Trace || event.at > begun)
        })
    };
    let mut is_news = |found: &Found| {
        let identity = match found {
            Found::Event(event) if !config.wants(event.action) => return false,
            // A row that is written again brings its old events again. An unsubscribe may tell any time: rather twice than never.
            Found::Event(event) if model == Model::Trace && since.is_some_and(|since| event.at <= since) => return false,
            Found::Event(event) if is_for_next(event) => return false,
            Found::Event(event) => event.identity(),
            Found::Unreadable(raw, _) => hash(raw),
        };
        !seen.holds(identity) && here.insert(identity)
    };
    let mut out = VecDeque::new();
    for row in rows {
        out.extend(events(model, &row, config).into_iter().filter(&mut is_news));
    }
    out
}

/// All events that a row tells of.
fn events(model: Model, row: &Value, config: &Config) -> Vec<Found> {
    let Some(recorded) = moment(row, "write_date") else {
        return vec![unreadable(row, config, Rejection::new("event.timestamp", "the row has no `write_date`").at("/write_date"))];
    };
    let make = |campaign: Option<Value>, member: String, action: Action, at: i64, own: Vec<(&str, Value)>| {
        let address = row.get("email").filter(|email| config.addresses && email.is_string()).cloned();
        let more: Map<_, _> = own
            .into_iter()
            .chain(address.map(|address| ("address", address)))
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        Found::Event(Event { campaign, member, action, at, recorded: recorded + WITHIN_SECOND, more })
    };
    match model {
        Model::Trace => {
            let (Some(of), Some(id)) = (text(row, "model"), row.get("res_id").and_then(Value::as_i64)) else {
                let why = Rejection::new("event.member", "the row names no recipient in `model` and `res_id`").at("/res_id");
                return vec![unreadable(row, config, why)];
            };
            let bounced = (text(row, "trace_status") == Some("bounce")).then_some(recorded);
            let kind = text(row, "failure_type").map(|kind| ("type", Value::from(kind)));
            let told = [
                (Action::Sent, moment(row, "sent_datetime"), None),
                (Action::Open, moment(row, "open_datetime"), None),
                (Action::Click, moment(row, "links_click_datetime"), None),
                (Action::Bounce, bounced, kind),
            ];
            let told = told.into_iter().filter_map(|(action, at, kind)| Some((action, at?, kind)));
            let member = format!("{of}/{id}");
            told.map(|(action, at, kind)| {
                make(id_of(row, "mass_mailing_id"), member.clone(), action, at, kind.into_iter().collect())
            })
            .collect()
        }
        Model::Subscription => {
            let Some(contact) = id_of(row, "contact_id") else {
                let why = Rejection::new("event.member", "the row names no contact").at("/contact_id");
                return vec![unreadable(row, config, why)];
            };
            let own = [("list", id_of(row, "list_id")), ("reason", name_of(row, "opt_out_reason_id"))];
            let own = own.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            let at = moment(row, "opt_out_datetime").unwrap_or(recorded);
            vec![make(None, format!("mailing.contact/{contact}"), Action::Unsubscribe, at, own)]
        }
        Model::Blacklist => {
            let id = row.get("id").and_then(Value::as_i64).unwrap_or_default();
            let reason = name_of(row, "opt_out_reason_id").map(|reason| ("reason", reason));
            let own = std::iter::once(("type", Value::from("blacklist"))).chain(reason).collect();
            vec![make(None, format!("mail.blacklist/{id}"), Action::Unsubscribe, recorded, own)]
        }
    }
}

/// What goes to the dead-letter topic: the row without what is not asked for.
fn unreadable(row: &Value, config: &Config, why: Rejection) -> Found {
    let mut row = row.clone();
    if let Some(row) = row.as_object_mut().filter(|_| !config.addresses) {
        row.remove("email");
        // A contact is shown by its name.
        if let Some(Value::Array(contact)) = row.get_mut("contact_id") {
            contact.truncate(1);
        }
    }
    Found::Unreadable(row.to_string().into_bytes(), why)
}

fn text<'a>(row: &'a Value, name: &str) -> Option<&'a str> {
    row.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// The id of a reference, `[7, "name"]`.
fn id_of(row: &Value, name: &str) -> Option<Value> {
    row.get(name)?.get(0).filter(|id| id.is_i64()).cloned()
}

/// The name of a reference.
fn name_of(row: &Value, name: &str) -> Option<Value> {
    row.get(name)?.get(1).filter(|name| name.is_string()).cloned()
}

/// `2024-05-01 10:00:00`, UTC, in microseconds since 1970.
fn moment(row: &Value, name: &str) -> Option<i64> {
    let civil: DateTime = text(row, name)?.parse().ok()?;
    Some(TimeZone::UTC.to_timestamp(civil).ok()?.as_microsecond())
}

/// The same form, in whole seconds, cut and not rounded.
#[must_use]
pub fn text_of(micros: i64) -> String {
    let at = jiff::Timestamp::from_second(micros.div_euclid(1_000_000)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.to_string().trim_end_matches('Z').replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_odoo_are_utc_in_whole_seconds() {
        let row = json!({"a": "2024-05-01 10:00:00", "b": false, "c": "soon"});
        assert_eq!(moment(&row, "a"), Some(1_714_557_600_000_000));
        assert_eq!((moment(&row, "b"), moment(&row, "c")), (None, None));
        assert_eq!(text_of(1_714_557_600_999_999), "2024-05-01 10:00:00");
    }
}
