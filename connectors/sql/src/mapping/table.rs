//! What is known of a table: its columns with their kinds, and how a field finds its column.

use std::collections::{BTreeMap, HashMap};

use wharf_sdk::sql::{self, ColumnDef, Kind};
use wharf_sdk::{Error, Rejection, Result};

use super::cell;
use super::fields::Json;
use crate::config::{ColumnType, Config, ORDERED, Schema, is_ordered};

/// PostgreSQL cuts longer names off.
const LONGEST_NAME: usize = 63;

/// A table and its columns.
#[derive(Debug)]
pub struct Table {
    /// Name, and the key's columns as they are called in the table.
    pub target: sql::Table,
    /// Column whose higher value wins, as it is called in the table.
    pub version: Option<String>,
    pub columns: Vec<ColumnDef>,
    /// What values are converted to, by column: one kind, however a field spells its name.
    kinds: Vec<Kind>,
    /// What the database said of them last.
    read: Vec<ColumnDef>,
    /// It said so in the call that is under way.
    pub is_fresh: bool,
    /// Rows of the last batch, and bytes of each of its columns: the next one is likely to be as large.
    filled: (usize, Vec<usize>),
    exact: HashMap<String, usize>,
    /// By lower-case name.
    folded: HashMap<String, usize>,
    types: BTreeMap<String, ColumnType>,
    schema: Schema,
}

/// Where a field goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Column(usize, Kind),
    /// A column that the table does not have yet.
    New(Kind),
    /// A null for a column that the table does not have: nothing is lost by leaving it out.
    Nowhere,
}

impl Table {
    /// `existing`: what the database says, empty where there is no such table.
    ///
    /// # Errors
    /// `fatal` where no record could ever be written.
    pub fn new(name: String, existing: Vec<ColumnDef>, config: &Config) -> Result<Self> {
        let target = sql::Table { name, key: config.key.clone() };
        let mut table = Self {
            target,
            version: config.version.clone(),
            columns: Vec::new(),
            kinds: Vec::new(),
            read: existing.clone(),
            is_fresh: true,
            filled: (0, Vec::new()),
            exact: HashMap::new(),
            folded: HashMap::new(),
            types: config.columns.clone(),
            schema: config.schema,
        };
        if existing.is_empty() && config.schema == Schema::Strict {
            return Err(Error::fatal(format!(
                "there is no table `{}`: create it, or set `schema = \"evolve\"`",
                table.target.name
            )));
        }
        let exists = !existing.is_empty();
        for column in existing {
            table.add(column);
        }
        table.kinds = table.columns.iter().map(|column| table.configured(&column.name).unwrap_or(column.kind)).collect();
        if exists {
            let names = config.key.iter().map(|key| match table.find(key) {
                Some(index) => Ok(table.columns.get(index).map_or_else(|| key.clone(), |column| column.name.clone())),
                None => Err(Error::fatal(format!(
                    "table `{}` has no column `{key}`, which `key` names: a key cannot be added to a table that is there",
                    table.target.name
                ))),
            });
            table.target.key = names.collect::<Result<_>>()?;
            table.find_version()?;
        }
        Ok(table)
    }

    /// The version's column in a table that is there. Where `evolve` adds it, the rows of before are older than any version.
    fn find_version(&mut self) -> Result<()> {
        let Some(version) = &self.version else { return Ok(()) };
        let wrong =
            |why: &str| Err(Error::fatal(format!("`version` names column `{version}` of table `{}`: {why}", self.target.name)));
        let Some(at) = self.find(version) else {
            return match self.schema {
                Schema::Strict => wrong("there is none; add it, or set `schema = \"evolve\"`"),
                Schema::Evolve => Ok(()),
            };
        };
        match (self.columns.get(at), self.kinds.get(at)) {
            (Some(_), Some(kind)) if !is_ordered(*kind) => {
                wrong(&format!("it is none that orders versions; {ORDERED}, if need be under `columns`"))
            }
            (Some(column), _) => {
                self.version = Some(column.name.clone());
                Ok(())
            }
            (None, _) => Ok(()),
        }
    }

    /// Rows and bytes to make room for in a column.
    pub fn room(&self, column: usize) -> (usize, usize) {
        (self.filled.0, self.filled.1.get(column).copied().unwrap_or(0))
    }

