//! The source against answers in the documented shapes: what each answer leads to, and what a restart does.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value, json};
use wharf_sdk::http::{Request, Response};
use wharf_sdk::testing;

use super::*;

mod mailchimp;
mod odoo;

const LIMITS: Limits = Limits { records: 100, bytes: 1 << 20, wait: Duration::ZERO };

type Sent = Rc<RefCell<Vec<Request>>>;

/// A source as it is after a restart, and what it has handed over.
struct Reading {
    source: CampaignEvents,
    records: Vec<(Value, Value)>,
    rejects: Vec<(String, Value)>,
    positions: BTreeMap<String, Vec<u8>>,
}

impl Reading {
    fn start(config: &Value, positions: &BTreeMap<String, Vec<u8>>) -> Self {
        let stored = positions.iter().map(|(slice, place)| Position::new(slice.clone(), place.clone())).collect();
        let source = CampaignEvents::open(&Context::new("events", config.to_string()), stored).unwrap();
        Self { source, records: Vec::new(), rejects: Vec::new(), positions: positions.clone() }
    }

    /// One poll, kept as one transaction; answers whether a round has come to its end.
    fn poll(&mut self, limits: Limits) -> Result<bool> {
        let polled = self.source.poll(limits)?;
        for position in polled.positions {
            match position.place.is_empty() {
                true => self.positions.remove(&position.slice),
                false => self.positions.insert(position.slice, position.place),
            };
        }
        let unreadable: BTreeMap<u32, String> = polled.records.unreadable().map(|(index, why)| (index, why.code)).collect();
        for record in &polled.records.into_batch() {
            let json = |bytes: Option<&[u8]>| serde_json::from_slice(bytes.unwrap()).unwrap();
            match unreadable.get(&record.index) {
                Some(code) => self.rejects.push((code.clone(), json(record.value))),
                None => self.records.push((json(record.key), json(record.value))),
            }
        }
        Ok(!polled.idle.is_zero())
    }

    fn round(&mut self) {
        for _ in 0..200 {
            if self.poll(LIMITS).unwrap() {
                return;
            }
        }
        panic!("the round does not come to its end");
    }

    /// `action member url` of each record, sorted, and none left.
    fn take(&mut self) -> Vec<String> {
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or("-").to_owned();
        let mut out: Vec<_> = self
            .records
            .drain(..)
            .map(|(_, v)| format!("{} {} {}", text(&v, "action"), text(&v, "member"), text(&v, "timestamp")))
            .collect();
        out.sort();
        out
    }
}

fn query<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let query = request.url.split_once('?')?.1;
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}
