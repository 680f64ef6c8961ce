//! Calls of Odoo's import and of its removal, and what came of them. Texts name server and model, and nothing of what a record
//! holds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use wharf_odoo_api::{Answer, Meaning, Refusal, Server, hide, shown};
use wharf_sdk::{Error, Result};

use crate::blame::{self, Blame};
use crate::cells::Described;
use crate::config::Config;
use crate::groups::Row;

/// How often refused credentials are tried again.
const TRIES: u32 = 2;

#[derive(Debug)]
pub struct Client {
    server: Server,
    model: String,
    module: String,
    context: Map<String, Value>,
    refused: u32,
    failed: u32,
    /// When the call began.
    began: Instant,
    /// After so much of a call no request begins.
    pub budget: Duration,
}

/// What Odoo said about the rows of a request. It has taken all of them, or none.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    Taken,
    /// It has something against one of them, the first by its place in the request; `None`: it names none.
    Refused(Option<usize>, Complaint),
    /// It failed over them with an error of its own (500): they may be the cause, or a module that is being upgraded.
    Failed(String),
    /// The account may not do this to one of the records that were named: the text.
    Denied(String),
    /// One of the records that were named is not there any more.
    Gone,
}

/// What Odoo has against a record.
#[derive(Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Without what the record holds.
    pub text: String,
    pub field: Option<String>,
    pub blame: Blame,
}

impl Complaint {
    /// Of a message of the import.
    fn of(message: &Message, rows: &[Row]) -> Self {
        let values = || rows.iter().flat_map(Row::values);
        let text = shown(&hide(&message.message, values()));
        Self { text, field: message.field.clone(), blame: blame::of(&message.message, &values()) }
    }
}

#[derive(Deserialize)]
struct Loaded {
    ids: Value,
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    kind: String,
    message: String,
    field: Option<String>,
    rows: Option<Rows>,
}

#[derive(Deserialize)]
struct Rows {
    from: usize,
}

#[derive(Deserialize)]
struct Known {
    name: String,
    res_id: i64,
}

impl Client {
    #[must_use]
    pub fn new(server: Server, config: &Config) -> Self {
        let mut context = config.context.clone();
        // Times go to Odoo in UTC, and its import reads them in the zone of its user otherwise.
        context.insert("tz".to_owned(), "UTC".into());
        Self {
            server,
            model: config.model.clone(),
            module: config.module.clone(),
            context,
            refused: 0,
            failed: 0,
            began: Instant::now(),
            budget: config.budget(),
        }
    }

    /// A call begins.
    pub fn begin(&mut self) {
        self.began = Instant::now();
    }

    /// Names and types of the model's fields.
    ///
    /// # Errors
    /// `retry` where the same request may work later, `fatal` where it will not.
    pub fn fields(&mut self) -> Result<BTreeMap<String, Described>> {
        let model = self.model.clone();
        self.ask(&model, "fields_get", &json!({ "attributes": ["type"] }))
    }

    /// Asks whether the account has the rights of an operation on the model: `create`, `write` or `unlink`. An import without them
    /// tells it as an error of each row.
    ///
    /// # Errors
    /// As for [`Client::fields`]; `fatal` where it has not.
    pub fn must_have(&mut self, operation: &str) -> Result<()> {
        let model = self.model.clone();
        if self.ask(&model, "has_access", &json!({ "operation": operation }))? {
            return Ok(());
        }
        Err(Error::fatal(format!(
            "the account for {} has no right to {operation} on `{model}`: give it to its user in Odoo",
            self.server.host()
        )))
    }

    /// Creates or changes records by their external ids, in one transaction of Odoo.
    ///
    /// # Errors
    /// As for [`Client::fields`].
    pub fn load(&mut self, columns: &[String], rows: &[Row]) -> Result<Said> {
        let header: Vec<&str> = std::iter::once("id").chain(columns.iter().map(String::as_str)).collect();
        let line = |row: &Row| std::iter::once(format!("{}.{}", self.module, row.name)).chain(row.texts.clone()).collect();
        let data: Vec<Vec<String>> = rows.iter().map(line).collect();
        let model = self.model.clone();
        let arguments = json!({ "fields": header, "data": data, "context": self.context });
        let answer = match self.call(&model, "load", &arguments, rows)? {
            Ok(answer) => answer,
            Err(refusal) => return Ok(self.said(&refusal)),
        };
        let loaded: Loaded = self.read(&answer)?;
        if loaded.ids.as_array().is_some_and(|ids| ids.len() == rows.len()) {
            return Ok(Said::Taken);
        }
        let errors: Vec<Message> = loaded.messages.into_iter().filter(|message| message.kind == "error").collect();
        let named = errors.iter().filter_map(|error| Some((error.rows.as_ref()?.from, error)));
        if let Some((first, error)) = named.filter(|(at, _)| *at < rows.len()).min_by_key(|(at, _)| *at) {
            return Ok(Said::Refused(Some(first), Complaint::of(error, rows.get(first..=first).unwrap_or(rows))));
        }
        let unnamed = || Complaint { text: "it names no reason".to_owned(), field: None, blame: Blame::Record };
        Ok(Said::Refused(None, errors.last().map_or_else(unnamed, |error| Complaint::of(error, rows))))
    }

