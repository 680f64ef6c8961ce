//! The HTTP interface of ClickHouse: a query and its answer, an insert and its answer. Decides nothing about records.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::Read as _;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wharf_sdk::http::{Request, Response};

use crate::config::Config;
use crate::fault::Fault;
use crate::frame;
use crate::places::LIMIT;

/// How much of an answer is read: offsets of a batch are a few hundred kilobytes.
const READ: u64 = 32 << 20;
/// Settings of all requests, and their values, where the server knows them. A user's profile may say otherwise, and have an answer
/// end early, or come from an earlier time, without a word.
const ALWAYS: [(&str, &str); 9] = [
    // With it, the status and the headers are there before the server knows how it ends.
    ("send_progress_in_http_headers", "0"),
    ("use_query_cache", "0"),
    ("read_overflow_mode", "throw"),
    ("timeout_overflow_mode", "throw"),
    ("result_overflow_mode", "throw"),
    ("group_by_overflow_mode", "throw"),
    // Of the offsets in `IN`.
    ("set_overflow_mode", "throw"),
    ("limit", "0"),
    ("offset", "0"),
];
/// Settings that inserts are sent with besides.
const SETTINGS: [&str; 6] = [SYNCHRONOUS, "async_insert", WAIT, DEDUPLICATE, TOKEN, frame::SETTING];
/// A `Distributed` table answers when its shards have the rows.
const SYNCHRONOUS: &str = "insert_distributed_sync";
/// An answer comes when the rows are there.
const WAIT: &str = "wait_for_async_insert";
/// A replicated table drops a block that is the same as an earlier one.
const DEDUPLICATE: &str = "insert_deduplicate";
/// In place of the block's content.
const TOKEN: &str = "insert_deduplication_token";

/// The server of one sink.
#[derive(Debug)]
pub struct Server {
    config: Config,
    /// The sink's name.
    pub sink: String,
    /// What the ids of all inserts of this sink begin with, and those of this instance.
    ids: String,
    instance: u64,
    inserts: u64,
    /// Of all settings above, those that the server knows; asked for once a call.
    known: OnceCell<BTreeSet<String>>,
    /// When the call began.
    began: Instant,
    /// As [`LIMIT`].
    pub limit: Duration,
}

/// The answer to a query. It ends with the number of rows: one that broke off does not pass for whole.
#[derive(Deserialize)]
struct Answer<T> {
    data: Vec<T>,
    rows: usize,
    /// What newer servers write where they fail after the first rows.
    exception: Option<String>,
}

impl Server {
    /// `sink`: its name, by which its inserts are known.
    #[must_use]
    pub fn new(config: Config, sink: &str) -> Self {
        let ids = format!("wharf:{sink}:");
        Self {
            config,
            sink: sink.to_owned(),
            ids,
            instance: RandomState::new().build_hasher().finish(),
            inserts: 0,
            known: OnceCell::new(),
            began: Instant::now(),
            limit: LIMIT,
        }
    }

    /// A call begins. Another server may answer by now (after an upgrade), whose settings mean something else when they are not sent.
    pub fn begin(&mut self) {
        self.began = Instant::now();
        self.known = OnceCell::new();
    }

    /// The rows of an answer, each with its fields.
    ///
    /// # Errors
    /// [`Fault`]; a query that was refused is no record's fault. Where the answer is not whole it means "later".
    pub fn rows(&self, query: &str) -> Result<Vec<Vec<String>>, Fault> {
        Ok(fields(self.ask(self.asking()?, query, "JSONCompact")?))
    }

    /// The rows of an answer, each read as an object of its fields.
    ///
    /// # Errors
    /// As [`Server::rows`].
    pub fn objects<T: DeserializeOwned>(&self, query: &str) -> Result<Vec<T>, Fault> {
        self.ask(self.asking()?, query, "JSON")
    }

    fn ask<T: DeserializeOwned>(&self, request: Request, query: &str, format: &str) -> Result<Vec<T>, Fault> {
        let (host, text) = (self.config.host(), self.send(&request.body(format!("{query} FORMAT {format}")))?);
        // A server that fails while it answers has said 200 before.
        if text.lines().any(|line| line.starts_with("Code: ")) {
            return Err(Fault::answered(host, 200, None, &text, None));
        }
        match serde_json::from_str(&text) {
            Ok(Answer { exception: Some(why), .. }) => Err(Fault::answered(host, 200, None, &why, None)),
            Ok(Answer { data, rows, .. }) if data.len() == rows => Ok(data),
            Ok(Answer { data, rows, .. }) => Err(Fault::broken(host, &format!("{} of {rows} rows came", data.len()))),
            Err(_) if !text.trim().is_empty() && !text.starts_with('{') => Err(Fault::foreign(host, &text)),
            Err(why) => Err(Fault::broken(host, &why.to_string())),
        }
    }

