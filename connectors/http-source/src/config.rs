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
        let held = wharf_sdk::testing::configuration::<Config>(include_str!("../connector.toml"), r#"{"url": "https://h"}"#);
        assert_eq!(held, Ok(()));
    }
}
