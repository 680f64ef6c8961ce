//! Odoo as a plain client sees it: what the tests compare with, and change. Uses nothing of Wharf.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::servers::Server;

/// A plain client of the JSON-2 API, so that what is compared does not go through what is tested.
#[derive(Debug)]
pub struct Plain {
    pub url: String,
    pub database: String,
    pub key: String,
}

impl Plain {
    /// `None` where there is no server.
    #[must_use]
    pub fn new(test: &str) -> Option<Self> {
        let url = Server::Odoo.address(test)?;
        let of = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set, {url} needs it"));
        Some(Self { database: of("WHARF_TEST_ODOO_DB"), key: of("WHARF_TEST_ODOO_KEY"), url })
    }

    /// Host and port.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.url.trim_start_matches("http://").trim_end_matches('/')
    }

    /// Login of the key's user.
    pub async fn login(&self) -> String {
        let user = self.call("res.users", "context_get", &json!({})).await["uid"].clone();
        let users = self.read("res.users", &json!([["id", "=", user]]), &["login"]).await;
        users[0]["login"].as_str().unwrap().to_owned()
    }

    /// A key of a connector's `auth` for JSON-RPC. `secret`: the password or key, or what stands for it in the TOML.
    #[must_use]
    pub fn json_body(&self, secret: &str) -> String {
        format!(
            "json-body = {{ path = \"/jsonrpc\", pointer = \"/params/args/2\", value = \"{secret}\", only = {{ \
             \"/params/service\" = [\"common\", \"object\"], \"/params/method\" = [\"authenticate\", \"execute_kw\"], \
             \"/params/args/0\" = [\"{}\"] }} }}",
            self.database
        )
    }

    /// Keys of `config` and of `auth`: by JSON-2, and by JSON-RPC.
    pub async fn protocols(&self) -> [(String, String); 2] {
        let database = format!("database = \"{}\"", self.database);
        let rpc = format!("{database}\nprotocol = \"json-rpc\"\nuser = \"{}\"", self.login().await);
        [(database, format!("bearer = \"{}\"", self.key)), (rpc, self.json_body(&self.key))]
    }

    pub async fn call(&self, model: &str, method: &str, arguments: &Value) -> Value {
        let body = arguments.to_string();
        let mut stream = tokio::net::TcpStream::connect(self.authority()).await.unwrap();
        let request = format!(
            "POST /json/2/{model}/{method} HTTP/1.1\r\nhost: {}\r\nauthorization: bearer {}\r\nx-odoo-database: {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.authority(),
            self.key,
            self.database,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 2"), "{model}.{method}: {head}\n{body}");
        serde_json::from_str(body).unwrap()
    }

    /// Makes records; their ids.
    pub async fn create(&self, model: &str, values: &[Value]) -> Vec<i64> {
        let made = self.call(model, "create", &json!({ "vals_list": values })).await;
        serde_json::from_value(made).unwrap()
    }

    pub async fn write(&self, model: &str, ids: &[i64], values: Value) {
        self.call(model, "write", &json!({ "ids": ids, "vals": values })).await;
    }

    pub async fn unlink(&self, model: &str, ids: &[i64]) {
        self.call(model, "unlink", &json!({ "ids": ids })).await;
    }

    /// Records that match, archived ones too, by id.
    pub async fn read(&self, model: &str, domain: &Value, fields: &[&str]) -> Vec<Value> {
        let arguments =
            json!({ "domain": domain, "fields": fields, "order": "id", "context": { "active_test": false }, "load": "" });
        serde_json::from_value(self.call(model, "search_read", &arguments).await).unwrap()
    }
}
