//! The `config` table: what an operator writes, checked. Knows nothing of the service's `$metadata`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use wharf_sdk::duration;
use wharf_shared_odata::Version;
use wharf_shared_odata::address::{Address, BadAddress, is_set_name};

/// More requests than this in one `$batch` are refused by many services.
const MOST: usize = 1000;

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
    pub write: Write,
    #[serde(default)]
    pub tombstones: Tombstones,
    /// Property to the record's field.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    #[serde(default)]
    pub etag: Etag,
    #[serde(default = "odata_etag")]
    pub etag_field: String,
    #[serde(default = "hundred")]
    pub batch: usize,
    #[serde(default)]
    pub batch_format: Format,
    #[serde(default = "half_minute", deserialize_with = "duration::above_zero")]
    pub timeout: Duration,
}

/// What a record with a value does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Write {
    #[default]
    Upsert,
    Insert,
    Update,
}

/// What a null value does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tombstones {
    #[default]
    Delete,
    Reject,
    /// Counts as delivered, because the operator said so.
    Skip,
}

/// What an entity must be before it is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Etag {
    /// Anything that is there.
    #[default]
    Any,
    /// As the record knew it.
    Match,
    /// Not asked: no `If-Match` is sent.
    None,
}

/// How a `$batch` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    #[default]
    Multipart,
    Json,
}

/// A value that cannot work, found without asking the service.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadConfig {
    #[error("`config.service`: {0}")]
    Service(#[from] BadAddress),
    #[error("`config.entity` is `{0}`: give the name of an entity set, without path and query")]
    Entity(String),
    #[error("`config.batch` is {0}: give 1 to {MOST}")]
    Batch(usize),
    #[error("`config.batch-format` is `json`, which V2 does not have: leave it out")]
    Format,
    #[error("`config.etag-field` is empty: name the field of the record that carries the ETag")]
    EtagField,
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
        if !(1..=MOST).contains(&self.batch) {
            return Err(BadConfig::Batch(self.batch));
        }
        if self.version == Some(Version::V2) && self.batch_format == Format::Json {
            return Err(BadConfig::Format);
        }
        if self.etag_field.is_empty() {
            return Err(BadConfig::EtagField);
        }
        Ok(service)
    }
}

fn odata_etag() -> String {
    "@odata.etag".to_owned()
}

const fn hundred() -> usize {
    100
}

const fn half_minute() -> Duration {
    Duration::from_secs(30)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Result<Config, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn manifest_names_the_keys_and_defaults_of_the_configuration() {
        let held = wharf_sdk::testing::configuration::<Config>(
            include_str!("../connector.toml"),
            r#"{"service": "https://h", "entity": "O"}"#,
        );
        assert_eq!(held, Ok(()));
    }

    #[test]
    fn values_that_cannot_work_are_refused_by_the_name_of_their_key() {
        for (more, expected) in [
            (r#""service": "ftp://erp""#, "config.service"),
            (r#""service": "https://me:pw@erp""#, "[sink.auth]"),
            (r#""entity": "Orders('1')/Items""#, "config.entity"),
            (r#""batch": 0"#, "config.batch"),
            (r#""batch": 1001"#, "config.batch"),
            (r#""version": "v2", "batch-format": "json""#, "config.batch-format"),
            (r#""etag-field": """#, "config.etag-field"),
        ] {
            let mut json: serde_json::Value = serde_json::json!({"service": "https://erp", "entity": "Orders"});
            let more: serde_json::Value = serde_json::from_str(&format!("{{{more}}}")).unwrap();
            json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let error = config(&json.to_string()).unwrap().check().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(config(r#"{"service": "https://h", "entity": "O", "timeout": "0s"}"#).is_err());
    }
}
