//! The `config` table: what an operator writes, checked. Knows nothing of the model's fields.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use wharf_odoo_api::{BadServer, Protocol, Server};
use wharf_sdk::duration;

/// Models of Odoo 19 whose `_search` takes the limit first and leaves out afterwards what the user may not see, so that a page that
/// is not full need not be the last.
const CUT_PAGES: [&str; 3] = ["mail.message", "mail.activity", "mail.scheduled.message"];

/// Keys of `config`, described in `connector.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    pub url: String,
    #[serde(default)]
    pub protocol: Protocol,
    pub database: Option<String>,
    /// Login of JSON-RPC.
    pub user: Option<String>,
    pub model: String,
    #[serde(default)]
    pub fields: Vec<String>,
    #[serde(default)]
    pub domain: Vec<Value>,
    #[serde(default)]
    pub archived: bool,
    #[serde(default)]
    pub many2one: Many2one,
    #[serde(default = "half_minute", deserialize_with = "duration::deserialize")]
    pub interval: Duration,
    #[serde(default = "ten_minutes", deserialize_with = "duration::deserialize")]
    pub overlap: Duration,
    #[serde(default)]
    pub deletions: Deletions,
    #[serde(default = "hour", deserialize_with = "duration::above_zero")]
    pub sweep_interval: Duration,
    #[serde(default = "thousand")]
    pub page_size: usize,
    #[serde(default = "minute", deserialize_with = "duration::above_zero")]
    pub timeout: Duration,
}

/// What a field that names another record becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Many2one {
    #[default]
    Id,
    Object,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deletions {
    #[default]
    Ignore,
    Sweep,
}

/// A value that cannot work, found without asking the server.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadConfig {
    #[error(transparent)]
    Server(#[from] BadServer),
    #[error("`config.model` is `{0}`: give the technical name of a model, as res.partner")]
    Model(String),
    #[error(
        "`config.model` is `{0}`, which Odoo filters by the user's rights after it has cut the page: what is left out of a page cannot be told from what is gone. Read the model that its records belong to"
    )]
    CutPages(String),
    #[error("`config.page-size` is 0: give at least 1")]
    PageSize,
    #[error("`config.domain` has {0}: each element is a condition [field, operator, value], or one of \"&\", \"|\", \"!\"")]
    Domain(String),
}

impl Config {
    /// The server, once the values are checked.
    ///
    /// # Errors
    /// [`BadConfig`], naming the key at fault.
    pub fn check(&self) -> Result<Server, BadConfig> {
        let server = Server::new(&self.url, self.database.clone(), self.timeout)?.by(self.protocol, self.user.clone())?;
        if self.model.is_empty() || !self.model.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.') {
            return Err(BadConfig::Model(self.model.clone()));
        }
        if CUT_PAGES.contains(&self.model.as_str()) {
            return Err(BadConfig::CutPages(self.model.clone()));
        }
        if self.page_size == 0 {
            return Err(BadConfig::PageSize);
        }
        let condition = |value: &Value| match value {
            Value::Array(parts) => parts.len() == 3,
            Value::String(operator) => ["&", "|", "!"].contains(&operator.as_str()),
            _ => false,
        };
        match self.domain.iter().find(|value| !condition(value)) {
            Some(other) => Err(BadConfig::Domain(other.to_string())),
            None => Ok(server),
        }
    }

    /// Seconds.
    #[must_use]
    pub fn overlap(&self) -> i64 {
        i64::try_from(self.overlap.as_millis().div_ceil(1000)).unwrap_or(i64::MAX)
    }
}

const fn hour() -> Duration {
    Duration::from_secs(3600)
}

const fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

const fn minute() -> Duration {
    Duration::from_secs(60)
}

const fn half_minute() -> Duration {
    Duration::from_secs(30)
}

const fn thousand() -> usize {
    1000
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"{"url": "https://erp", "model": "res.partner"}"#;

    fn config(json: &str) -> Result<Config, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn manifest_names_the_keys_and_defaults_of_the_configuration() {
        let held = wharf_sdk::testing::configuration::<Config>(include_str!("../connector.toml"), LEAST);
        assert_eq!(held, Ok(()));
    }

    #[test]
    fn values_that_cannot_work_are_refused_by_the_name_of_their_key() {
        for (change, expected) in [
            (r#""url": "erp.example.com""#, "config.url"),
            (r#""user": "wharf""#, "config.user"),
            (r#""protocol": "json-rpc", "database": "erp""#, "`config.user` is missing"),
            (r#""protocol": "json-rpc", "user": "wharf""#, "`config.database` is missing"),
            (r#""model": "res.partner/search""#, "config.model"),
            (r#""model": "mail.message""#, "`mail.message`, which Odoo filters"),
            (r#""model": "mail.activity""#, "`mail.activity`, which Odoo filters"),
            (r#""model": "mail.scheduled.message""#, "`mail.scheduled.message`, which Odoo filters"),
            (r#""page-size": 0"#, "config.page-size"),
            (r#""domain": [["name", "="]]"#, "config.domain"),
            (r#""domain": ["and", ["name", "=", "x"]]"#, "config.domain"),
        ] {
            let mut json: serde_json::Map<String, Value> = serde_json::from_str(LEAST).unwrap();
            json.extend(serde_json::from_str::<serde_json::Map<String, Value>>(&format!("{{{change}}}")).unwrap());
            let error = serde_json::from_value::<Config>(json.into()).unwrap().check().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let domain =
            r#"{"url": "https://erp", "model": "m", "domain": ["|", ["a", "=", 1], ["b", "in", [1, 2]], ["c", "!=", false]]}"#;
        assert!(config(domain).unwrap().check().is_ok());
    }
}
