//! The `config` table: what an operator writes, checked.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use wharf_http_rules::headers;
use wharf_http_rules::jsonpath::JsonPath;
use wharf_http_rules::statuses::Statuses;
use wharf_sdk::duration;

use crate::rules::Rules;
use crate::target::Templates;

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
    pub body_template: Option<String>,
    pub success_if: Option<JsonPath>,
    pub fail_if: Option<JsonPath>,
    #[serde(default)]
    pub on_fail: OnFail,
    pub failures: Option<JsonPath>,
    pub failure_index: Option<String>,
    pub failure_id: Option<String>,
    /// What of it is made for each record, once it is checked.
    #[serde(skip)]
    pub templates: Option<Templates>,
    /// How answers are looked into, once it is checked.
    #[serde(skip)]
    pub rules: Option<Rules>,
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
    /// Sent as DELETE to the URL that the template makes of it.
    Delete,
}

/// What an answer means that is an error by its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFail {
    #[default]
    Retry,
    Reject,
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
    /// Checks what was read, and makes its templates and rules.
    ///
    /// # Errors
    /// One sentence that names the key at fault.
    pub fn check(&mut self) -> Result<(), String> {
        headers::check_url(&self.url, "[sink.auth]")?;
        headers::check(self.headers.keys().map(String::as_str), "[sink.auth]")?;
        if self.max_batch == 0 {
            return Err("`config.max-batch` is 0: give at least 1".to_owned());
        }
        if !(1..=MOST_IN_FLIGHT).contains(&self.in_flight) {
            return Err(format!("`config.in-flight` is {}: give 1 to {MOST_IN_FLIGHT}", self.in_flight));
        }
        self.templates = Templates::new(self)?;
        self.rules = Rules::new(self)?;
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
        headers::host(&self.url)
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
            (r#"{"url": "https://h/{{ key.id }}"}"#, "body = \"record\""),
            (r#"{"url": "https://{{ key.id }}/", "body": "record"}"#, "template in its host"),
            (r#"{"url": "https://h/{{ kye.id }}", "body": "record"}"#, "`{{ kye.id }}` is not known here"),
            (r#"{"url": "https://h/", "body": "record", "body-template": "{\"a\": {{ value.a }}"}"#, "is no JSON"),
            (r#"{"url": "https://h/", "body": "record", "body-template": "{{ value }}", "include": "record"}"#, "config.include"),
            (r#"{"url": "https://h/", "body": "record", "tombstones": "delete"}"#, "config.tombstones"),
            (r#"{"url": "https://h/{{ topic }}", "body": "record", "tombstones": "delete"}"#, "the record's key in `config.url`"),
            (r#"{"url": "https://h/{{ value.id }}", "body": "record", "tombstones": "delete"}"#, "the record's key"),
            (
                r#"{"url": "https://h/{{ key }}/{{ value.id }}", "body": "record", "tombstones": "delete"}"#,
                "`config.url` names the value",
            ),
            (
                r#"{"url": "https://h/{{ key }}", "headers": {"X-Id": "{{ value }}"}, "body": "record", "tombstones": "delete"}"#,
                "`config.headers.X-Id` names the value",
            ),
            (r#"{"url": "https://h/", "headers": {"Content-Type": "{{ topic }}"}}"#, "content type"),
            (r#"{"url": "https://h/", "failures": "$.errors"}"#, "config.failure-index"),
            (r#"{"url": "https://h/", "failures": "$.errors", "failure-id": "id"}"#, "config.id-field"),
            (r#"{"url": "https://h/", "failure-id": "id"}"#, "config.failures"),
            (r#"{"url": "https://h/", "on-fail": "reject"}"#, "config.on-fail"),
        ] {
            let error = Config::check(&mut config(json)).unwrap_err();
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
