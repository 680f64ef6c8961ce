//! What is known of a table: its columns, in their order, and which of them hold where a record was read.

use std::collections::HashMap;

use serde::Deserialize;
use wharf_sdk::{Error, Result, log};

use crate::config::{Config, Deduplicate};
use crate::fault::{Fault, Meaning};
use crate::kind::{self, Kind};
use crate::server::{Server, name, text};
use crate::value::is_known;

/// Engines that keep every row as it was put, and of which a server shows what it has taken. By others rows, and with them their
/// offsets, are merged away, or another server answers that does not have them yet.
const KEEPING: [&str; 2] = ["MergeTree", "ReplicatedMergeTree"];

/// A table and its columns.
#[derive(Debug)]
pub struct Table {
    name: String,
    /// Database and table, as a query names them.
    pub target: String,
    pub columns: Vec<Column>,
    /// Places of the columns of the key.
    pub key: Vec<usize>,
    by_name: HashMap<String, usize>,
    /// Other servers write to it too.
    is_replicated: bool,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    pub fill: Fill,
    /// It holds a part of the record's place.
    pub place: Option<Part>,
    /// It says whether the record is a tombstone.
    pub is_deleted: bool,
}

/// Where the value of a row comes from that has no field of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// The type: null, 0, an empty text.
    Type,
    /// The column's own expression: it is left out of the insert.
    Expression,
    /// It always comes from there (`MATERIALIZED`, `ALIAS`): no row may have a field for it.
    Always,
}

/// A part of a record's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Topic,
    Partition,
    Offset,
    Timestamp,
}

const PARTS: [Part; 4] = [Part::Topic, Part::Partition, Part::Offset, Part::Timestamp];

#[derive(Deserialize)]
struct Described {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    default_type: String,
}

impl Table {
    /// Asks the server for a table.
    ///
    /// # Errors
    /// `retry` where it does not answer, `fatal` where no record could ever be written.
    pub fn read(server: &Server, config: &Config, table: &str) -> Result<Self> {
        let target = format!("{}.{}", name(&config.database), name(table));
        let described: Vec<Described> = server.objects(&format!("DESCRIBE TABLE {target}")).map_err(Fault::into_error)?;
        let mut columns: Vec<_> = described.into_iter().map(column).collect();
        for (part, name) in PARTS.into_iter().zip(config.place.names()) {
            if let Some(column) = columns.iter_mut().find(|column| column.name == name) {
                column.place = Some(part);
            }
        }
        for column in &mut columns {
            column.is_deleted = config.deleted.as_ref() == Some(&column.name);
        }
        let by_name = columns.iter().enumerate().map(|(at, column)| (column.name.clone(), at)).collect();
        let mut read = Self { name: table.to_owned(), target, columns, key: Vec::new(), by_name, is_replicated: false };
        read.check_places(config)?;
        read.check_deleted(config)?;
        read.find_key(config)?;
        if config.deduplicate == Deduplicate::Offsets {
            read.check_engine(server, config)?;
        }
        Ok(read)
    }

    /// Says what cannot be checked from here.
    pub fn warn(&self) {
        if self.is_replicated {
            log::warn!(
                table = self.target;
                "what another replica has just taken is not seen at once: nothing is written twice as long as `config.url` is one server"
            );
        }
    }

    /// Reads the table again. Answers whether somebody has changed its columns since.
    ///
    /// # Errors
    /// As [`Table::read`].
    pub fn look_again(&mut self, server: &Server, config: &Config) -> Result<bool> {
        let read = Self::read(server, config, &self.name)?;
        let is_altered = read.columns != self.columns;
        *self = read;
        Ok(is_altered)
    }

    /// Place of the column of this name; mostly the one at `hint`.
    pub fn find(&self, name: &str, hint: usize) -> Option<usize> {
        let hinted = self.columns.get(hint).is_some_and(|column| column.name == name);
        if hinted { Some(hint) } else { self.by_name.get(name).copied() }
    }

    /// The name, in a query, of the column that holds this part of the place.
    pub fn place(&self, part: Part) -> String {
        self.columns.iter().find(|column| column.place == Some(part)).map_or_else(String::new, |column| name(&column.name))
    }

    /// Columns as an insert names them.
    pub fn list(&self, columns: &[usize]) -> String {
        let names: Vec<_> = columns.iter().filter_map(|at| self.columns.get(*at)).map(|column| name(&column.name)).collect();
        format!("({})", names.join(", "))
    }

