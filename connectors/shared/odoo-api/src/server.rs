//! One Odoo server and database: the request and its headers. The credentials are the host's.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use wharf_sdk::http::Request;
use wharf_sdk::{Error, Result};

use crate::refusal::{Refusal, host_of};
use crate::time;

/// The longest answer that is read.
const LONGEST: usize = 64 << 20;

/// Where to call.
#[derive(Debug, Clone)]
pub struct Server {
    root: String,
    database: Option<String>,
    timeout: Duration,
}

/// What a method gave back.
#[derive(Debug)]
pub struct Answer {
    /// JSON.
    pub body: Vec<u8>,
    /// Seconds since 1970 when the request was sent, by the slower of two clocks: the server's `Date` and this machine's.
    pub asked: i64,
}

/// A root URL that cannot work.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadUrl {
    #[error("`config.url` is `{0}`: expected the root of an Odoo server without a query, as https://erp.example.com")]
    Form(String),
    #[error("`config.url` holds a user name: the API key goes into the connector's `auth` section")]
    User,
}

impl Server {
    /// # Errors
    /// [`BadUrl`].
    pub fn new(url: &str, database: Option<String>, timeout: Duration) -> Result<Self, BadUrl> {
        let root = url.trim_end_matches('/');
        let rest = root.strip_prefix("https://").or_else(|| root.strip_prefix("http://"));
        match rest.and_then(|rest| rest.split('/').next()) {
            Some(authority) if authority.contains('@') => return Err(BadUrl::User),
            // Without a scheme, too: what is before the `@` must not be shown.
            None if root.contains('@') => return Err(BadUrl::User),
            Some(authority) if !authority.is_empty() && !root.contains(['?', '#', ' ']) => {}
            _ => return Err(BadUrl::Form(without_query(url).to_owned())),
        }
        Ok(Self { root: root.to_owned(), database, timeout })
    }

    /// For messages.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Host and port, as the `auth` section names them.
    #[must_use]
    pub fn host(&self) -> &str {
        host_of(&self.root)
    }

    /// Calls a method. The inner error is an answer that says no.
    ///
    /// # Errors
    /// `retry` where no whole answer came, `fatal` where the host is not allowed or the answer is too long.
    pub fn call(&self, model: &str, method: &str, arguments: &impl Serialize) -> Result<Result<Answer, Refusal>> {
        let mut request = Request::post(format!("{}/json/2/{model}/{method}", self.root)).json(arguments)?.timeout(self.timeout);
        if let Some(database) = &self.database {
            request = request.header("x-odoo-database", database);
        }
        let started = Instant::now();
        let response = request.send()?;
        let took = i64::try_from(started.elapsed().as_secs()).unwrap_or(i64::MAX).saturating_add(1);
        let date = response.header("date").and_then(time::of_header);
        let asked = date.map_or_else(here, |date| date.min(here())).saturating_sub(took);
        if !(200..300).contains(&response.status) {
            return Ok(Err(Refusal::read(response)));
        }
        match response.bytes_up_to(LONGEST) {
            Ok(body) => Ok(Ok(Answer { body, asked })),
            Err(Error::Fatal(_)) => Err(Error::fatal(format!(
                "{} answers `{model}` with more than {} MiB: lower `config.page-size`, or name fewer `config.fields`",
                self.root,
                LONGEST >> 20
            ))),
            Err(other) => Err(other),
        }
    }
}

/// A URL as it may be shown: a query may hold a secret.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// This machine's clock.
fn here() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
