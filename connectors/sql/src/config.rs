//! The `config` table of the sink, read and checked. Reaches nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use wharf_sdk::sql::Kind;
use wharf_sdk::{Context, Error, Result, duration};

/// Keys of `config`; `connector.toml` describes them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    pub connection: String,
    pub table: Option<String>,
    #[serde(default)]
    pub tables: BTreeMap<String, String>,
    #[serde(default)]
    pub key: Vec<String>,
    /// Column whose higher value wins; `None`: the last row of a key does.
    pub version: Option<String>,
    /// Longest wait for a row that a foreign key refers to; 0: none.
    #[serde(default, deserialize_with = "duration::deserialize")]
    pub foreign_key_wait: Duration,
    #[serde(default)]
    pub schema: Schema,
    #[serde(default)]
    pub columns: BTreeMap<String, ColumnType>,
}

/// Who decides what a table looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schema {
    /// The records: tables are created and columns added.
    #[default]
    Evolve,
    /// The table: what does not fit is rejected.
    Strict,
}

/// Type of a column as the configuration says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    Bool,
    Int,
    Float,
    Decimal,
    Text,
    Bytes,
    Timestamp,
    Date,
    Json,
}

impl ColumnType {
    pub const fn kind(self) -> Kind {
        match self {
            Self::Bool => Kind::Boolean,
            Self::Int => Kind::Int64,
            Self::Float => Kind::Float64,
            Self::Decimal => Kind::Decimal,
            Self::Text => Kind::Text,
            Self::Bytes => Kind::Bytes,
            Self::Timestamp => Kind::TimestampUs,
            Self::Date => Kind::Date,
            Self::Json => Kind::Json,
        }
    }
}

impl Config {
    /// # Errors
    /// `fatal`, naming the key at fault.
    pub fn read(context: &Context) -> Result<Self> {
        let config: Self = context.config()?;
        let wrong = |key: &str, why: &str| Err(Error::fatal(format!("`config` `{key}` of `{}`: {why}", context.name)));
        if config.connection.is_empty() {
            return wrong("connection", "is empty; name a `[connection.NAME]` that `allow.sql` lists");
        }
        if config.table.is_none() && config.tables.is_empty() {
            return wrong("table", "is missing: name the table, or one for each topic under `tables`");
        }
        if config.table.iter().chain(config.tables.values()).any(String::is_empty) {
            return wrong("table", "a table's name is empty");
        }
        for (index, name) in config.key.iter().enumerate() {
            if name.is_empty() {
                return wrong("key", "a column's name is empty");
            }
            if config.key.iter().take(index).any(|other| other.eq_ignore_ascii_case(name)) {
                return wrong("key", &format!("names `{name}` twice"));
            }
        }
        let Some(version) = &config.version else { return Ok(config) };
        if version.is_empty() {
            return wrong("version", "is empty; name the column, or leave it out");
        }
        if config.key.is_empty() {
            return wrong("version", "needs a `key`: versions of the same row are compared, and without a key each is a row");
        }
        if config.key.iter().any(|key| key.eq_ignore_ascii_case(version)) {
            return wrong("version", &format!("`{version}` is in `key`: each version would be a row of its own"));
        }
        match config.columns.iter().find(|(name, kind)| name.eq_ignore_ascii_case(version) && !is_ordered(kind.kind())) {
            Some(_) => wrong("columns", &format!("`{version}` is the version: {ORDERED}")),
            None => Ok(config),
        }
    }
}

/// What a version may be.
pub const ORDERED: &str = "a version is an `int`, `float`, `decimal`, `timestamp` or `date`";

/// Whether values of a kind can be versions.
pub const fn is_ordered(kind: Kind) -> bool {
    matches!(kind, Kind::Int64 | Kind::Float64 | Kind::Decimal | Kind::TimestampUs | Kind::Date)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: &str) -> Result<Config, String> {
        Config::read(&Context::new("orders", config)).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn error_of_the_configuration_names_its_key() {
        for (config, expected) in [
            (r#"{"table":"t"}"#, "missing field `connection`"),
            (r#"{"connection":"w"}"#, "`table`"),
            (r#"{"connection":"w","table":"t","key":["a","A"]}"#, "`key`"),
            (r#"{"connection":"w","table":"t","schema":"loose"}"#, "`schema`"),
            (r#"{"connection":"w","table":"t","columns":{"price":"money"}}"#, "`columns.price`"),
            (r#"{"connection":"w","table":"t","version":"v"}"#, "`version` of `orders`: needs a `key`"),
            (r#"{"connection":"w","table":"t","key":["id"],"version":""}"#, "`version` of `orders`: is empty"),
            (r#"{"connection":"w","table":"t","key":["id","v"],"version":"V"}"#, "`V` is in `key`"),
            (
                r#"{"connection":"w","table":"t","key":["id"],"version":"v","columns":{"v":"text"}}"#,
                "`v` is the version: a version is",
            ),
            (r#"{"connection":"w","table":"t","foreign-key-wait":"soon"}"#, "`foreign-key-wait`"),
            (r#"{"connection":"w","table":"t","colums":{}}"#, "unknown field `colums`"),
        ] {
            let error = read(config).unwrap_err();
            assert!(error.contains(expected), "{config}: {error}");
        }
    }
}
