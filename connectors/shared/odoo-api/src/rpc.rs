//! Odoo's JSON-RPC: `POST /jsonrpc`, service `object`, method `execute_kw`, with database, user id and password before what is asked.
//! Owns its envelope, and the place of the password, which is null: the host puts it there (`auth."HOST".json-body`).
//!
//! Odoo's own client API, and stable where the methods behind it are not: names of arguments differ between versions (`search` has
//! `args` up to 16), so those that have a place are given by place.

use std::cell::Cell;
use std::time::Instant;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use wharf_sdk::http::Request;
use wharf_sdk::{Error, Result};

use crate::refusal::Refusal;
use crate::server::{Answer, Server};

/// Whom is called for.
#[derive(Debug, Clone)]
pub struct Login {
    database: String,
    user: String,
    /// The user's id, once it was asked for.
    uid: Cell<Option<i64>>,
}

/// An answer. Neither member: older servers leave out a result that is null.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "jsonrpc")]
    _version: &'a str,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    code: Option<i64>,
    #[serde(default)]
    message: String,
    data: Option<Exception>,
}

/// A Python exception; its traceback is not read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Exception {
    /// With its module.
    name: String,
    message: String,
}

impl Login {
    pub const fn new(database: String, user: String) -> Self {
        Self { database, user, uid: Cell::new(None) }
    }

    /// Calls a method; arguments by name, as JSON-2 takes them. All the requests that it takes have the server's timeout together: who
    /// calls within a deadline of his own counts on one.
    ///
    /// # Errors
    /// As [`Server::call`].
    pub fn call(&self, server: &Server, model: &str, method: &str, arguments: Value) -> Result<Result<Answer, Refusal>> {
        let call = Call { login: self, server, model, began: Instant::now() };
        let arguments = match arguments {
            Value::Object(arguments) => arguments,
            _ => Map::new(),
        };
        if method == "has_access" { call.has_access(arguments) } else { call.method(method, arguments) }
    }
}

/// One call of a method, whatever requests it takes.
struct Call<'a> {
    login: &'a Login,
    server: &'a Server,
    model: &'a str,
    began: Instant,
}

impl Call<'_> {
    /// Odoo before 18 has another method for it, which tells of rights on the model all the same.
    fn has_access(&self, arguments: Map<String, Value>) -> Result<Result<Answer, Refusal>> {
        let operation = arguments.get("operation").cloned().unwrap_or_default();
        match self.method("has_access", arguments)? {
            Err(refusal) if refusal.name == "builtins.AttributeError" => {
                let older = [("operation".to_owned(), operation), ("raise_exception".to_owned(), false.into())];
                self.method("check_access_rights", older.into_iter().collect())
            }
            other => Ok(other),
        }
    }

    /// With the id that is known; where that is refused, as the user was made anew, with one that is asked for again.
    fn method(&self, method: &str, arguments: Map<String, Value>) -> Result<Result<Answer, Refusal>> {
        let uid = &self.login.uid;
        let (by_place, by_name) = places(method, arguments);
        let execute = |id: i64| {
            self.ask("object", "execute_kw", &json!([self.login.database, id, null, self.model, method, by_place, by_name]))
        };
        if let Some(id) = uid.get() {
            match execute(id)? {
                Err(refusal) if refusal.is_denied() => uid.set(None),
                answer => return Ok(answer),
            }
        }
        let id = match self.authenticate()? {
            Ok(id) => id,
            Err(refusal) => return Ok(Err(refusal)),
        };
        uid.set(Some(id));
        let answer = execute(id)?;
        if matches!(&answer, Err(refusal) if refusal.is_denied()) {
            uid.set(None);
        }
        Ok(answer)
    }

    /// The id of the user.
    fn authenticate(&self) -> Result<Result<i64, Refusal>> {
        let Login { database, user, .. } = self.login;
        let answer = match self.ask("common", "authenticate", &json!([database, user, null, {}]))? {
            Ok(answer) => answer,
            Err(refusal) => return Ok(Err(refusal)),
        };
        // False where it knows no such user with this password.
        Ok(serde_json::from_slice::<i64>(&answer.body).map_err(|_| {
            let text = format!("the user `{user}` or the password is not taken");
            Refusal::of_rpc(401, "odoo.exceptions.AccessDenied".to_owned(), &text)
        }))
    }

    fn ask(&self, service: &str, method: &str, args: &Value) -> Result<Result<Answer, Refusal>> {
        let Self { server, model, .. } = self;
        let left = server.timeout().saturating_sub(self.began.elapsed());
        if left.is_zero() {
            return Err(Error::retry(format!(
                "{} is slow: it took all of `config.timeout` before `{model}` was asked for",
                server.root()
            )));
        }
        let params = json!({ "service": service, "method": method, "args": args });
        let call = json!({ "jsonrpc": "2.0", "method": "call", "params": params, "id": 1 });
        let request = Request::post(format!("{}/jsonrpc", server.root())).json(&call)?.timeout(left);
        let Answer { body, asked } = match server.send(&request, model)? {
            Ok(answer) => answer,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let unreadable = |error: serde_json::Error| {
            let (root, line, column) = (server.root(), error.line(), error.column());
            Error::retry(format!(
                "the answer of {root} for `{model}` is no JSON-RPC, or was cut off, at line {line}, column {column}"
            ))
        };
        Ok(result(body, &self.login.database, model).map_err(unreadable)?.map(|body| Answer { body, asked }))
    }
}

