//! An answer that says no, and what it means. Odoo's own errors are JSON: the name of a Python exception, a message, and a
//! traceback, which is not read. The status alone does not decide: a field that does not exist answers 500 as a lost database does.

use std::time::Duration;

use serde::Deserialize;
use wharf_sdk::http::{Response, authority};

use crate::hide::{hide, one_line};

/// As much of a message as is shown, in characters.
const SHOWN: usize = 400;
/// As much of an answer as is read: the traceback is long.
const READ: usize = 1 << 20;

/// What Odoo, or what is before it, answered in place of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Of HTTP; by JSON-RPC, which answers 200 to all, the one that JSON-2 has for the same exception.
    pub status: u16,
    /// The exception's name with its module (`odoo.exceptions.ValidationError`); empty where Odoo did not answer itself.
    pub name: String,
    /// In one line. May quote the values of a record: see [`Refusal::without`].
    pub message: String,
    /// `Retry-After`.
    pub after: Option<Duration>,
    /// Where a redirect leads, host and port.
    to: Option<String>,
    /// The status was not answered but is meant.
    by_rpc: bool,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The key is not taken, or may not do this.
    Credentials,
    /// There is no such model, method or database.
    Missing,
    /// A record that was named is not there.
    Gone,
    /// The same request may work later.
    Later,
    /// This request cannot work: its arguments, or the data, do not fit.
    Request,
    /// A redirect: not followed, as it would take the request's body along.
    Elsewhere,
}

#[derive(Deserialize)]
struct Body {
    name: String,
    message: String,
}

impl Refusal {
    /// Reads what there is to be read of it.
    #[must_use]
    pub fn read(response: Response) -> Self {
        let (status, after) = (response.status, response.retry_after());
        let to = response.header("location").map(|url| authority(url).to_owned());
        let bytes = response.bytes_up_to(READ).unwrap_or_default();
        let body = serde_json::from_slice::<Body>(&bytes).ok();
        let (name, message) = body.map_or_else(|| (String::new(), plain(&bytes)), |body| (body.name, one_line(&body.message)));
        Self { status, name, message, after, to, by_rpc: false }
    }

    /// An exception that JSON-RPC tells of.
    #[must_use]
    pub(crate) fn of_rpc(status: u16, name: String, message: &str) -> Self {
        Self { status, name, message: one_line(message), after: None, to: None, by_rpc: true }
    }

    /// As JSON-2 answers it.
    pub(crate) fn into_response(self) -> Response {
        let body = serde_json::json!({ "name": self.name, "message": self.message });
        let mut response = Response::new(self.status, body.to_string());
        if let Some(after) = self.after {
            response = response.with_header("retry-after", &after.as_secs().to_string());
        }
        match self.to {
            Some(host) => response.with_header("location", &format!("https://{host}")),
            None => response,
        }
    }

    /// The same with a message that quotes none of these values, which were sent.
    #[must_use]
    pub fn without<'a>(mut self, values: impl IntoIterator<Item = &'a str>) -> Self {
        self.message = hide(&self.message, values);
        self
    }

    /// The password, or the id of the user, is not taken.
    pub(crate) fn is_denied(&self) -> bool {
        self.status == 401
    }

    #[must_use]
    pub fn meaning(&self) -> Meaning {
        match self.status {
            401 | 403 | 407 => Meaning::Credentials,
            300..=399 => Meaning::Elsewhere,
            404 if self.name == "odoo.exceptions.MissingError" => Meaning::Gone,
            404 => Meaning::Missing,
            500 if !self.name.is_empty() && !is_passing(&self.name) => Meaning::Request,
            408 | 409 | 425 | 429 | 500.. => Meaning::Later,
            _ => Meaning::Request,
        }
    }

    /// Whether Odoo knows the key and refuses what it is used for.
    #[must_use]
    pub fn is_access_error(&self) -> bool {
        self.status == 403 && self.name == "odoo.exceptions.AccessError"
    }

    /// `https://erp answers 500 for res.partner (builtins.ValueError): Invalid field 'nope' on 'res.partner'`.
    #[must_use]
    pub fn text(&self, root: &str, what: &str) -> String {
        let name = if self.name.is_empty() { String::new() } else { format!(" ({})", self.name) };
        let to = self.to.as_ref().map_or_else(String::new, |host| format!(", a redirect to {host}"));
        let said = if self.message.is_empty() { String::new() } else { format!(": {}", shown(&self.message)) };
        if self.by_rpc {
            return format!("{root} answers with an error for {what}{name}{said}");
        }
        format!("{root} answers {} for {what}{to}{name}{said}", self.status)
    }
}

/// Exceptions that tell of the database's state and not of the request (psycopg2's classes: OperationalError and what is
/// below it). Odoo tries lost races itself five times before it answers with one.
#[must_use]
pub fn is_passing(exception: &str) -> bool {
    const PASSING: [&str; 18] = [
        "psycopg2.OperationalError",
        "psycopg2.InterfaceError",
        "psycopg2.InternalError",
        "psycopg2.pool.PoolError",
        "odoo.sql_db.PoolError",
        "psycopg2.errors.SerializationFailure",
        "psycopg2.errors.DeadlockDetected",
        "psycopg2.errors.LockNotAvailable",
        "psycopg2.errors.InFailedSqlTransaction",
        "psycopg2.errors.ReadOnlySqlTransaction",
        "psycopg2.errors.QueryCanceled",
        "psycopg2.errors.AdminShutdown",
        "psycopg2.errors.CrashShutdown",
        "psycopg2.errors.CannotConnectNow",
        "psycopg2.errors.TooManyConnections",
        "psycopg2.errors.DiskFull",
        "odoo.exceptions.ConcurrencyError",
        "builtins.MemoryError",
    ];
    PASSING.contains(&exception)
}

/// The text of an error page without its marks.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let pieces: Vec<&str> = text.split('<').map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text)).collect();
    one_line(&pieces.join(" "))
}

/// As much of what Odoo says as is shown. A value that it quotes is hidden before, as half of one is not known.
#[must_use]
pub fn shown(text: &str) -> String {
    if text.chars().nth(SHOWN).is_some() { text.chars().take(SHOWN).chain(['…']).collect() } else { text.to_owned() }
}