    /// Takes note of how large a batch was: its rows, and by column the bytes.
    pub fn filled(&mut self, rows: usize, bytes: Vec<usize>) {
        self.filled = (rows, bytes);
    }

    /// Whether the table is as it was when its columns were read.
    pub fn is_still(&self, columns: &[ColumnDef]) -> bool {
        self.read.len() == columns.len() && self.read.iter().zip(columns).all(|(a, b)| is_same(a, b))
    }

    /// Takes note of what the database makes of columns that were added; false: somebody else has changed others.
    pub fn has_grown_to(&mut self, columns: Vec<ColumnDef>) -> bool {
        let is_in = |columns: &[ColumnDef], column: &ColumnDef| columns.iter().any(|other| is_same(other, column));
        let ours = |column: &ColumnDef| is_in(&self.read, column) || self.columns.iter().any(|known| known.name == column.name);
        let by_us = self.read.iter().all(|column| is_in(&columns, column)) && columns.iter().all(ours);
        if by_us {
            self.read = columns;
        }
        by_us
    }

    pub fn is_key(&self, column: &str) -> bool {
        self.target.key.iter().any(|key| key.eq_ignore_ascii_case(column))
    }

    /// Whether every row has to have a value in this column.
    pub fn is_needed(&self, column: &str) -> bool {
        self.is_key(column) || self.is_version(column)
    }

    fn is_version(&self, column: &str) -> bool {
        self.version.as_ref().is_some_and(|version| version.eq_ignore_ascii_case(column))
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.exact.get(name).or_else(|| self.folded.get(&name.to_ascii_lowercase())).copied()
    }

    /// Where a field goes. Fields of neighbouring records mostly come in the same order, so the column at `hint` is tried first.
    ///
    /// # Errors
    /// [`Rejection`] where the table has no such column and gets none.
    pub fn place(&self, field: &str, json: Json<'_>, hint: usize) -> Result<Place, Rejection> {
        let hinted = self.columns.get(hint).filter(|column| column.name == field).map(|_| hint);
        if let Some(at) = hinted.or_else(|| self.find(field))
            && let Some(kind) = self.kinds.get(at)
        {
            return Ok(Place::Column(at, *kind));
        }
        if self.schema == Schema::Strict {
            return Err(Rejection::new("sql.column", format!("table `{}` has no column `{field}`", self.target.name)));
        }
        if field.is_empty() || field.len() > LONGEST_NAME || field.contains('\0') {
            let why = format!("a field's name cannot be a column's: expected 1 to {LONGEST_NAME} bytes without U+0000");
            return Err(Rejection::new("sql.column", why));
        }
        Ok(match self.configured(field).or_else(|| cell::infer(json)) {
            Some(kind) if self.is_version(field) && !is_ordered(kind) => {
                let why = format!("{ORDERED}; where a text is a time, say so under `columns`");
                return Err(Rejection::new("sql.type", why));
            }
            Some(kind) => Place::New(kind),
            None => Place::Nowhere,
        })
    }

    /// The type under `columns` of this name, else of one that is the same in upper and lower case and is not another column's own.
    fn configured(&self, name: &str) -> Option<Kind> {
        let folded = || self.types.iter().find(|(typed, _)| typed.eq_ignore_ascii_case(name) && !self.exact.contains_key(*typed));
        self.types.get(name).or_else(|| folded().map(|(_, kind)| kind)).map(|kind| kind.kind())
    }

    /// Adds a column for a field; gives its place.
    pub fn grow(&mut self, field: &str, kind: Kind) -> usize {
        let key = self.target.key.iter().find(|key| key.eq_ignore_ascii_case(field));
        let version = self.version.as_ref().filter(|version| version.eq_ignore_ascii_case(field));
        let name = key.or(version).map_or(field, String::as_str).to_owned();
        self.add(ColumnDef { nullable: key.is_none(), name, kind })
    }

    fn add(&mut self, column: ColumnDef) -> usize {
        let at = self.columns.len();
        self.exact.insert(column.name.clone(), at);
        self.folded.entry(column.name.to_ascii_lowercase()).or_insert(at);
        self.kinds.push(column.kind);
        self.columns.push(column);
        at
    }
}

fn is_same(a: &ColumnDef, b: &ColumnDef) -> bool {
    (&a.name, a.kind, a.nullable) == (&b.name, b.kind, b.nullable)
}
