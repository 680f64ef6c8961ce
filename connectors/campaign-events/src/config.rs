//! The `config` table: what an operator writes, checked. Sends nothing.

use std::time::Duration;

use serde::Deserialize;
use wharf_odoo_api::{Protocol, Server};
use wharf_sdk::duration;
use wharf_sdk::http::check_root;

use crate::event::Action;

/// The most rows that Mailchimp gives in a page.
const LARGEST_PAGE: u32 = 1000;
/// Pages overlap by a row, so that rows which moved are noticed.
const SMALLEST_PAGE: u32 = 2;

/// The services' clocks tell whole seconds, and a row is not seen as soon as it is written.
const SHORTEST_OVERLAP: Duration = Duration::from_secs(10);

/// The longest timeout: an answer is waited for twice, for its head and within its body, and one call of a connector has two minutes
/// unless an operator says otherwise.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(45);

/// Keys of `config`, described in `connector.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    pub service: Named,
    /// Root URL of the API.
    pub url: String,
    /// Odoo's database.
    pub database: Option<String>,
    /// How Odoo is called.
    #[serde(default)]
    pub protocol: Protocol,
    /// Odoo's login, for JSON-RPC.
    pub user: Option<String>,
    #[serde(default = "all")]
    pub events: Vec<Action>,
    pub list: Option<String>,
    #[serde(default)]
    pub addresses: bool,
    #[serde(default = "month", deserialize_with = "duration::above_zero")]
    pub follow: Duration,
    #[serde(default = "quarter_hour", deserialize_with = "duration::deserialize")]
    pub overlap: Duration,
    #[serde(default = "five_hundred")]
    pub page_size: u32,
    #[serde(default = "minute", deserialize_with = "duration::above_zero")]
    pub interval: Duration,
    #[serde(default = "half_minute", deserialize_with = "duration::above_zero")]
    pub timeout: Duration,
}

/// The services that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Named {
    Mailchimp,
    Odoo,
}

impl Config {
    /// The URL without a slash at its end.
    #[must_use]
    pub fn root(&self) -> &str {
        self.url.trim_end_matches('/')
    }

    #[must_use]
    pub fn wants(&self, action: Action) -> bool {
        self.events.contains(&action)
    }

    /// Odoo's server.
    ///
    /// # Errors
    /// As [`Config::check`].
    pub fn server(&self) -> Result<Server, String> {
        let server = Server::new(&self.url, self.database.clone(), self.timeout);
        server.and_then(|server| server.by(self.protocol, self.user.clone())).map_err(|bad| bad.to_string())
    }

    /// # Errors
    /// One sentence that names the key at fault.
    pub fn check(&self) -> Result<(), String> {
        check_root(&self.url, "[source.auth]")?;
        if !(SMALLEST_PAGE..=LARGEST_PAGE).contains(&self.page_size) {
            return Err(format!("`config.page-size` is {}: give {SMALLEST_PAGE} to {LARGEST_PAGE}", self.page_size));
        }
        if self.timeout > LONGEST_TIMEOUT {
            return Err(format!("`config.timeout` is {:?}: give at most {LONGEST_TIMEOUT:?}", self.timeout));
        }
        if self.overlap < SHORTEST_OVERLAP {
            return Err(format!("`config.overlap` is {:?}: give at least {SHORTEST_OVERLAP:?}", self.overlap));
        }
        if self.events.is_empty() {
            return Err("`config.events` is empty: name at least one event, or leave it out for all".to_owned());
        }
        match (self.service, &self.database) {
            (Named::Odoo, None) => return Err("`config.database` is missing: give the name of Odoo's database".to_owned()),
            (Named::Mailchimp, Some(_)) => return Err("`config.database` is a key for `service = \"odoo\"`".to_owned()),
            (Named::Mailchimp, None) if self.user.is_some() || self.protocol != Protocol::default() => {
                return Err("`config.protocol` and `config.user` are keys for `service = \"odoo\"`".to_owned());
            }
            (Named::Mailchimp, None) => {}
            (Named::Odoo, Some(_)) => self.server().map(drop)?,
        }
        if self.service == Named::Odoo && self.list.as_ref().is_some_and(|list| list.parse::<i64>().is_err()) {
            return Err("`config.list`: Odoo's lists have numbers; give one as text, such as \"7\"".to_owned());
        }
        if self.service == Named::Mailchimp && self.events == [Action::Sent] {
            return Err("`config.events`: Mailchimp tells no `sent` of a single recipient".to_owned());
        }
        Ok(())
    }
}

/// A duration in microseconds.
#[must_use]
pub fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn all() -> Vec<Action> {
    vec![Action::Sent, Action::Open, Action::Click, Action::Bounce, Action::Unsubscribe]
}

const fn month() -> Duration {
    Duration::from_secs(30 * 86_400)
}

const fn quarter_hour() -> Duration {
    Duration::from_secs(900)
}

const fn five_hundred() -> u32 {
    500
}

const fn minute() -> Duration {
    Duration::from_secs(60)
}

const fn half_minute() -> Duration {
    Duration::from_secs(30)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Config {
        serde_json::from_str(json).unwrap()
    }

    const LEAST: &str = r#"{"service": "mailchimp", "url": "https://us6.api.mailchimp.com/3.0"}"#;

    #[test]
    fn manifest_names_the_keys_and_defaults_of_the_configuration() {
        let held = wharf_sdk::testing::configuration::<Config>(include_str!("../connector.toml"), LEAST);
        assert_eq!(held, Ok(()));
    }

    #[test]
    fn values_that_cannot_work_are_refused_by_the_name_of_their_key() {
        for (more, expected) in [
            (r#""url": "us6.api.mailchimp.com""#, "config.url"),
            (r#""url": "https://me:key@us6.api.mailchimp.com""#, "[source.auth]"),
            (r#""url": "https://us6.api.mailchimp.com/3.0?a=1""#, "config.url"),
            (r#""page-size": 1"#, "config.page-size"),
            (r#""page-size": 1001"#, "config.page-size"),
            (r#""timeout": "46s""#, "config.timeout"),
            (r#""overlap": "9s""#, "config.overlap"),
            (r#""events": []"#, "config.events"),
            (r#""events": ["sent"]"#, "config.events"),
            (r#""database": "erp""#, "config.database"),
            (r#""service": "odoo""#, "config.database"),
            (r#""service": "odoo", "database": "erp", "list": "news""#, "config.list"),
            (r#""service": "odoo", "database": "erp", "user": "me""#, "config.user"),
            (r#""service": "odoo", "database": "erp", "protocol": "json-rpc""#, "`config.user` is missing"),
            (r#""protocol": "json-rpc""#, "config.protocol"),
        ] {
            let mut json: serde_json::Map<String, serde_json::Value> = serde_json::from_str(LEAST).unwrap();
            json.extend(serde_json::from_str::<serde_json::Map<_, _>>(&format!("{{{more}}}")).unwrap());
            let config: Config = serde_json::from_value(json.into()).unwrap();
            let error = config.check().unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        config(LEAST).check().unwrap();
        assert!(serde_json::from_str::<Config>(&LEAST.replace('}', r#", "follow": "0s"}"#)).is_err());
    }
}
