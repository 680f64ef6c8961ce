//! The `sql` sink: JSON objects into tables, by named connections. Owns the order of calls; what a record becomes is decided
//! in `mapping`, what the database does is the host's.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use wharf_sdk::sql::{ColumnDef, Connection};
use wharf_sdk::{Batch, Context, Error, Outcomes, Partition, Rejection, Result, Sink, export_sink};
use wharf_tables::table_of;

use config::{Config, Schema};
use mapping::{Rows, Table};
use orphans::Orphans;

pub mod config;
pub mod mapping;
mod orphans;

/// An open sink.
#[derive(Debug)]
pub struct Sql {
    config: Config,
    connection: Connection,
    /// By name of the table.
    tables: BTreeMap<String, Table>,
    /// Table of each topic that was seen.
    topics: HashMap<String, String>,
    /// Last offset by topic and partition.
    seen: HashMap<String, HashMap<i32, i64>>,
    orphans: Orphans,
}

impl Sink for Sql {
    fn open(context: &Context) -> Result<Self> {
        let config = Config::read(context)?;
        let connection = Connection::new(config.connection.clone());
        let orphans = Orphans::new(config.foreign_key_wait, !config.key.is_empty());
        let (tables, topics, seen) = (BTreeMap::new(), HashMap::new(), HashMap::new());
        Ok(Self { config, connection, tables, topics, seen, orphans })
    }

    fn assign(&mut self, partitions: &[Partition]) -> Result<Vec<Option<i64>>> {
        self.tables.clear();
        self.seen.clear();
        Ok(vec![None; partitions.len()])
    }

    fn write(&mut self, records: &Batch) -> Result<Outcomes> {
        if self.is_repeated(records) {
            self.tables.clear();
        }
        for table in self.tables.values_mut() {
            table.is_fresh = false;
        }
        let written = self.write_all(records);
        if written.is_err() {
            self.tables.clear();
        }
        written
    }
}

impl Sql {
    /// Records that came before come again: their transaction was rolled back, and with it columns that were added. What is
    /// known of the tables is then not true.
    fn is_repeated(&mut self, records: &Batch) -> bool {
        let mut repeated = false;
        // Records of a partition mostly come in a row.
        let mut run: Option<(&str, i32, &mut i64)> = None;
        for record in records {
            match &mut run {
                Some((topic, partition, last)) if std::ptr::eq(*topic, record.topic) && *partition == record.partition => {
                    repeated |= record.offset <= **last;
                    **last = record.offset;
                }
                _ => {
                    let partitions = self.seen.entry(record.topic.to_owned()).or_default();
                    let last = partitions.entry(record.partition).or_insert(record.offset - 1);
                    repeated |= record.offset <= *last;
                    *last = record.offset;
                    run = Some((record.topic, record.partition, last));
                }
            }
        }
        repeated
    }

    fn write_all(&mut self, batch: &Batch) -> Result<Outcomes> {
        let mut outcomes = Outcomes::accepted();
        let mut waiting: BTreeMap<String, Rows<'_>> = BTreeMap::new();
        // A batch has each topic's name once: names that lie elsewhere are another's, or are looked up once more.
        let mut records = batch.into_iter().peekable();
        while let Some(topic) = records.peek().map(|record| record.topic) {
            let (table, rows) = self.target(topic, &mut waiting)?;
            while let Some(record) = records.next_if(|record| std::ptr::eq(record.topic, topic)) {
                if let Err(rejection) = rows.add(table, &record) {
                    outcomes.push(record.index, rejection);
                }
            }
        }
        // Before anything is written, as not every call is a transaction as a whole.
        for (table, rows) in &waiting {
            if rows.has_misfits {
                self.look_again(table)?;
            }
        }
        let mut orphans = BTreeMap::new();
        for (table, rows) in waiting {
            if !rows.is_empty() {
                self.apply(&table, rows, &mut outcomes, &mut orphans)?;
            }
        }
        self.orphans.judge(batch, orphans, Instant::now(), &mut outcomes);
        Ok(outcomes)
    }

