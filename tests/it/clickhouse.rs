//! The connector `clickhouse` in whole pipelines, into a real ClickHouse: what stands in the table, and what in the dead letters.

use wharf_runtime::supervisor::Outcome;
use wharf_runtime::telemetry::TaskState;

use crate::flow::deployment::{Deployment, counts, reason, task};
use database::Database;

mod away;
pub mod database;
pub mod gate;
mod once;
mod refused;
mod tombstones;
mod values;

/// Columns for the place of a record.
pub const PLACE: &str = "_topic String, _partition Int32, _offset Int64, _timestamp Int64";

/// The sink `events` of topic `orders`, into table `orders`; `more` are keys of its section.
fn events(db: &Database, config: &str, more: &str) -> String {
    events_at(&db.url, &db.name, config, more)
}

fn events_at(url: &str, database: &str, config: &str, more: &str) -> String {
    format!(
        r#"
[[sink]]
name = "events"
component = "clickhouse"
topics = ["{{t}}orders"]
allow.http = ["{url}"]
retry = {{ initial = "20ms", max = "100ms" }}
config = {{ url = "{url}", database = "{database}", table = "orders"{config} }}
{more}
"#
    )
}

/// Code and value of each dead letter.
async fn letters(deployment: &Deployment) -> Vec<(String, String)> {
    deployment.read("dlq.flow.events").await.iter().map(|row| (row.code().to_owned(), row.text())).collect()
}

/// Values `{"n": …}`.
fn numbered(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| format!("{{\"n\":{n}}}")).collect()
}

async fn produce(deployment: &Deployment, partitions: i32, values: &[String]) {
    let keys: Vec<String> = (0..values.len()).map(|n| n.to_string()).collect();
    let records: Vec<_> = keys.iter().zip(values).map(|(key, value)| (Some(key.as_str()), Some(value.as_bytes()))).collect();
    deployment.produce("orders", partitions, &records).await;
}
