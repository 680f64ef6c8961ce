//! The `config` table: what an operator writes, checked.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use wharf_sdk::duration;

use crate::status::Statuses;

/// As many connections to one host as Wharf keeps open.
const MOST_IN_FLIGHT: usize = 16;

/// Keys of `config`, described in `connector.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    pub url: String,
    #[serde(default)]
    pub method: Method,
    #[serde(default)]
    pub body: Body,
    #[serde(default)]
    pub include: Include,
    #[serde(default = "five_hundred")]
    pub max_batch: usize,
    #[serde(default = "four")]
    pub in_flight: usize,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default = "Statuses::accepted")]
    pub accept: Statuses,
    #[serde(default = "Statuses::retried")]
    pub retry: Statuses,
    #[serde(default)]
    pub reject: Statuses,
    #[serde(default = "idempotency_key")]
    pub idempotency_header: String,
    pub id_field: Option<String>,
    #[serde(default)]
    pub tombstones: Tombstones,
    #[serde(default = "half_minute", deserialize_with = "duration::above_zero")]
    pub timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    #[default]
    Post,
    Put,
    Patch,
}

/// How records become a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    #[default]
    JsonLines,
    JsonArray,
    Record,
}

/// What of a record is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Include {
    #[default]
    Value,
    Record,
}

/// What becomes of a null value that has no place in what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tombstones {
    #[default]
    Reject,
    /// Counts as delivered, because the operator said so.
    Skip,
}

impl Method {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
        }
    }
}

impl Config {
    /// # Errors
    /// One sentence that names the key at fault.
    pub fn check(&self) -> Result<(), String> {
        let rest = self.url.strip_prefix("https://").or_else(|| self.url.strip_prefix("http://"));
        let authority = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
        match authority {
            None | Some("") => return Err("`config.url` is no URL: expected https://host/path".to_owned()),
            Some(authority) if authority.contains('@') => {
                return Err("`config.url` holds a user name: credentials go into `[sink.auth]`".to_owned());
            }
            Some(_) => {}
        }
        if self.max_batch == 0 {
            return Err("`config.max-batch` is 0: give at least 1".to_owned());
        }
        if !(1..=MOST_IN_FLIGHT).contains(&self.in_flight) {
            return Err(format!("`config.in-flight` is {}: give 1 to {MOST_IN_FLIGHT}", self.in_flight));
        }
        const SECRET: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "x-api-key"];
        const OWN: [&str; 4] = ["host", "content-length", "transfer-encoding", "connection"];
        for name in self.headers.keys() {
            let lower = name.to_ascii_lowercase();
            if SECRET.contains(&lower.as_str()) {
                return Err(format!("`config.headers` has `{name}`: credentials go into `[sink.auth]`, which the host puts on"));
            }
            if OWN.contains(&lower.as_str()) {
                return Err(format!("`config.headers` has `{name}`, which the host sets by itself"));
            }
        }
        Ok(())
    }

    /// Most records in one request.
    #[must_use]
    pub const fn elements_per_request(&self) -> usize {
        if matches!(self.body, Body::Record) { 1 } else { self.max_batch }
    }

    /// Host and port, for messages.
    #[must_use]
    pub fn host(&self) -> &str {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        rest.split(['/', '?', '#']).next().unwrap_or_default()
    }

    /// What `headers` says, or what fits the body.
    #[must_use]
    pub fn content_type(&self) -> &str {
        let given = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        given.map_or_else(
            || if self.body == Body::JsonLines { "application/x-ndjson" } else { "application/json" },
            |(_, value)| value,
        )
    }

    /// Whether values go out untouched, whatever they hold.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        let raw = self.body == Body::Record && self.include == Include::Value && self.id_field.is_none();
        raw && !self.content_type().to_ascii_lowercase().contains("json")
    }
}

const fn four() -> usize {
    4
}

const fn five_hundred() -> usize {
    500
}

const fn half_minute() -> Duration {
    Duration::from_secs(30)
}

fn idempotency_key() -> String {
    "Idempotency-Key".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Config {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn manifest_names_the_keys_and_defaults_of_the_configuration() {
        let held = wharf_sdk::testing::configuration::<Config>(include_str!("../connector.toml"), r#"{"url": "https://h"}"#);
        assert_eq!(held, Ok(()));
    }

    #[test]
    fn values_that_cannot_work_are_refused_by_the_name_of_their_key() {
        for (json, expected) in [
            (r#"{"url": "api.example.com"}"#, "config.url"),
            (r#"{"url": "https://me:pw@api.example.com"}"#, "[sink.auth]"),
            (r#"{"url": "https://h", "max-batch": 0}"#, "config.max-batch"),
            (r#"{"url": "https://h", "in-flight": 0}"#, "config.in-flight"),
            (r#"{"url": "https://h", "in-flight": 17}"#, "config.in-flight"),
            (r#"{"url": "https://h", "headers": {"Authorization": "x"}}"#, "[sink.auth]"),
            (r#"{"url": "https://h", "headers": {"Host": "x"}}"#, "the host sets"),
        ] {
            let error = config(json).check().unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert!(serde_json::from_str::<Config>(r#"{"url": "https://h", "timeout": "0s"}"#).is_err());
    }

    #[test]
    fn only_single_values_of_another_content_type_go_out_untouched() {
        assert!(config(r#"{"url": "https://h", "body": "record", "headers": {"Content-Type": "text/plain"}}"#).is_raw());
        assert!(!config(r#"{"url": "https://h", "body": "record"}"#).is_raw());
        assert!(!config(r#"{"url": "https://h", "headers": {"Content-Type": "text/plain"}}"#).is_raw());
    }
}
