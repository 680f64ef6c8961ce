//! The `config` table of the sink, read and checked. Reaches nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use wharf_sdk::http::authority;
use wharf_sdk::{Context, Error, Result, duration};

/// Keys of `config`; `connector.toml` describes them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    pub url: String,
    #[serde(default = "default_database")]
    pub database: String,
    pub table: Option<String>,
    #[serde(default)]
    pub tables: BTreeMap<String, String>,
    /// Column by field.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    #[serde(default)]
    pub extra_fields: ExtraFields,
    #[serde(default)]
    pub times: Times,
    #[serde(default)]
    pub deduplicate: Deduplicate,
    #[serde(default)]
    pub place: PlaceColumns,
    /// Columns of the key, in order.
    #[serde(default)]
    pub key: Vec<String>,
    /// Column that is 1 in the row of a tombstone, and 0 in others.
    pub deleted: Option<String>,
    #[serde(default)]
    pub tombstones: Tombstones,
    #[serde(default = "minute", deserialize_with = "duration::above_zero")]
    pub timeout: Duration,
}

/// What becomes of a record with a field that has no column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExtraFields {
    #[default]
    Reject,
    /// The field is left out, because the operator said so.
    Ignore,
}

/// What becomes of a time that is finer than its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Times {
    /// Its record is rejected.
    #[default]
    Exact,
    Cut,
}

/// How a repetition is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deduplicate {
    /// By the offsets that the table holds.
    #[default]
    Offsets,
    /// Not at all: at least once.
    None,
}

/// Columns that hold where a record was read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlaceColumns {
    pub topic: String,
    pub partition: String,
    pub offset: String,
    pub timestamp: String,
}

/// What becomes of a null value where no column tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tombstones {
    #[default]
    Reject,
    /// Counts as delivered, because the operator said so.
    Skip,
}

impl Default for PlaceColumns {
    fn default() -> Self {
        Self {
            topic: "_topic".to_owned(),
            partition: "_partition".to_owned(),
            offset: "_offset".to_owned(),
            timestamp: "_timestamp".to_owned(),
        }
    }
}

impl PlaceColumns {
    /// Topic, partition, offset, timestamp.
    pub fn names(&self) -> [&str; 4] {
        [&self.topic, &self.partition, &self.offset, &self.timestamp]
    }
}

impl Config {
    /// # Errors
    /// `fatal`, naming the key at fault.
    pub fn read(context: &Context) -> Result<Self> {
        let config: Self = context.config()?;
        let wrong = |key: &str, why: &str| Err(Error::fatal(format!("`config` `{key}` of `{}`: {why}", context.name)));
        let rest = config.url.strip_prefix("https://").or_else(|| config.url.strip_prefix("http://"));
        match rest.map(|rest| rest.split('/').next().unwrap_or_default()) {
            None | Some("") => return wrong("url", "is no URL: expected https://host:port"),
            Some(authority) if authority.contains('@') => {
                return wrong("url", "holds a user name: credentials go into `[sink.auth]`");
            }
            Some(_) if config.url.contains(['?', '#']) => return wrong("url", "has a query: give the address alone"),
            Some(_) => {}
        }
        if config.table.is_none() && config.tables.is_empty() {
            return wrong("table", "is missing: name the table, or one for each topic under `tables`");
        }
        let names = config.table.iter().chain(config.tables.values()).chain(config.columns.values());
        if names.chain([&config.database]).any(String::is_empty) {
            return wrong("table", "the name of a table, of a column or of the database is empty");
        }
        for (at, name) in config.place.names().iter().enumerate() {
            if name.is_empty() || config.place.names().iter().take(at).any(|other| other == name) {
                return wrong("place", &format!("`{name}` is no name for one of four different columns"));
            }
        }
        match config.check_key() {
            Ok(()) => Ok(config),
            Err((key, why)) => wrong(key, &why),
        }
    }

