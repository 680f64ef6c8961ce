//! Requests for one model, and what a refusal leads to: try again, or stop. Texts name server and model, never a value of a record.

use serde_json::{Value, json};
use wharf_odoo_api::{Answer, Meaning, Refusal, Server};
use wharf_sdk::{Error, Result};

use crate::config::{Config, Many2one};
use crate::schema::Schema;

/// How often refused credentials are tried again.
const KEY_TRIES: u32 = 2;
/// How often a request is tried again that Odoo failed over: while modules are upgraded, it fails over sound ones too.
const TRIES: u32 = 5;

#[derive(Debug)]
pub struct Client {
    server: Server,
    model: String,
    domain: Vec<Value>,
    archived: bool,
    many2one: Many2one,
    page_size: usize,
    refused: u32,
    failed: u32,
}

impl Client {
    #[must_use]
    pub fn new(server: Server, config: &Config) -> Self {
        Self {
            server,
            model: config.model.clone(),
            domain: config.domain.clone(),
            archived: config.archived,
            many2one: config.many2one,
            page_size: config.page_size,
            refused: 0,
            failed: 0,
        }
    }

    /// Names and types of the model's fields.
    ///
    /// # Errors
    /// `retry` where the same request may work later, `fatal` where it will not.
    pub fn fields(&mut self) -> Result<Answer> {
        self.call("fields_get", &json!({ "attributes": ["type", "store"] }))
    }

    /// Records under these conditions and the configured ones.
    ///
    /// # Errors
    /// As for [`Client::fields`].
    pub fn records(&mut self, schema: &Schema, conditions: Vec<Value>, order: &str) -> Result<Answer> {
        let names: Vec<&str> = schema.names().collect();
        let domain = self.domain(conditions);
        let mut arguments =
            json!({ "domain": domain, "fields": names, "order": order, "limit": self.page_size, "context": self.context() });
        if let (Many2one::Id, Value::Object(arguments)) = (self.many2one, &mut arguments) {
            // Without the names of the other records, which would be computed.
            arguments.insert("load".to_owned(), "".into());
        }
        self.call("search_read", &arguments)
    }

    /// Ids under these conditions and the configured ones, ascending, at most so many.
    ///
    /// # Errors
    /// As for [`Client::fields`].
    pub fn ids(&mut self, conditions: Vec<Value>, most: usize) -> Result<Answer> {
        let arguments = json!({ "domain": self.domain(conditions), "order": "id", "limit": most, "context": self.context() });
        self.call("search", &arguments)
    }

    /// Number of records under these conditions and the configured ones, whatever a page of them would leave out.
    ///
    /// # Errors
    /// As for [`Client::fields`].
    pub fn count(&mut self, conditions: Vec<Value>) -> Result<Answer> {
        self.call("search_count", &json!({ "domain": self.domain(conditions), "context": self.context() }))
    }

    /// Conditions one after the other must all hold.
    fn domain(&self, mut conditions: Vec<Value>) -> Vec<Value> {
        conditions.extend(self.domain.iter().cloned());
        conditions
    }

    fn context(&self) -> Value {
        json!({ "active_test": !self.archived })
    }

    fn call(&mut self, method: &str, arguments: &Value) -> Result<Answer> {
        match self.server.call(&self.model, method, arguments)? {
            Ok(answer) => {
                (self.refused, self.failed) = (0, 0);
                Ok(answer)
            }
            Err(refusal) => Err(self.failure(&refusal)),
        }
    }

    fn failure(&mut self, refusal: &Refusal) -> Error {
        let text = refusal.text(self.server.root(), &format!("`{}`", self.model));
        match refusal.meaning() {
            Meaning::Credentials => {
                self.refused += 1;
                let text = format!(
                    "{text}. Check {} in `[source.auth.\"{}\"]`, and that its user may read this",
                    self.server.credentials(),
                    self.server.host()
                );
                if self.refused > KEY_TRIES { Error::fatal(text) } else { Error::retry(text) }
            }
            Meaning::Later | Meaning::Gone => {
                let error = Error::retry(text);
                match refusal.after {
                    Some(pause) => error.after(pause),
                    None => error,
                }
            }
            Meaning::Request if refusal.status >= 500 => {
                self.failed += 1;
                if self.failed > TRIES { Error::fatal(text) } else { Error::retry(text) }
            }
            Meaning::Missing => Error::fatal(format!("{text}. Check `config.model`, `config.database` and `config.url`")),
            Meaning::Elsewhere => Error::fatal(format!("{text}: give the server's own URL in `config.url`")),
            Meaning::Request => Error::fatal(text),
        }
    }
}