    /// The columns of the place are there, where offsets are to be known again, and hold what is put into them.
    fn check_places(&self, config: &Config) -> Result<()> {
        let target = &self.target;
        let mut missing = Vec::new();
        for (part, column) in PARTS.into_iter().zip(config.place.names()) {
            let kind = part.kind();
            match self.columns.iter().find(|known| known.place == Some(part)) {
                Some(known) if known.fill == Fill::Always || !part.takes(&known.kind) => {
                    return Err(Error::fatal(format!(
                        "column `{column}` of {target} is to hold the record's {}: it has to be an ordinary column of type {kind}",
                        part.word()
                    )));
                }
                Some(_) => {}
                None => missing.push(format!("ADD COLUMN {} {kind}", name(column))),
            }
        }
        if missing.is_empty() || config.deduplicate == Deduplicate::None {
            return Ok(());
        }
        Err(Error::fatal(format!(
            "{target} has no columns for the place of a record, by which nothing is written twice: `ALTER TABLE {target} {}`, \
             or name those that it has under `place`, or set `deduplicate = \"none\"` (at least once)",
            missing.join(", ")
        )))
    }

    /// The column of `deleted` is there and holds 0 and 1.
    fn check_deleted(&self, config: &Config) -> Result<()> {
        let (Some(column), target) = (&config.deleted, &self.target) else { return Ok(()) };
        match self.columns.iter().find(|known| known.is_deleted) {
            Some(Column { fill: Fill::Type | Fill::Expression, kind: Kind::Bool | Kind::Int { bytes: 1, .. }, .. }) => Ok(()),
            Some(_) => Err(Error::fatal(format!(
                "column `{column}` of {target} is to say whether a record is a tombstone: it has to be an ordinary column of type UInt8"
            ))),
            None => Err(Error::fatal(format!(
                "{target} has no column for `deleted`, which says whether a record is a tombstone: \
                 `ALTER TABLE {target} ADD COLUMN {} UInt8`, or name one that it has",
                name(column)
            ))),
        }
    }

    fn find_key(&mut self, config: &Config) -> Result<()> {
        let find = |column: &String| match self.find(column, 0).and_then(|at| Some((at, self.columns.get(at)?))) {
            Some((at, known)) if known.fill != Fill::Always && is_known(&known.kind) => Ok(at),
            Some(_) => Err(Error::fatal(format!("column `{column}` of {}, which `key` names, takes no values", self.target))),
            None => Err(Error::fatal(format!("{} has no column `{column}`, which `key` names", self.target))),
        };
        self.key = config.key.iter().map(find).collect::<Result<_>>()?;
        Ok(())
    }

    fn check_engine(&mut self, server: &Server, config: &Config) -> Result<()> {
        let (database, table) = (text(&config.database), text(&self.name));
        let query = format!("SELECT engine FROM system.tables WHERE database = {database} AND name = {table}");
        let rows = server.rows(&query).map_err(Fault::into_error)?;
        match rows.first().and_then(|row| row.first()) {
            Some(engine) if !KEEPING.contains(&engine.as_str()) => Err(Error::fatal(format!(
                "{} is a {engine}, which may not keep every row as it was put, or not show it at once, so that an offset is not found \
                 again: use a table of {}, or set `deduplicate = \"none\"` (at least once)",
                self.target,
                KEEPING.join(" or ")
            ))),
            Some(engine) => {
                self.is_replicated = engine.starts_with("Replicated");
                Ok(())
            }
            // A table that nobody sees any more is one for the next query to tell of.
            None => Ok(()),
        }
    }
}

impl Part {
    const fn word(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Partition => "partition",
            Self::Offset => "offset",
            Self::Timestamp => "time",
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Topic => "String",
            Self::Partition => "Int32",
            Self::Offset | Self::Timestamp => "Int64",
        }
    }

    /// -1 is a time that is not known, so that is signed.
    const fn takes(self, kind: &Kind) -> bool {
        match (self, kind) {
            (Self::Partition, Kind::Int { bytes, .. }) => *bytes >= 4,
            (Self::Topic, Kind::Text)
            | (Self::Offset, Kind::Int { bytes: 8, .. })
            | (Self::Timestamp, Kind::Int { bytes: 8, signed: true }) => true,
            _ => false,
        }
    }
}

fn column(Described { name, kind, default_type }: Described) -> Column {
    let fill = match default_type.as_str() {
        "" => Fill::Type,
        "MATERIALIZED" | "ALIAS" => Fill::Always,
        _ => Fill::Expression,
    };
    Column { name, kind: kind::parse(&kind), fill, place: None, is_deleted: false }
}

/// Whether an insert was refused for what is known of a table, which may be outdated.
#[must_use]
pub fn is_about_columns(fault: &Fault) -> bool {
    // NO_SUCH_COLUMN_IN_TABLE, UNKNOWN_IDENTIFIER, and what the server reads where it takes bytes for another type.
    fault.meaning == Meaning::Record || matches!(fault.code, Some(16 | 47))
}
