//! A source that reads back its own configuration: `values` are its records, one a poll, and its position counts them.

use serde::Deserialize;
use wharf_sdk::{Context, Limits, NewRecord, Polled, Position, Rejection, Result, Source, export_source};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    values: Vec<String>,
}

struct Echo {
    values: Vec<String>,
    next: usize,
}

impl Source for Echo {
    fn open(context: &Context, positions: Vec<Position>) -> Result<Self> {
        let Config { values } = context.config()?;
        let next = positions.iter().find(|p| p.slice == "values").map(Position::read).transpose()?;
        Ok(Self { values, next: next.unwrap_or(0) })
    }

    fn poll(&mut self, _: Limits) -> Result<Polled> {
        let mut polled = Polled::default();
        let Some(value) = self.values.get(self.next) else {
            polled.finished = true;
            return Ok(polled);
        };
        let key = self.next.to_string();
        let record = NewRecord::new().key(&key).value(value).headers(&[("echo", Some(b"yes"))]);
        match value.strip_prefix("unreadable:") {
            Some(why) => polled.records.push_unreadable(record, Rejection::new("echo.unreadable", why)),
            None => polled.records.push(record),
        }
        self.next += 1;
        polled.positions.push(Position::json("values", &self.next)?);
        Ok(polled)
    }
}

export_source!(Echo, manifest = "name = \"echo-source\"\nkind = \"source\"\nsummary = \"Reads its configuration.\"\n");
