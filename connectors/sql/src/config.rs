//! The `config` table of the sink, read and checked. Reaches nothing.

use std::collections::BTreeMap;

use serde::Deserialize;
use wharf_sdk::sql::Kind;
use wharf_sdk::{Context, Error, Result};

/// What stands for the topic's name in `table`.
const TOPIC: &str = "{topic}";

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

    /// The table that records of a topic go to.
    ///
    /// # Errors
    /// `fatal` where the configuration names none.
    pub fn table(&self, topic: &str) -> Result<String> {
        if let Some(table) = self.tables.get(topic) {
            return Ok(table.clone());
        }
        let table = self.table.as_ref().ok_or_else(|| {
            Error::fatal(format!("topic `{topic}` has no table: add it to `tables` of `config`, or set `table`"))
        })?;
        Ok(table.replace(TOPIC, &identifier(topic)))
    }

    /// Whether tables are named by topics, so that two topics can mean the same one by accident.
    pub fn is_named_by_topic(&self, topic: &str) -> bool {
        !self.tables.contains_key(topic) && self.table.as_ref().is_some_and(|table| table.contains(TOPIC))
    }
}

/// A topic's name as (part of) a table's: what is no letter, digit or `_` becomes `_`.
fn identifier(topic: &str) -> String {
    topic.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: &str) -> Result<Config, String> {
        Config::read(&Context::new("orders", config)).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn table_of_a_topic_is_its_own_or_the_named_one_or_made_of_its_name() {
        let config = read(r#"{"connection":"w","table":"raw_{topic}","tables":{"erp.orders":"sales.orders"}}"#).unwrap();
        assert_eq!(config.table("erp.orders").unwrap(), "sales.orders");
        assert_eq!(config.table("shop-1.items").unwrap(), "raw_shop_1_items");
        let config = read(r#"{"connection":"w","tables":{"a":"b"}}"#).unwrap();
        assert!(matches!(config.table("c"), Err(Error::Fatal(_))));
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