    /// The table of a topic, and the rows that wait for it.
    fn target<'t, 'a>(
        &'t mut self,
        topic: &str,
        waiting: &'t mut BTreeMap<String, Rows<'a>>,
    ) -> Result<(&'t mut Table, &'t mut Rows<'a>)> {
        if !self.topics.contains_key(topic) {
            let table = table_of(topic, self.config.table.as_deref(), &self.config.tables, &self.topics)?;
            self.topics.insert(topic.to_owned(), table);
        }
        let name = self.topics.get(topic).map_or("", String::as_str);
        let table = match self.tables.entry(name.to_owned()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let existing = self.connection.columns(name)?;
                unknown.insert(Table::new(name.to_owned(), existing, &self.config)?)
            }
        };
        Ok((table, waiting.entry(name.to_owned()).or_default()))
    }

    /// Writes rows of a table. What a foreign key refuses goes to `orphans`, by its record.
    fn apply(
        &mut self,
        name: &str,
        mut rows: Rows<'_>,
        outcomes: &mut Outcomes,
        orphans: &mut BTreeMap<u32, Rejection>,
    ) -> Result<()> {
        let Some(table) = self.tables.get_mut(name) else { return Ok(()) };
        let schema = self.config.schema;
        if rows.has_new_columns && schema == Schema::Evolve {
            self.connection.ensure(&table.target, &definitions(table)).map_err(|e| doubted(table, schema, e))?;
            if !table.has_grown_to(self.connection.columns(name)?) && !table.is_fresh {
                return Err(altered(name));
            }
        }
        let taken = rows.take(table);
        let refused = match &table.version {
            Some(version) => self.connection.apply_newest(&table.target, version, taken),
            None => self.connection.apply(&table.target, taken),
        };
        let refused = refused.map_err(|e| doubted(table, schema, e))?;
        if !refused.is_empty() {
            self.look_again(name)?;
        }
        for rejected in refused {
            let Some(record) = rows.record(rejected.row) else {
                return Err(Error::fatal(format!("the database refused row {}, which was not sent", rejected.row)));
            };
            let mut rejection = Rejection::new(rejected.code, rejected.reason);
            rejection.field = rejected.column.as_deref().map(wharf_sdk::json::pointer);
            if rejection.code == "sql.foreign-key" {
                orphans.insert(record, rejection);
            } else {
                outcomes.push(record, rejection);
            }
        }
        Ok(())
    }

    /// Before a record is refused: were the columns that refuse it read in an earlier call, somebody may have changed them since.
    ///
    /// # Errors
    /// `retry` where they did; the call is then made again by the new columns.
    fn look_again(&mut self, name: &str) -> Result<()> {
        let Some(table) = self.tables.get_mut(name).filter(|table| !table.is_fresh) else { return Ok(()) };
        match self.connection.columns(name) {
            Ok(columns) if table.is_still(&columns) => {
                table.is_fresh = true;
                Ok(())
            }
            Ok(_) => Err(altered(name)),
            // The transaction is lost, and with it what was written.
            Err(error @ Error::Retry { .. }) => Err(error),
            // The refusal says more.
            Err(_) => Ok(()),
        }
    }
}

fn altered(name: &str) -> Error {
    Error::retry(format!("table `{name}` was altered: its columns are read anew"))
}

/// A call that cannot work, by columns that may be none any more, is made once again by those that there are. In `strict` a
/// table that lacks a column stays a case for its owner.
fn doubted(table: &Table, schema: Schema, error: Error) -> Error {
    let by_columns = match &error {
        Error::Retry { .. } => false,
        Error::Reject(_) => true,
        Error::Fatal(_) => schema == Schema::Evolve,
    };
    if !by_columns || table.is_fresh {
        return error;
    }
    Error::retry(format!("the columns of table `{}` are read anew, it may have been altered: {error}", table.target.name))
}

/// The key's columns first, so that a new table is easy to read.
fn definitions(table: &Table) -> Vec<ColumnDef> {
    let (mut key, rest): (Vec<_>, Vec<_>) = table.columns.iter().cloned().partition(|column| table.is_key(&column.name));
    let order = |column: &ColumnDef| table.target.key.iter().position(|k| k.eq_ignore_ascii_case(&column.name));
    key.sort_by_key(order);
    key.extend(rest);
    key
}

export_sink!(Sql, manifest = include_str!("../connector.toml"));

#[cfg(test)]
mod tests;
