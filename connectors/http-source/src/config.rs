//! The `config` table: what an operator writes. What has to fit together is checked in `plan.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use wharf_http_rules::jsonpath::JsonPath;
use wharf_http_rules::statuses::Statuses;
use wharf_sdk::duration;

use crate::cursor::Kind;

/// Keys of `config`, described in `connector.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    pub url: String,
    #[serde(default)]
    pub method: Method,
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub body: Option<String>,
    #[serde(default)]
    pub format: Format,
    #[serde(default = "JsonPath::root")]
    pub records: JsonPath,
    #[serde(default)]
    pub key: Vec<String>,
    #[serde(default)]
    pub pagination: Pagination,
    pub next: Option<JsonPath>,
    pub more: Option<JsonPath>,
    #[serde(default = "one")]
    pub first_page: u64,
    pub page_size: Option<u64>,
    pub cursor: Option<String>,
    pub cursor_type: Option<Kind>,
    pub overlap: Option<WrittenOverlap>,
    /// A text or a number.
    pub initial: Option<Box<RawValue>>,
    #[serde(default)]
    pub order: Order,
    #[serde(default)]
    pub unchanged: Unchanged,
    #[serde(default = "Statuses::accepted")]
    pub accept: Statuses,
    #[serde(default = "Statuses::retried")]
    pub retry: Statuses,
    #[serde(default)]
    pub stop: Statuses,
    #[serde(default)]
    pub end: Statuses,
    pub fail_if: Option<JsonPath>,
    #[serde(default = "half_minute", deserialize_with = "duration::deserialize")]
    pub interval: Duration,
    #[serde(default = "half_minute", deserialize_with = "duration::above_zero")]
    pub timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    #[default]
    Get,
    Post,
}

/// What an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    #[default]
    Json,
    JsonLines,
}

/// How the next page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pagination {
    #[default]
    None,
    /// By the URL of the header `Link` with the relation `next` (RFC 8288).
    Link,
    /// By what `next` selects.
    Cursor,
    /// By a number of pages.
    Page,
    /// By a number of records.
    Offset,
}

/// In which order the API hands records out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    #[default]
    Any,
    /// By the cursor.
    Ascending,
}

/// Without a cursor: a record that is as it was in the read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unchanged {
    #[default]
    Skip,
    Send,
}

/// As it is written: a duration, or a number.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum WrittenOverlap {
    Number(u64),
    Duration(String),
}

impl Method {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

const fn one() -> u64 {
    1
}

const fn half_minute() -> Duration {
    Duration::from_secs(30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_names_the_keys_and_defaults_of_the_configuration() {
        let manifest = include_str!("../connector.toml");
        let description = wharf_sdk::__private::describe(manifest, "0.0.0", wharf_sdk::__private::Kind::Source).unwrap();
        let manifest: serde_json::Value = serde_json::from_str(&description.manifest).unwrap();
        let properties = manifest["config"]["properties"].as_object().unwrap();
        let error = serde_json::from_str::<Config>(r#"{"url": "", "no-such-key": 1}"#).unwrap_err().to_string();
        let mut known: Vec<_> = error.split('`').skip(3).step_by(2).collect();
        let mut named: Vec<_> = properties.keys().map(String::as_str).collect();
        named.sort_unstable();
        known.sort_unstable();
        assert_eq!(named, known);
        let defaults: serde_json::Map<_, _> = properties
            .iter()
            .filter_map(|(name, property)| Some((name.clone(), property.get("default")?.clone())))
            .chain([("url".to_owned(), "https://h".into())])
            .collect();
        let spelled_out: Config = serde_json::from_str(&serde_json::Value::from(defaults).to_string()).unwrap();
        let left_out: Config = serde_json::from_str(r#"{"url": "https://h"}"#).unwrap();
        assert_eq!(format!("{spelled_out:?}"), format!("{left_out:?}"));
    }
}
