//! The `webhook` source: requests of the host's inbox become records. Owns the order of a poll; signatures, answers to good
//! requests and deadlines are the host's. It has no position: what was not durable is sent again by the sender.

mod body;
mod config;
mod time;

use std::time::Duration;

use wharf_sdk::inbox::{self, Request};
use wharf_sdk::json;
use wharf_sdk::{Context, Limits, NewRecord, Polled, Position, Records, Rejection, Result, Source, export_source};

use config::{Config, Key};

/// A request may come at any time; this only says that there was none, so that what was taken is written now.
const NONE_LEFT: Duration = Duration::from_millis(1);

struct Webhook {
    config: Config,
    /// Fields that are read of each object: those of the key, then that of the time.
    names: Vec<String>,
}

impl Source for Webhook {
    fn open(context: &Context, _: Vec<Position>) -> Result<Self> {
        let config = Config::read(context)?;
        let mut names = if let Key::Fields(fields) = &config.key { fields.clone() } else { Vec::new() };
        names.extend(config.event_time.clone());
        Ok(Self { config, names })
    }

    /// Takes requests one by one: all records of a request belong to the poll that took it, as it is answered with that.
    fn poll(&mut self, limits: Limits) -> Result<Polled> {
        let mut polled = Polled::default();
        let mut wait = limits.wait;
        while !limits.reached(&polled.records) {
            let Some(request) = inbox::take(1, wait).pop() else {
                polled.idle = NONE_LEFT;
                break;
            };
            wait = Duration::ZERO;
            self.read(&request, &mut polled.records);
        }
        Ok(polled)
    }
}

impl Webhook {
    /// All records of a request, or a refusal and none.
    fn read(&self, request: &Request, records: &mut Records) {
        match body::objects(header(request, "content-type"), &request.body) {
            Ok(objects) => {
                let several = objects.len() > 1;
                for (at, object) in objects.into_iter().enumerate() {
                    self.push(request, several.then_some(at), object, records);
                }
            }
            Err(refusal) => inbox::refuse(request.id, refusal.status, &refusal.message),
        }
    }

    /// `at`: place of the object among several of one request.
    fn push(&self, request: &Request, at: Option<usize>, object: &str, records: &mut Records) {
        let headers: Vec<(&str, Option<&[u8]>)> = self
            .config
            .headers
            .iter()
            .filter_map(|name| header(request, name).map(|value| (name.as_str(), Some(value.as_bytes()))))
            .collect();
        let picked = match json::pick(object, &self.names) {
            Ok(picked) => picked,
            // Reading the body has checked the objects; a text that still cannot be read is not lost.
            Err(e) => {
                let raw = NewRecord::new().value(object).timestamp(request.received).headers(&headers);
                return records.push_unreadable(raw, Rejection::new("json.invalid", format!("not a JSON object: {e}")));
            }
        };
        let event_time = self.config.event_time.as_ref().and_then(|_| picked.last().copied().flatten());
        let timestamp = event_time.and_then(time::milliseconds).unwrap_or(request.received);
        let record = NewRecord::new().value(object).timestamp(timestamp).headers(&headers);
        let key = match &self.config.key {
            Key::None => return records.push(record),
            Key::Fields(names) => {
                let mut key = Vec::new();
                json::key(names, &picked, &mut key).map(|()| key).map_err(|name| {
                    Rejection::new("key.missing", format!("the field `{name}` of the key is absent or null"))
                        .at(json::pointer(name))
                })
            }
            Key::Header(name) => header_key(request, name, at),
        };
        match key {
            Ok(key) => records.push(record.key(&key)),
            Err(why) => records.push_unreadable(record, why),
        }
    }
}

fn header_key(request: &Request, name: &str, at: Option<usize>) -> Result<Vec<u8>, Rejection> {
    let value = header(request, name)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Rejection::new("key.missing", format!("the request had no header `{name}`, which is to be the key")))?;
    let text = at.map_or_else(|| value.to_owned(), |at| format!("{value}/{at}"));
    Ok(json::json_string(&text).into_bytes())
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

export_source!(Webhook, manifest = include_str!("../connector.toml"));

#[cfg(test)]
mod tests;
