//! The `config` table of a webhook source. Owns its keys and what must not be combined; knows nothing of requests.

use serde::Deserialize;
use wharf_sdk::{Context, Error, Result};

/// The table as the operator wrote it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Raw {
    key: Vec<String>,
    key_header: Option<String>,
    headers: Vec<String>,
    event_time: Option<String>,
}

/// What the source works by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub key: Key,
    /// Lower case, as the host hands names over.
    pub headers: Vec<String>,
    pub event_time: Option<String>,
}

/// Where a record's key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    None,
    /// Fields of the object, in order.
    Fields(Vec<String>),
    /// A header of the request, in lower case.
    Header(String),
}

impl Config {
    /// # Errors
    /// [`Error::Fatal`], naming the key at fault.
    pub fn read(context: &Context) -> Result<Self> {
        let Raw { key, key_header, headers, event_time } = context.config()?;
        let key = match (key, key_header) {
            (fields, None) if fields.is_empty() => Key::None,
            (fields, None) => Key::Fields(fields),
            (fields, Some(name)) if fields.is_empty() => Key::Header(name.to_ascii_lowercase()),
            (_, Some(_)) => {
                return Err(Error::fatal(format!(
                    "`config` of `{}`: `key` and `key-header` exclude each other; leave one out",
                    context.name
                )));
            }
        };
        let headers = headers.iter().map(|name| name.to_ascii_lowercase()).collect();
        Ok(Self { key, headers, event_time })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: &str) -> Result<Config> {
        Config::read(&Context::new("shop", config))
    }

    #[test]
    fn nothing_needs_to_be_configured() {
        assert_eq!(read("{}").unwrap(), Config { key: Key::None, headers: Vec::new(), event_time: None });
    }

    #[test]
    fn header_names_are_compared_in_lower_case() {
        let config = read(r#"{"key-header":"X-Shopify-Webhook-Id","headers":["X-Shopify-Topic"]}"#).unwrap();
        assert_eq!(config.key, Key::Header("x-shopify-webhook-id".to_owned()));
        assert_eq!(config.headers, ["x-shopify-topic"]);
    }

    #[test]
    fn two_sources_of_a_key_and_unknown_keys_are_errors() {
        let error = read(r#"{"key":["id"],"key-header":"x-id"}"#).unwrap_err();
        assert!(matches!(&error, Error::Fatal(m) if m.contains("`key` and `key-header`")), "{error}");
        let error = read(r#"{"keys":["id"]}"#).unwrap_err();
        assert!(matches!(&error, Error::Fatal(m) if m.contains("unknown field `keys`")), "{error}");
    }
}
