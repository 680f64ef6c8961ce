//! A source that reads the list of a JSON API, page by page: `?after=ID&limit=N` answers an array of
//! the items behind that id, in ascending order, and an empty one where there is nothing more. The
//! key is `{"id": …}`, the value the item.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use wharf_sdk::{
    Context, Error, Limits, NewRecord, Polled, Position, Rejection, Result, Source, duration,
    export_source, json,
};

mod api;

/// The one stream that is read, by the name that its position has.
const SLICE: &str = "items";

/// The `config` table, as `connector.toml` describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    url: String,
    #[serde(default = "hundred")]
    page_size: usize,
    #[serde(default = "thirty_seconds", deserialize_with = "duration::above_zero")]
    interval: Duration,
    #[serde(default = "thirty_seconds", deserialize_with = "duration::above_zero")]
    timeout: Duration,
}

const fn hundred() -> usize {
    100
}

const fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}

struct Items {
    config: Config,
    /// The other tasks have nothing to do: there is one stream.
    idle_task: bool,
    /// The id of the last item that was read. It is the position.
    after: Option<u64>,
}

impl Source for Items {
    fn open(context: &Context, positions: Vec<Position>) -> Result<Self> {
        let stored = positions.iter().find(|position| position.slice == SLICE);
        Ok(Self {
            config: context.config()?,
            idle_task: context.task > 0,
            after: stored.map(Position::read).transpose()?,
        })
    }

    /// One request a poll. Records and the position that they lead to are stored together.
    fn poll(&mut self, limits: Limits) -> Result<Polled> {
        let mut polled = Polled::default();
        if self.idle_task {
            polled.finished = true;
            return Ok(polled);
        }
        let size = self.config.page_size.min(limits.records);
        let page = api::page(&self.config, self.after, size)?;
        if page.is_empty() {
            return Ok(Polled::nothing(self.config.interval));
        }
        let last = page.iter().filter_map(id).next_back();
        let Some(last) = last.filter(|last| Some(*last) > self.after) else {
            return Err(Error::fatal(format!(
                "no item behind {:?} has a higher `id`: reading cannot go on",
                self.after
            )));
        };
        for item in &page {
            push(&mut polled, item);
        }
        // Not before the page is there: after `Retry` the same instance is polled again.
        self.after = Some(last);
        polled.positions.push(Position::json(SLICE, &last)?);
        Ok(polled)
    }
}

fn id(item: &Value) -> Option<u64> {
    item.get("id")?.as_u64()
}

/// An item as a record; one without an id goes to the dead letters as it stands.
fn push(polled: &mut Polled, item: &Value) {
    let value = item.to_string();
    let record = NewRecord::new().value(&value);
    match id(item) {
        Some(id) => polled
            .records
            .push(record.key(&format!(r#"{{"id":{id}}}"#))),
        None => {
            let why = Rejection::new("item.id", "`id` is missing or no whole number");
            polled
                .records
                .push_unreadable(record, why.at(json::pointer("id")));
        }
    }
}

export_source!(Items, manifest = include_str!("../connector.toml"));

#[cfg(test)]
mod tests;
