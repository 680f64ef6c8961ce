//! A sink that keeps a journal: each change of a topic becomes a row of a table, none is overwritten.
//!
//! A row is named by where its record stood, so that writing it again changes nothing. The host asks
//! for that now and then: after a crash, or when the database was away.

use serde::Deserialize;
use wharf_sdk::sql::{Connection, Table};
use wharf_sdk::{Batch, Context, Error, Outcomes, Result, Sink, export_sink};

mod rows;

use rows::Journal;

/// The `config` table, as `connector.toml` describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    connection: String,
    table: String,
    #[serde(default)]
    require: Vec<String>,
}

struct JournalSink {
    connection: Connection,
    table: Table,
    require: Vec<String>,
}

impl Sink for JournalSink {
    fn open(context: &Context) -> Result<Self> {
        let config: Config = context.config()?;
        Ok(Self {
            connection: Connection::new(config.connection),
            table: Table {
                name: config.table,
                key: rows::key(),
            },
            require: config.require,
        })
    }

    /// A record that is not named in the answer is delivered. An error is about the whole call: with
    /// `retry`, which is what `?` hands on when the database is away, the same records come again.
    fn write(&mut self, records: &Batch) -> Result<Outcomes> {
        let mut outcomes = Outcomes::accepted();
        let mut journal = Journal::new();
        for record in records {
            if let Err(rejection) = journal.add(&record, &self.require) {
                outcomes.push(record.index, rejection);
            }
        }
        // In every call: what the database rolled back, or somebody dropped, is made anew.
        self.connection.ensure(&self.table, &rows::columns())?;
        let (rows, indices) = journal.finish();
        for refused in self.connection.apply(&self.table, rows)? {
            let Some(index) = indices.get(refused.row as usize) else {
                return Err(Error::fatal(format!("row {} was never sent", refused.row)));
            };
            outcomes.reject(*index, refused.code, refused.reason);
        }
        Ok(outcomes)
    }
}

export_sink!(JournalSink, manifest = include_str!("../connector.toml"));

#[cfg(test)]
mod tests;
