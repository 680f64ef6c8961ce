//! The `config` table: what an operator writes, checked. Sends nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use wharf_odoo_api::{Protocol, Server};
use wharf_sdk::duration;
use wharf_sdk::http::{authority, check_root};

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
    /// Id of the list that members are put into.
    pub list: String,
    /// Name of the connection that keeps what is known of each member's consent.
    pub connection: String,
    #[serde(default = "table")]
    pub table: String,
    /// Odoo's database.
    pub database: Option<String>,
    /// How Odoo is called.
    #[serde(default)]
    pub protocol: Protocol,
    /// Odoo's login, for JSON-RPC.
    pub user: Option<String>,
    #[serde(default = "email")]
    pub email: String,
    pub consent: Consent,
    /// Field of the event's time; without it the record's own time.
    pub time: Option<String>,
    /// The service's name of a field, and the record's.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    #[serde(default)]
    pub tombstones: Tombstones,
    #[serde(default = "half_minute", deserialize_with = "duration::above_zero")]
    pub timeout: Duration,
}

/// The services that can be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Named {
    Mailchimp,
    Odoo,
}

/// How a record says whether its member wants to be on the list.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Consent {
    pub field: String,
    pub subscribe: Vec<String>,
    pub withdraw: Vec<String>,
}

/// What a null value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tombstones {
    #[default]
    Reject,
    /// The member is taken from the list; the service keeps its history.
    Archive,
    /// The service is told to forget the member.
    Erase,
}

impl Config {
    /// The URL without a slash at its end.
    #[must_use]
    pub fn root(&self) -> &str {
        self.url.trim_end_matches('/')
    }

    /// Host and port, for messages.
    #[must_use]
    pub fn host(&self) -> &str {
        authority(&self.url)
    }

    /// What this list is called where consent is kept: lists of several services may share a table. Mailchimp's ids are its own; Odoo's
    /// are numbers of one database, and a database's name is of one host.
    #[must_use]
    pub fn audience(&self) -> String {
        match self.service {
            Named::Mailchimp => format!("mailchimp/{}", self.list),
            Named::Odoo => {
                let port = if self.url.starts_with("https:") { ":443" } else { ":80" };
                let host = self.host().to_ascii_lowercase();
                let host = host.strip_suffix(port).unwrap_or(&host);
                let list = self.list.parse::<i64>().map_or_else(|_| self.list.clone(), |list| list.to_string());
                format!("odoo/{host}/{}/{list}", self.database.as_deref().unwrap_or_default())
            }
        }
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
        check_root(&self.url, "[sink.auth]")?;
        if self.timeout > LONGEST_TIMEOUT {
            return Err(format!("`config.timeout` is {:?}: give at most {LONGEST_TIMEOUT:?}", self.timeout));
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if self.list.is_empty() || !self.list.chars().all(is_name) {
            return Err(format!("`config.list` is `{}`: give the id of a list", self.list));
        }
        let parts: Vec<_> = self.table.split('.').collect();
        let is_part = |part: &&str| {
            part.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
                && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        if parts.len() > 2 || !parts.iter().all(is_part) {
            return Err(format!("`config.table` is `{}`: give table or schema.table, in lower case", self.table));
        }
        let Consent { subscribe, withdraw, .. } = &self.consent;
        if subscribe.is_empty() || withdraw.is_empty() {
            return Err("`config.consent` needs at least one value in each of `subscribe` and `withdraw`".to_owned());
        }
        if let Some(both) = subscribe.iter().find(|value| withdraw.contains(value)) {
            return Err(format!("`config.consent` has `{both}` in both `subscribe` and `withdraw`"));
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
        if self.service == Named::Odoo && self.list.parse::<i64>().is_err() {
            return Err("`config.list`: Odoo's lists have numbers; give one as text, such as \"7\"".to_owned());
        }
        // They say who is on which list: that is the sink's.
        const OWN: [&str; 6] = ["email", "email_normalized", "list_ids", "subscription_ids", "opt_out", "is_blacklisted"];
        let own = self.fields.keys().find(|name| OWN.contains(&name.as_str()));
        match own.filter(|_| self.service == Named::Odoo) {
            Some(name) => Err(format!("`config.fields` names `{name}`, which the sink itself writes: leave it out")),
            None => Ok(()),
        }
    }
}

fn table() -> String {
    "audience_consent".to_owned()
}

fn email() -> String {
    "email".to_owned()
}

const fn half_minute() -> Duration {
    Duration::from_secs(30)
}