    /// Inserts rows, each in RowBinary. `token`: names these rows, where repeating them is to be noticed by the server.
    ///
    /// The statement stands before the rows, as an address may have 16 KiB and a table more columns than that. All is in one
    /// frame: of a body that was cut short the server takes nothing.
    ///
    /// # Errors
    /// [`Fault`]. Where it means "later", the rows may be there all the same.
    pub fn insert<'r>(
        &mut self,
        table: &str,
        columns: &str,
        token: Option<&str>,
        rows: impl Iterator<Item = &'r [u8]>,
    ) -> Result<(), Fault> {
        self.inserts += 1;
        let id = format!("{}{:016x}:{}", self.ids, self.instance, self.inserts);
        let mut request = self.asking()?.query("query_id", &id);
        let mut body = frame::open();
        body.extend_from_slice(format!("INSERT INTO {table} {} {columns} FORMAT RowBinary\n", self.comment()).as_bytes());
        rows.for_each(|row| body.extend_from_slice(row));
        if self.knows(frame::SETTING) {
            frame::close(&mut body);
            request = request.query("decompress", "1");
        } else {
            body.drain(..frame::HEAD);
        }
        for setting in SETTINGS.into_iter().filter(|setting| self.knows(setting)) {
            let value = match (setting, token) {
                (SYNCHRONOUS | WAIT | frame::SETTING, _) => "1",
                (TOKEN, Some(token)) => token,
                (TOKEN, None) => continue,
                (DEDUPLICATE, Some(_)) if self.knows(TOKEN) => continue,
                _ => "0",
            };
            request = request.query(setting, value);
        }
        let answer = self.send(&request.header("content-type", "application/octet-stream").body(body))?;
        // An insert that has worked is answered with nothing; one that fails late, with 200 and why.
        if answer.trim().is_empty() { Ok(()) } else { Err(Fault::answered(self.config.host(), 200, None, &answer, None)) }
    }

    /// Ids of inserts of this sink that the server still works on: of an instance that is gone, or whose answer did not come. They are
    /// known by their ids, and where something on the way gives others, by a comment.
    ///
    /// # Errors
    /// As [`Server::rows`].
    pub fn under_way(&self) -> Result<Vec<String>, Fault> {
        let begins = |column: &str, with: &str| format!("substring({column}, 1, {}) = {}", with.len(), text(with));
        let (ids, inserts, comment) = (begins("query_id", &self.ids), begins("query", "INSERT INTO "), text(&self.comment()));
        let query =
            format!("SELECT query_id FROM system.processes WHERE {ids} OR ({inserts} AND position(query, {comment}) > 0)");
        Ok(self.rows(&query)?.into_iter().flatten().collect())
    }

    /// What stands in each insert of this sink.
    fn comment(&self) -> String {
        format!("/* wharf:{} */", self.sink.replace("*/", ""))
    }

    fn knows(&self, setting: &str) -> bool {
        self.known.get().is_some_and(|known| known.contains(setting))
    }

    /// An unknown setting is an error of the whole request.
    fn known(&self) -> Result<&BTreeSet<String>, Fault> {
        if let Some(known) = self.known.get() {
            return Ok(known);
        }
        let names = ALWAYS.iter().map(|(name, _)| name).chain(&SETTINGS).map(|name| text(name)).collect::<Vec<_>>().join(", ");
        let query = format!("SELECT name FROM system.settings WHERE name IN ({names})");
        let rows = fields(self.ask(self.request(), &query, "JSONCompact")?);
        Ok(self.known.get_or_init(|| rows.into_iter().flatten().collect()))
    }

    /// A request with the settings of all requests.
    fn asking(&self) -> Result<Request, Fault> {
        let known = self.known()?;
        let settings = ALWAYS.into_iter().filter(|(setting, _)| known.contains(*setting));
        Ok(settings.fold(self.request(), |request, (setting, value)| request.query(setting, value)))
    }

    fn request(&self) -> Request {
        let url = format!("{}/", self.config.url.trim_end_matches('/'));
        Request::post(url).query("database", &self.config.database).timeout(self.config.timeout)
    }

    fn send(&self, request: &Request) -> Result<String, Fault> {
        if self.began.elapsed() >= self.limit {
            return Err(Fault::late(self.config.host(), self.began.elapsed()));
        }
        let response = request.send().map_err(Fault::of)?;
        let (status, after) = (response.status, response.retry_after());
        let code = response.header("x-clickhouse-exception-code").map(ToOwned::to_owned);
        // After the server has said 200, too: it then has taken nothing, or nobody knows what.
        let has_failed = code.as_deref().is_some_and(|code| code.trim() != "0");
        let body = body(response);
        match (status, body) {
            (200, Ok(text)) if !has_failed => Ok(text),
            // What was said first counts.
            (status, body) if status != 200 || has_failed => {
                let text = body.unwrap_or_default();
                Err(Fault::answered(self.config.host(), status, code.as_deref(), &text, after))
            }
            (_, broken) => Err(Fault::broken(self.config.host(), &broken.err().unwrap_or_default())),
        }
    }
}

fn body(response: Response) -> Result<String, String> {
    let mut bytes = Vec::new();
    response.into_body().take(READ).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A name in a query.
#[must_use]
pub fn name(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// A text in a query.
#[must_use]
pub fn text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Integers of 64 bits are numbers or texts, as the server is set.
fn fields(rows: Vec<Vec<Value>>) -> Vec<Vec<String>> {
    let field = |value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    rows.into_iter().map(|row| row.into_iter().map(field).collect()).collect()
}
