//! A folder with a deployment for tests of the way back: a CSV feed into a topic and from it into tables, on the embedded log or
//! on Kafka. Holds no assertions about records.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use support::servers::Server;
use tempfile::TempDir;

use crate::{command, shown, stdout, wharf};

pub struct Site {
    pub dir: TempDir,
    kafka: Option<String>,
    /// Of the deployment, and the beginning of topic names.
    pub name: String,
}

impl Site {
    pub fn embedded() -> Self {
        Self::new(None, "wharf".to_owned())
    }

    /// `None` without a Kafka.
    pub fn kafka(test: &str) -> Option<Self> {
        let kafka = Server::Kafka.address(test)?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        Some(Self::new(Some(kafka), format!("{test}-{now}")))
    }

    fn new(kafka: Option<String>, name: String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("feed")).unwrap();
        // Compiled once for all of them.
        let components = Path::new(env!("CARGO_TARGET_TMPDIR")).join("components");
        fs::create_dir_all(&components).unwrap();
        for state in ["state", "elsewhere"] {
            fs::create_dir(dir.path().join(state)).unwrap();
            std::os::unix::fs::symlink(&components, dir.path().join(state).join("components")).unwrap();
        }
        Self { dir, kafka, name }
    }

    pub fn is_kafka(&self) -> bool {
        self.kafka.is_some()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn topic(&self) -> String {
        format!("{}.stock", self.name)
    }

    /// The feed into the topic, and the sinks (TOML; `{t}` stands for the topic).
    pub fn configure(&self, sinks: &str) {
        let kafka =
            self.kafka.as_ref().map(|servers| format!("[kafka]\nbootstrap.servers = \"{servers}\"\nsession.timeout.ms = 6000\n"));
        let text = format!(
            r#"name = "{}"
state-dir = "state"
create = true
{}
[connection.warehouse]
url = "sqlite://warehouse.sqlite"

[[source]]
name = "feed"
component = "csv"
topic = "{{t}}"
config = {{ path = "feed", pattern = "*.csv", key = ["sku"], types = {{ quantity = "int" }} }}
allow.files = ["feed"]
{sinks}"#,
            self.name,
            kafka.unwrap_or_default()
        );
        fs::write(self.path("wharf.toml"), text.replace("{t}", &self.topic())).unwrap();
    }

    pub fn feed(&self, file: &str, lines: &[&str]) {
        fs::write(self.path("feed").join(file), format!("sku,quantity\n{}\n", lines.join("\n"))).unwrap();
    }

    /// Runs until nothing is left to do.
    pub fn run(&self) {
        let output = wharf(self.dir.path(), &["run", "wharf.toml", "--until-done"]);
        assert!(output.status.success(), "{}", shown(&output));
    }

    pub fn wharf(&self, args: &[&str]) -> Output {
        wharf(self.dir.path(), args)
    }

    /// What a command prints; it must succeed.
    pub fn said(&self, args: &[&str]) -> String {
        let output = self.wharf(args);
        assert!(output.status.success(), "{args:?}: {}", shown(&output));
        stdout(&output)
    }

    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.said(args)).unwrap()
    }

    /// A command that must end with this code and say these words on stderr.
    pub fn refused(&self, args: &[&str], code: i32, words: &[&str]) {
        let output = self.wharf(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", shown(&output));
        for word in words {
            assert!(crate::stderr(&output).contains(word), "{args:?} does not say `{word}`: {}", shown(&output));
        }
    }

    /// A worker that runs until it is killed.
    pub fn start(&self, config: &str) -> Worker {
        let mut command = command(self.dir.path(), &["run", config]);
        let log = fs::File::create(self.path("worker.log")).unwrap();
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Worker(child)
    }

    /// Rows of a query on the warehouse, columns joined by `|`.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        let db = rusqlite::Connection::open(self.path("warehouse.sqlite")).unwrap();
        let mut statement = db.prepare(sql).unwrap();
        let width = statement.column_count();
        let text = |value: rusqlite::types::Value| match value {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => format!("{other:?}"),
        };
        let row = |row: &rusqlite::Row<'_>| {
            let cells = (0..width).map(|i| row.get(i).map(text)).collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(cells.join("|"))
        };
        statement.query_map([], row).unwrap().collect::<rusqlite::Result<_>>().unwrap()
    }

    pub fn execute(&self, sql: &str) {
        rusqlite::Connection::open(self.path("warehouse.sqlite")).unwrap().execute_batch(sql).unwrap();
    }
}

pub struct Worker(std::process::Child);

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