    /// Database ids of these records, where they are.
    ///
    /// # Errors
    /// As for [`Client::fields`].
    pub fn find(&mut self, rows: &[Row]) -> Result<Vec<i64>> {
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        let domain = json!([["module", "=", self.module], ["model", "=", self.model], ["name", "in", names]]);
        let arguments = json!({ "domain": domain, "fields": ["name", "res_id"] });
        let known: Vec<Known> = self.ask("ir.model.data", "search_read", &arguments)?;
        // In the order of the rows.
        let ids: BTreeMap<String, i64> = known.into_iter().map(|known| (known.name, known.res_id)).collect();
        Ok(rows.iter().filter_map(|row| ids.get(&row.name).copied()).collect())
    }

    /// Whether one of these records is there, archived or not, as far as the account may see.
    ///
    /// # Errors
    /// As for [`Client::fields`].
    pub fn are_left(&mut self, ids: &[i64]) -> Result<bool> {
        let arguments = json!({ "domain": [["id", "in", ids]], "limit": 1, "context": { "active_test": false } });
        let model = self.model.clone();
        let ids: Vec<i64> = self.ask(&model, "search", &arguments)?;
        Ok(!ids.is_empty())
    }

    /// Archives or deletes records by their database ids, all or none.
    ///
    /// # Errors
    /// As for [`Client::fields`].
    pub fn remove(&mut self, rows: &[Row], ids: &[i64], archive: bool) -> Result<Said> {
        let mut arguments = json!({ "ids": ids, "context": self.context });
        if let (true, Value::Object(arguments)) = (archive, &mut arguments) {
            arguments.insert("vals".to_owned(), json!({ "active": false }));
        }
        let model = self.model.clone();
        Ok(match self.call(&model, if archive { "write" } else { "unlink" }, &arguments, rows)? {
            Ok(_) => Said::Taken,
            Err(refusal) => self.said(&refusal),
        })
    }

    fn said(&self, refusal: &Refusal) -> Said {
        match refusal.meaning() {
            Meaning::Gone => Said::Gone,
            Meaning::Request if refusal.status >= 500 => Said::Failed(self.text(refusal)),
            Meaning::Credentials => Said::Denied(self.text(refusal)),
            // The exception's class says so.
            _ => Said::Refused(None, Complaint { text: self.text(refusal), field: None, blame: Blame::Record }),
        }
    }

    fn text(&self, refusal: &Refusal) -> String {
        refusal.text(self.server.root(), &format!("`{}`", self.model))
    }

    fn read<T: for<'de> Deserialize<'de>>(&self, answer: &Answer) -> Result<T> {
        serde_json::from_slice(&answer.body).map_err(|e| {
            let (root, model, line, column) = (self.server.root(), &self.model, e.line(), e.column());
            Error::retry(format!("the answer of {root} for `{model}` cannot be read, at line {line}, column {column}"))
        })
    }

    /// A call that is about no record: where Odoo fails over it, as it does over sound ones while modules are upgraded, it is tried
    /// several times.
    fn ask<T: for<'de> Deserialize<'de>>(&mut self, model: &str, method: &str, arguments: &Value) -> Result<T> {
        let refusal = match self.call(model, method, arguments, &[])? {
            Ok(answer) => {
                self.failed = 0;
                return self.read(&answer);
            }
            Err(refusal) => refusal,
        };
        let text = refusal.text(self.server.root(), &format!("`{model}`"));
        if refusal.status >= 500 {
            self.failed += 1;
            if self.failed < blame::TRIES {
                return Err(Error::retry(text));
            }
        }
        Err(Error::fatal(text))
    }

    /// The inner error is about the request: about what it names (gone) or holds. Nothing is told of what these rows hold.
    fn call(&mut self, model: &str, method: &str, arguments: &Value, rows: &[Row]) -> Result<Result<Answer, Refusal>> {
        if self.began.elapsed() >= self.budget {
            return Err(Error::retry(format!(
                "{} is slow: the call has taken {} s, and what is left of it comes again",
                self.server.root(),
                self.began.elapsed().as_secs()
            )));
        }
        let refusal = match self.server.call(model, method, arguments)? {
            Ok(answer) => {
                self.refused = 0;
                return Ok(Ok(answer));
            }
            Err(refusal) => refusal.without(rows.iter().flat_map(Row::values)),
        };
        let text = refusal.text(self.server.root(), &format!("`{model}`"));
        Err(match refusal.meaning() {
            Meaning::Gone | Meaning::Request => {
                self.refused = 0;
                return Ok(Err(refusal));
            }
            // Rules of records hold for some of a request's; whether the account has rights at all is asked for by itself.
            Meaning::Credentials if refusal.is_access_error() && matches!(method, "write" | "unlink") => return Ok(Err(refusal)),
            Meaning::Credentials => {
                self.refused += 1;
                let (credentials, host) = (self.server.credentials(), self.server.host());
                let text = format!("{text}. Check {credentials} in `[sink.auth.\"{host}\"]`, and that its user may do this");
                if self.refused > TRIES { Error::fatal(text) } else { Error::retry(text) }
            }
            Meaning::Later => match refusal.after {
                Some(pause) => Error::retry(text).after(pause),
                None => Error::retry(text),
            },
            Meaning::Missing => Error::fatal(format!("{text}. Check `config.model`, `config.database` and `config.url`")),
            Meaning::Elsewhere => Error::fatal(format!("{text}: give the server's own URL in `config.url`")),
        })
    }
}