    /// Key and reason of what is wrong with the columns of tombstones.
    fn check_key(&self) -> Result<(), (&'static str, String)> {
        let place = self.place.names();
        for (at, name) in self.key.iter().enumerate() {
            if name.is_empty() || place.contains(&name.as_str()) || self.key.iter().take(at).any(|other| other == name) {
                return Err(("key", format!("`{name}` is no name for one of different columns that hold fields")));
            }
        }
        match &self.deleted {
            Some(name) if name.is_empty() || place.contains(&name.as_str()) || self.key.contains(name) => {
                Err(("deleted", format!("`{name}` is no name for a column beside those of `key` and `place`")))
            }
            Some(_) if self.key.is_empty() => {
                Err(("deleted", "needs `key`: the columns that a tombstone's row has from its record's key".to_owned()))
            }
            Some(_) if self.tombstones == Tombstones::Skip => {
                Err(("tombstones", "leaves tombstones out, and `deleted` writes them: take one away".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// The column that a field goes to.
    pub fn column<'c>(&'c self, field: &'c str) -> &'c str {
        self.columns.get(field).map_or(field, String::as_str)
    }

    /// A field that goes to a column.
    pub fn field<'c>(&'c self, column: &'c str) -> &'c str {
        self.columns.iter().find(|(_, to)| *to == column).map_or(column, |(field, _)| field)
    }

    /// Host and port, as the operator writes them under `auth`.
    pub fn host(&self) -> &str {
        authority(&self.url)
    }
}

fn default_database() -> String {
    "default".to_owned()
}

const fn minute() -> Duration {
    Duration::from_secs(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: &str) -> Result<Config, String> {
        Config::read(&Context::new("orders", config)).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn manifest_names_the_keys_and_defaults_of_the_configuration() {
        let manifest = include_str!("../connector.toml");
        let description = wharf_sdk::__private::describe(manifest, "0.0.0", wharf_sdk::__private::Kind::Sink).unwrap();
        let manifest: serde_json::Value = serde_json::from_str(&description.manifest).unwrap();
        let properties = manifest["config"]["properties"].as_object().unwrap();
        let error = read(r#"{"url": "http://h", "no-such-key": 1}"#).unwrap_err();
        let mut known: Vec<_> = error.split("expected one of").nth(1).unwrap().split('`').skip(1).step_by(2).collect();
        let mut named: Vec<_> = properties.keys().map(String::as_str).collect();
        named.sort_unstable();
        known.sort_unstable();
        assert_eq!(named, known);
        let defaults = |properties: &serde_json::Value| -> serde_json::Map<String, serde_json::Value> {
            let properties = properties.as_object().unwrap().iter();
            properties.filter_map(|(name, property)| Some((name.clone(), property.get("default")?.clone()))).collect()
        };
        let mut spelled_out = defaults(&manifest["config"]["properties"]);
        spelled_out.insert("place".to_owned(), defaults(&manifest["config"]["properties"]["place"]["properties"]).into());
        spelled_out.extend([("url".to_owned(), "http://h".into()), ("table".to_owned(), "t".into())]);
        let spelled_out = read(&serde_json::Value::from(spelled_out).to_string()).unwrap();
        assert_eq!(format!("{spelled_out:?}"), format!("{:?}", read(r#"{"url": "http://h", "table": "t"}"#).unwrap()));
    }

    #[test]
    fn error_of_the_configuration_names_its_key() {
        for (config, expected) in [
            (r#"{"table":"t"}"#, "missing field `url`"),
            (r#"{"url":"clickhouse:8123","table":"t"}"#, "`url`"),
            (r#"{"url":"http://me:pw@h","table":"t"}"#, "[sink.auth]"),
            (r#"{"url":"http://h/?database=x","table":"t"}"#, "`url`"),
            (r#"{"url":"http://h"}"#, "`table`"),
            (r#"{"url":"http://h","table":""}"#, "`table`"),
            (r#"{"url":"http://h","table":"t","deduplicate":"token"}"#, "`deduplicate`"),
            (r#"{"url":"http://h","table":"t","place":{"topic":"_offset"}}"#, "`place`"),
            (r#"{"url":"http://h","table":"t","timeout":"0s"}"#, "`timeout`"),
            (r#"{"url":"http://h","table":"t","key":["id","id"]}"#, "`key`"),
            (r#"{"url":"http://h","table":"t","key":["_offset"]}"#, "`key`"),
            (r#"{"url":"http://h","table":"t","deleted":"gone"}"#, "`deleted` of `orders`: needs `key`"),
            (r#"{"url":"http://h","table":"t","key":["id"],"deleted":"id"}"#, "`deleted`"),
            (r#"{"url":"http://h","table":"t","key":["id"],"deleted":"gone","tombstones":"skip"}"#, "`tombstones`"),
        ] {
            let error = read(config).unwrap_err();
            assert!(error.contains(expected), "{config}: {error}");
        }
    }
}
