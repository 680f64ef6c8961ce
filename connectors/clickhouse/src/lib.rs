//! Sink `clickhouse`: JSON objects into tables of ClickHouse, over HTTP. This file owns the order of calls: which table a topic goes
//! to and when its columns are read. Rows are made in `rows.rs` and written in `delivery.rs`.
//!
//! A record's place stands in its row (`deduplicate = "offsets"`). What comes again is looked for in the table before it is
//! written (`places.rs`), so that each record is there once.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use wharf_sdk::{Batch, Context, Error, Outcomes, Partition, Result, Sink, export_sink};
use wharf_tables::table_of;

use config::Config;
use delivery::{Delivery, Told};
use places::{LIMIT, Places};
use rows::Rows;
use server::Server;
use table::Table;

mod config;
mod delivery;
mod fault;
mod frame;
mod key;
mod kind;
mod number;
mod object;
mod places;
mod rows;
mod server;
mod table;
mod time;
mod value;

/// A running sink.
#[derive(Debug)]
pub struct ClickHouse {
    config: Config,
    server: Server,
    /// By name.
    tables: BTreeMap<String, Table>,
    /// Table of each topic that was seen.
    topics: HashMap<String, String>,
    places: Places,
    /// Rows of an insert at most in the next call.
    most: usize,
}

/// So often rows are made in a call while somebody alters their table.
const ATTEMPTS: usize = 3;

export_sink!(ClickHouse, manifest = include_str!("../connector.toml"));

impl Sink for ClickHouse {
    fn open(context: &Context) -> Result<Self> {
        let config = Config::read(context)?;
        let server = Server::new(config.clone(), &context.name);
        let (tables, topics, places) = (BTreeMap::new(), HashMap::new(), Places::new(LIMIT));
        Ok(Self { config, server, tables, topics, places, most: usize::MAX })
    }

    /// The group's offset holds, though the table knows a higher one: a record below that may have been refused, and its dead
    /// letter not have been written, when the worker ended. It comes again, and what is in the table is passed over.
    fn assign(&mut self, partitions: &[Partition]) -> Result<Vec<Option<i64>>> {
        self.places.assigned(partitions);
        Ok(vec![None; partitions.len()])
    }

    fn write(&mut self, records: &Batch) -> Result<Outcomes> {
        let written = self.write_all(records);
        if written.is_err() {
            self.places.forget();
        }
        written
    }
}

impl ClickHouse {
    fn write_all(&mut self, records: &Batch) -> Result<Outcomes> {
        self.server.begin();
        let mut told = Told::new(self.most);
        let converted = self.convert(records)?;
        for (name, rows) in &converted {
            let Some(table) = self.tables.get_mut(name) else { continue };
            let (config, server, places) = (&self.config, &mut self.server, &mut self.places);
            Delivery { config, server, table, places, rows }.run(&mut told)?;
        }
        self.most = told.most();
        told.answer()
    }

    /// Records as rows of their tables. A row of RowBinary does not say what it holds: in a table that was altered since its
    /// columns were read it may come out as another. So they are read again in each call, and where they have changed, all are made anew.
    fn convert<'a>(&mut self, records: &'a Batch) -> Result<BTreeMap<String, Rows<'a>>> {
        for _ in 0..ATTEMPTS {
            let mut converted: BTreeMap<String, Rows<'a>> = BTreeMap::new();
            // A batch has each topic's name once: names that lie elsewhere are another's, or are looked up once more.
            let mut records = records.into_iter().peekable();
            while let Some(topic) = records.peek().map(|record| record.topic) {
                let (config, table, rows) = self.target(topic, &mut converted)?;
                while let Some(record) = records.next_if(|record| std::ptr::eq(record.topic, topic)) {
                    rows.add(table, config, &record);
                }
            }
            let mut is_altered = false;
            for name in converted.keys() {
                if let Some(table) = self.tables.get_mut(name) {
                    is_altered |= table.look_again(&self.server, &self.config)?;
                }
            }
            if !is_altered {
                return Ok(converted);
            }
        }
        Err(Error::retry(format!("the columns of a table were altered {ATTEMPTS} times while rows were made for them")))
    }

    /// The table of a topic, and the rows that are made for it by the configuration.
    fn target<'t, 'a>(
        &'t mut self,
        topic: &str,
        converted: &'t mut BTreeMap<String, Rows<'a>>,
    ) -> Result<(&'t Config, &'t Table, &'t mut Rows<'a>)> {
        if !self.topics.contains_key(topic) {
            let table = table_of(topic, self.config.table.as_deref(), &self.config.tables, &self.topics)?;
            self.topics.insert(topic.to_owned(), table);
        }
        let name = self.topics.get(topic).map_or("", String::as_str);
        let table = match self.tables.entry(name.to_owned()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let table = Table::read(&self.server, &self.config, name)?;
                table.warn();
                unknown.insert(table)
            }
        };
        Ok((&self.config, table, converted.entry(name.to_owned()).or_default()))
    }
}

#[cfg(test)]
mod tests;
