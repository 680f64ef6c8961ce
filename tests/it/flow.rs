//! Whole pipelines through `supervisor::run`: what is configured, runs, and what arrived. Each test has a folder and a log of
//! its own; the embedded log mostly, and Kafka and PostgreSQL where they could differ.

mod altered;
mod audience;
mod bad_input;
mod buffered;
mod campaign_events;
pub mod components;
mod database_away;
mod day;
pub mod deployment;
mod done;
mod faults;
mod foreign_keys;
mod gathered;
mod held;
mod http_source;
mod http_target;
mod lost_positions;
mod members;
mod missing;
mod offsets_table;
mod on_kafka;
mod outage;
mod partitions;
mod restart;
mod retail_live;
mod steps;
mod switch;
mod tokens;
mod versions;
mod warehouse;
mod webhook;

use deployment::{Deployment, counts, reason, row, task, texts};

/// A `[[sink]]` `ledger` of topic `orders`, whose rows stand in table `ledger`; `more` are keys of its section.
fn ledger(config: &str, more: &str) -> String {
    format!(
        r#"
[connection.warehouse]
url = "sqlite://warehouse.sqlite"

[[sink]]
name = "ledger"
component = "ledger"
topics = ["{{t}}orders"]
format = "bytes"
allow.sql = ["warehouse"]
config = {{ connection = "warehouse", table = "ledger"{config} }}
{more}
"#
    )
}

/// A second sink of the same topic that nothing is wrong with.
const NEIGHBOUR: &str = r#"
[[sink]]
name = "neighbour"
component = "ledger"
topics = ["{t}orders"]
format = "bytes"
allow.sql = ["warehouse"]
config = { connection = "warehouse", table = "neighbour" }
dead-letter.window = { size = 0, limit = 0 }
"#;

/// Source `files` of the lines in `in/`, keyed, into topic `orders` of two partitions.
const KEYED_FILES: &str = r#"
[topic."{t}orders"]
partitions = 2

[[source]]
name = "files"
component = "csv"
topic = "{t}orders"
allow.files = ["in"]
config = { path = "in", key = ["k"], interval = "100ms" }
"#;

/// Lines for it, of nine keys.
fn keyed_lines(from: usize, to: usize) -> String {
    (from..to).map(|n| format!("{{\"k\":{},\"n\":{n}}}\n", n % 9)).collect()
}

/// What a ledger holds, in the order in which it was written.
fn entered(deployment: &Deployment, table: &str) -> Vec<String> {
    deployment.query(&format!("SELECT value FROM {table} ORDER BY rowid"))
}

/// A port that nobody listens on just now.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Status and body of a request over a connection of its own.
async fn request(url: &str, method: &str, body: &[u8]) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{method} /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A listener that refuses a body may answer, and close, before it has read all of it.
    if let Err(error) = stream.write_all(body).await {
        eprintln!("{url}: {error}");
    }
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer).await {
        eprintln!("{url}: {error}");
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map_or_else(String::new, |(_, body)| body.to_owned()))
}

async fn get(url: &str) -> (u16, String) {
    request(url, "GET", b"").await
}
