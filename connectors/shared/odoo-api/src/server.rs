//! One Odoo server and database, by either protocol: requests and what came of them. The credentials are the host's.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use wharf_sdk::http::{Request, Response, authority};
use wharf_sdk::{Error, Result};

use crate::refusal::Refusal;
use crate::rpc::Login;
use crate::time;

/// The longest answer that is read.
const LONGEST: usize = 64 << 20;

/// Where to call.
#[derive(Debug, Clone)]
pub struct Server {
    root: String,
    database: Option<String>,
    /// Whom JSON-RPC calls for; `None`: JSON-2, where the key says it.
    login: Option<Login>,
    timeout: Duration,
}

/// How a server is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Protocol {
    /// Odoo 19 and later.
    #[default]
    #[serde(rename = "json-2")]
    Json2,
    /// Odoo before 19, which has nothing else; 19 has it still.
    #[serde(rename = "json-rpc")]
    JsonRpc,
}

/// What a method gave back.
#[derive(Debug)]
pub struct Answer {
    /// JSON.
    pub body: Vec<u8>,
    /// Seconds since 1970 when the request was sent, by the slower of two clocks: the server's `Date` and this machine's.
    pub asked: i64,
}

/// A server that cannot be called as it is configured.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadServer {
    #[error("`config.url` is `{0}`: expected the root of an Odoo server without a query, as https://erp.example.com")]
    Form(String),
    #[error("`config.url` holds a user name: the API key goes into the connector's `auth` section")]
    UserInUrl,
    #[error("`config.{0}` is missing: `protocol = \"json-rpc\"` calls with the names of the database and of the user")]
    Missing(&'static str),
    #[error("`config.user` is for `protocol = \"json-rpc\"`: by JSON-2 the API key says whose it is. Leave it out")]
    UserOfKey,
}

impl Server {
    /// # Errors
    /// [`BadServer`].
    pub fn new(url: &str, database: Option<String>, timeout: Duration) -> Result<Self, BadServer> {
        let root = url.trim_end_matches('/');
        let rest = root.strip_prefix("https://").or_else(|| root.strip_prefix("http://"));
        match rest.and_then(|rest| rest.split('/').next()) {
            Some(authority) if authority.contains('@') => return Err(BadServer::UserInUrl),
            // Without a scheme, too: what is before the `@` must not be shown.
            None if root.contains('@') => return Err(BadServer::UserInUrl),
            Some(authority) if !authority.is_empty() && !root.contains(['?', '#', ' ']) => {}
            _ => return Err(BadServer::Form(without_query(url).to_owned())),
        }
        Ok(Self { root: root.to_owned(), database, login: None, timeout })
    }

    /// The same server by a protocol; `user`: the login, which JSON-RPC needs beside the database.
    ///
    /// # Errors
    /// [`BadServer`].
    pub fn by(self, protocol: Protocol, user: Option<String>) -> Result<Self, BadServer> {
        match (protocol, user, &self.database) {
            (Protocol::Json2, None, _) => Ok(self),
            (Protocol::Json2, Some(_), _) => Err(BadServer::UserOfKey),
            (Protocol::JsonRpc, _, None) => Err(BadServer::Missing("database")),
            (Protocol::JsonRpc, None, _) => Err(BadServer::Missing("user")),
            (Protocol::JsonRpc, Some(user), Some(database)) => {
                let login = Some(Login::new(database.clone(), user));
                Ok(Self { login, ..self })
            }
        }
    }

    /// For messages.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Host and port, as the `auth` section names them.
    #[must_use]
    pub fn host(&self) -> &str {
        authority(&self.root)
    }

    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What to look at where credentials are refused, before `in [… .auth."HOST"]`.
    #[must_use]
    pub const fn credentials(&self) -> &'static str {
        match self.login {
            None => "the API key",
            Some(_) => "`config.user`, and its password or API key under `json-body`",
        }
    }

    /// Calls a method. The inner error is an answer that says no.
    ///
    /// # Errors
    /// `retry` where no whole answer came, `fatal` where the host is not allowed or the answer is too long.
    pub fn call(&self, model: &str, method: &str, arguments: &impl Serialize) -> Result<Result<Answer, Refusal>> {
        if let Some(login) = &self.login {
            let arguments = serde_json::to_value(arguments).map_err(|e| Error::fatal(format!("arguments of `{method}`: {e}")))?;
            return login.call(self, model, method, arguments);
        }
        self.send(&self.request(model, method, arguments)?, model)
    }

    /// Calls a method; the answer is that of JSON-2 by either protocol, with its status, and a body that holds name and message of the
    /// exception where it says no. For who knows more of what a refusal is about than [`Refusal::meaning`].
    ///
    /// # Errors
    /// As [`Server::call`].
    pub fn respond(&self, model: &str, method: &str, arguments: &impl Serialize) -> Result<Response> {
        if self.login.is_none() {
            return self.request(model, method, arguments)?.send();
        }
        Ok(match self.call(model, method, arguments)? {
            Ok(Answer { body, asked }) => Response::new(200, body).with_header("date", &time::to_header(asked)),
            Err(refusal) => refusal.into_response(),
        })
    }

    /// From now on a call may take so long.
    pub const fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// A method by JSON-2.
    fn request(&self, model: &str, method: &str, arguments: &impl Serialize) -> Result<Request> {
        let url = format!("{}/json/2/{model}/{method}", self.root);
        let request = Request::post(url).json(arguments)?.header("accept", "application/json").timeout(self.timeout);
        Ok(match &self.database {
            Some(database) => request.header("x-odoo-database", database),
            None => request,
        })
    }

    /// Sends a request about a model. The inner error is an answer whose status says no.
    pub(crate) fn send(&self, request: &Request, model: &str) -> Result<Result<Answer, Refusal>> {
        let started = Instant::now();
        let response = request.send()?;
        let took = i64::try_from(started.elapsed().as_secs()).unwrap_or(i64::MAX).saturating_add(1);
        let date = response.header("date").and_then(time::of_header);
        let asked = date.map_or_else(here, |date| date.min(here())).saturating_sub(took);
        if !(200..300).contains(&response.status) {
            return Ok(Err(Refusal::read(response)));
        }
        self.body(response, model).map(|body| Ok(Answer { body, asked }))
    }

    fn body(&self, response: Response, model: &str) -> Result<Vec<u8>> {
        response.bytes_up_to(LONGEST).map_err(|error| match error {
            Error::Fatal(_) => Error::fatal(format!(
                "{} answers `{model}` with more than {} MiB: lower `config.page-size`, or name fewer `config.fields`",
                self.root,
                LONGEST >> 20
            )),
            other => other,
        })
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
