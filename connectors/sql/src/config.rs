//! The `config` table of the sink, read and checked. Reaches nothing.

use std::collections::BTreeMap;

use serde::Deserialize;
use wharf_sdk::sql::Kind;
use wharf_sdk::{Context, Error, Result};

/// Keys of `config`; `connector.toml` describes them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub connection: String,
    pub table: Option<String>,
    #[serde(default)]
    pub tables: BTreeMap<String, String>,
    #[serde(default)]
    pub key: Vec<String>,
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
        Ok(config)
    }
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
            (r#"{"connection":"w","table":"t","colums":{}}"#, "unknown field `colums`"),
        ] {
            let error = read(config).unwrap_err();
            assert!(error.contains(expected), "{config}: {error}");
        }
    }
}
