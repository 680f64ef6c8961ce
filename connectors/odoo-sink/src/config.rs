//! The `config` table: what an operator writes, checked. Knows nothing of the model's fields.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};
use wharf_odoo_api::{BadServer, Protocol, Server};
use wharf_sdk::duration;

/// The most that `config.timeout` may be.
const LONGEST: Duration = Duration::from_secs(90);
/// A call that takes longer is at risk: 120 s is the default of the host's `limits.call-deadline`.
const CALL: Duration = Duration::from_secs(110);
/// After so much of a call no request begins.
const BUDGET: Duration = Duration::from_secs(50);

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
    #[serde(default = "wharf")]
    pub module: String,
    pub prefix: Option<String>,
    #[serde(default)]
    pub fields: Vec<String>,
    #[serde(default)]
    pub relations: BTreeMap<String, String>,
    #[serde(default)]
    pub tombstones: Tombstones,
    #[serde(default)]
    pub context: Map<String, Value>,
    #[serde(default = "two_hundred")]
    pub max_batch: usize,
    #[serde(default = "three_quarters", deserialize_with = "duration::above_zero")]
    pub timeout: Duration,
}

/// What becomes of a null value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tombstones {
    #[default]
    Reject,
    Archive,
    Delete,
    Skip,
}

/// A value that cannot work, found without asking the server.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadConfig {
    #[error(transparent)]
    Server(#[from] BadServer),
    #[error("`config.model` is `{0}`: give the technical name of a model, as res.partner")]
    Model(String),
    #[error("`config.{0}` is `{1}`: use letters, digits and `_`, as an external id has them")]
    Name(&'static str, String),
    #[error("`config.{0}` names `id`: Odoo gives it, and the external id stands in its column. Leave it out")]
    Id(&'static str),
    #[error("`config.max-batch` is 0: give at least 1")]
    MaxBatch,
    #[error(
        "`config.timeout` is {0:?}: give at most 90s, as a call that has no answer after 120s is ended from outside and made again as a whole"
    )]
    Timeout(Duration),
}

impl Config {
    /// The server, once the values are checked.
    ///
    /// # Errors
    /// [`BadConfig`], naming the key at fault.
    pub fn check(&self) -> Result<Server, BadConfig> {
        let server = Server::new(&self.url, self.database.clone(), self.timeout)?.by(self.protocol, self.user.clone())?;
        let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !self.model.split('.').all(plain) {
            return Err(BadConfig::Model(self.model.clone()));
        }
        let prefixes =
            self.prefix.iter().map(|prefix| ("prefix", prefix)).chain(self.relations.values().map(|of| ("relations", of)));
        for (key, name) in prefixes.chain([("module", &self.module)]) {
            if !plain(name) {
                return Err(BadConfig::Name(key, name.clone()));
            }
        }
        let is_id = |field: &String| field == "id" || field == ".id";
        for (key, named) in [("fields", self.fields.iter().any(is_id)), ("relations", self.relations.keys().any(is_id))] {
            if named {
                return Err(BadConfig::Id(key));
            }
        }
        if self.max_batch == 0 {
            return Err(BadConfig::MaxBatch);
        }
        if self.timeout > LONGEST {
            return Err(BadConfig::Timeout(self.timeout));
        }
        Ok(server)
    }

    /// How long requests may begin within a call, so that the last one has its timeout before the call is ended.
    #[must_use]
    pub fn budget(&self) -> Duration {
        CALL.saturating_sub(self.timeout).min(BUDGET)
    }

    /// What the account must be allowed to do on the model.
    #[must_use]
    pub const fn operations(&self) -> &'static [&'static str] {
        match self.tombstones {
            Tombstones::Delete => &["create", "write", "unlink"],
            Tombstones::Reject | Tombstones::Archive | Tombstones::Skip => &["create", "write"],
        }
    }

    /// Second part of the external ids.
    #[must_use]
    pub fn prefix(&self) -> String {
        self.prefix.clone().unwrap_or_else(|| self.model.replace('.', "_"))
    }
}

fn wharf() -> String {
    "wharf".to_owned()
}

const fn three_quarters() -> Duration {
    Duration::from_secs(45)
}

const fn two_hundred() -> usize {
    200
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
        assert_eq!(config(LEAST).unwrap().prefix(), "res_partner");
    }

    #[test]
    fn values_that_cannot_work_are_refused_by_the_name_of_their_key() {
        for (change, expected) in [
            (r#""url": "erp.example.com""#, "config.url"),
            (r#""user": "wharf""#, "config.user"),
            (r#""protocol": "json-rpc", "database": "erp""#, "`config.user` is missing"),
            (r#""protocol": "json-rpc", "user": "wharf""#, "`config.database` is missing"),
            (r#""model": "res partner""#, "config.model"),
            (r#""module": "my.module""#, "config.module"),
            (r#""prefix": """#, "config.prefix"),
            (r#""relations": {"a": "x-y"}"#, "config.relations"),
            (r#""fields": ["name", "id"]"#, "`config.fields` names `id`"),
            (r#""relations": {"id": "customer"}"#, "`config.relations` names `id`"),
            (r#""max-batch": 0"#, "config.max-batch"),
            (r#""timeout": "91s""#, "config.timeout"),
        ] {
            let mut json: Map<String, Value> = serde_json::from_str(LEAST).unwrap();
            json.extend(serde_json::from_str::<Map<String, Value>>(&format!("{{{change}}}")).unwrap());
            let error = serde_json::from_value::<Config>(json.into()).unwrap().check().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_last_request_of_a_call_has_its_timeout_before_the_call_is_ended() {
        for (timeout, budget) in [(1, 50), (45, 50), (60, 50), (70, 40), (90, 20)] {
            let config = config(&format!(r#"{{"url": "https://erp", "model": "m", "timeout": "{timeout}s"}}"#)).unwrap();
            assert!(config.check().is_ok());
            assert_eq!(config.budget(), Duration::from_secs(budget), "{timeout}");
        }
    }
}
