//! The `config` table: what an operator writes, checked. Knows nothing of the service's `$metadata`.

use std::time::Duration;

use serde::Deserialize;
use wharf_sdk::duration;

pub use wharf_shared_odata::Version;

use crate::address::{Address, BadAddress, is_set_name};

/// Keys of `config`, described in `connector.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Root URL of the service.
    pub service: String,
    /// Name of the entity set.
    pub entity: String,
    pub version: Option<Version>,
    #[serde(default)]
    pub key: Vec<String>,
    pub cursor: Option<String>,
    #[serde(default = "minute", deserialize_with = "duration::deserialize")]
    pub overlap: Duration,
    #[serde(default)]
    pub select: Vec<String>,
    #[serde(default)]
    pub expand: Vec<String>,
    pub filter: Option<String>,
    #[serde(default = "thousand")]
    pub page_size: u32,
    pub paging: Option<Paging>,
    #[serde(default = "half_minute", deserialize_with = "duration::deserialize")]
    pub interval: Duration,
    #[serde(default)]
    pub delta: Delta,
    #[serde(default = "half_minute", deserialize_with = "duration::deserialize")]
    pub timeout: Duration,
}

/// Who cuts a result into pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Paging {
    /// The service, asked by `Prefer: odata.maxpagesize` (OData 4.01 Part 1, 8.2.8.5).
    Server,
    /// This connector, by `$top` and a filter on what comes after the last entry.
    Client,
}

/// Whether delta links are used where there is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delta {
    #[default]
    Auto,
    Never,
}

/// A value that cannot work, found without asking the service.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadConfig {
    #[error("`config.service`: {0}")]
    Service(#[from] BadAddress),
    #[error("`config.entity` is `{0}`: give the name of an entity set, without path and query")]
    Entity(String),
    #[error("`config.page-size` is 0: give at least 1")]
    PageSize,
}

impl Config {
    /// The service's root, once the values are checked.
    ///
    /// # Errors
    /// [`BadConfig`], naming the key at fault.
    pub fn check(&self) -> Result<Address, BadConfig> {
        let service = Address::service(&self.service)?;
        if !is_set_name(&self.entity) {
            return Err(BadConfig::Entity(self.entity.clone()));
        }
        if self.page_size == 0 {
            return Err(BadConfig::PageSize);
        }
        Ok(service)
    }
}

const fn minute() -> Duration {
    Duration::from_secs(60)
}

const fn half_minute() -> Duration {
    Duration::from_secs(30)
}

const fn thousand() -> u32 {
    1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Result<Config, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn defaults_are_those_of_the_manifest() {
        let manifest: serde_json::Value = manifest();
        let config = config(r#"{"service": "https://erp.example.com/odata/v4/sales", "entity": "Orders"}"#).unwrap();
        let default = |key: &str| manifest["config"]["properties"][key]["default"].clone();
        assert_eq!(default("overlap"), "60s");
        assert_eq!(config.overlap, Duration::from_secs(60));
        assert_eq!(default("interval"), "30s");
        assert_eq!(config.interval, Duration::from_secs(30));
        assert_eq!(default("timeout"), "30s");
        assert_eq!(config.timeout, Duration::from_secs(30));
        assert_eq!(default("page-size"), 1000);
        assert_eq!(config.page_size, 1000);
        assert_eq!(default("delta"), "auto");
        assert_eq!(config.delta, Delta::Auto);
    }

    /// Every key that the manifest names is a key here, and the other way round.
    #[test]
    fn manifest_names_the_keys_of_the_configuration() {
        let properties = manifest()["config"]["properties"].as_object().unwrap().clone();
        let error = config(r#"{"service": "", "entity": "", "no-such-key": 1}"#).unwrap_err().to_string();
        let mut named: Vec<_> = properties.keys().map(String::as_str).collect();
        let mut known: Vec<_> = error.split('`').skip(3).step_by(2).collect();
        named.sort_unstable();
        known.sort_unstable();
        assert_eq!(named, known);
    }

    #[test]
    fn values_that_cannot_work_are_refused_by_the_name_of_their_key() {
        for (json, expected) in [
            (r#"{"service": "ftp://erp", "entity": "Orders"}"#, "config.service"),
            (r#"{"service": "https://erp", "entity": "Orders('1')/Items"}"#, "config.entity"),
            (r#"{"service": "https://erp", "entity": "Orders", "page-size": 0}"#, "config.page-size"),
        ] {
            let error = config(json).unwrap().check().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(config(r#"{"service": "https://erp", "entity": "O", "overlap": "1 year"}"#).is_err());
    }

    fn manifest() -> serde_json::Value {
        let description =
            wharf_sdk::__private::describe(include_str!("../connector.toml"), "0.0.0", wharf_sdk::__private::Kind::Source);
        serde_json::from_str(&description.unwrap().manifest).unwrap()
    }
}