/// The result's own text out of an envelope, in the same memory; `null` where there is none.
fn result(mut body: Vec<u8>, database: &str, model: &str) -> serde_json::Result<Result<Vec<u8>, Refusal>> {
    let envelope: Envelope<'_> = serde_json::from_slice(&body)?;
    if let Some(fault) = envelope.error {
        return Ok(Err(fault.refusal(database, model)));
    }
    let Some(text) = envelope.result.map(RawValue::get) else { return Ok(Ok(b"null".to_vec())) };
    let start = text.as_ptr().addr().wrapping_sub(body.as_ptr().addr());
    let length = text.len();
    body.drain(..start.min(body.len()));
    body.truncate(length);
    Ok(Ok(body))
}

impl Fault {
    fn refusal(self, database: &str, model: &str) -> Refusal {
        let Exception { name, message } = self.data.unwrap_or_default();
        let message = if message.is_empty() { self.message } else { message };
        let nothing_there = (name == "psycopg2.OperationalError"
            && message.contains(&format!("database \"{database}\" does not exist")))
            || (name == "odoo.exceptions.UserError" && message == format!("Object {model} doesn't exist"))
            || self.code == Some(404);
        let status = match name.as_str() {
            "odoo.exceptions.AccessDenied" => 401,
            "odoo.exceptions.AccessError" => 403,
            "odoo.exceptions.MissingError" => 404,
            _ if nothing_there => 404,
            "odoo.exceptions.LockError" => 409,
            "odoo.exceptions.UserError"
            | "odoo.exceptions.ValidationError"
            | "odoo.exceptions.RedirectWarning"
            | "odoo.exceptions.Warning"
            | "odoo.exceptions.except_orm" => 422,
            "werkzeug.exceptions.TooManyRequests" => 429,
            "werkzeug.exceptions.ServiceUnavailable" => 503,
            _ => 500,
        };
        Refusal::of_rpc(status, name, &message)
    }
}

/// Arguments that have a place, and the others by their names. A method that is called on records has their ids at the first.
fn places(method: &str, mut arguments: Map<String, Value>) -> (Vec<Value>, Map<String, Value>) {
    let names: &[&str] = match method {
        "search" | "search_count" | "search_read" => &["domain"],
        "load" => &["fields", "data"],
        "create" => &["vals_list"],
        "write" => &["ids", "vals"],
        "fields_get" => &["allfields"],
        "check_access_rights" => &["operation"],
        // Of the model as a whole: of no record.
        "has_access" => {
            arguments.entry("ids").or_insert_with(|| json!([]));
            &["ids", "operation"]
        }
        _ => &["ids"],
    };
    let by_place = names.iter().map_while(|name| arguments.shift_remove(*name)).collect();
    (by_place, arguments)
}

#[cfg(test)]
mod tests;
