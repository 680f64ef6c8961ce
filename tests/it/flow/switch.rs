//! Switching a sink that ran at least once over to exactly once, and back: its first start takes the group's offsets over, and
//! the rows show whether one was lost or came twice.

use wharf_runtime::supervisor::Outcome;

use super::*;

/// Files into a topic of three partitions and from it into a table without a key: a row that comes twice is there twice.
fn body(once: bool) -> String {
    format!(
        r#"
[topic."{{t}}orders"]
partitions = 3

[connection.warehouse]
url = "sqlite://warehouse.sqlite"

[[source]]
name = "files"
component = "csv"
topic = "{{t}}orders"
allow.files = ["in"]
config = {{ path = "in", pattern = "*.csv", key = ["id"], types = {{ id = "int" }}, interval = "100ms" }}
batch = {{ records = 50 }}

[[sink]]
name = "table"
component = "sql"
topics = ["{{t}}orders"]
allow.sql = ["warehouse"]
config = {{ connection = "warehouse", table = "orders" }}
batch = {{ records = 40 }}
exactly-once = {once}
"#
    )
}

fn lines(from: usize, to: usize) -> String {
    (from..to).map(|n| format!("{n},thing {n}\n")).collect()
}

fn numbers(to: usize) -> Vec<String> {
    (0..to).map(|n| n.to_string()).collect()
}

fn arrived(deployment: &Deployment) -> Vec<String> {
    deployment.query("SELECT id FROM orders ORDER BY id")
}

async fn the_first_exactly_once_start_goes_on_where_the_group_stood(deployment: Deployment) {
    deployment.write("in/a.csv", format!("id,name\n{}", lines(0, 3000)));
    // At least once, stopped in the middle.
    let running = deployment.start(&body(false)).await;
    running.when_settled("table", 300).await;
    let ended = running.drain().await;
    assert_eq!(ended.outcome, Outcome::Clean);
    let first = row(&ended.snapshot, "table").delivered;
    assert!(deployment.query("SELECT name FROM sqlite_schema WHERE name = '_wharf_offsets'").is_empty());

    deployment.append("in/a.csv", &lines(3000, 3100));
    let ended = deployment.until_done(&body(true)).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(arrived(&deployment), numbers(3100), "none lost, none twice");
    assert_eq!(counts(&ended.snapshot, "table")[0], 3100 - first, "it went on from the group's offsets");
    assert_eq!(deployment.query("SELECT count(*) FROM _wharf_offsets"), ["3"], "a row for each partition");

    // From now on it is exactly once, whatever happens to it.
    deployment.append("in/a.csv", &lines(3100, 4000));
    let running = deployment.start(&body(true)).await;
    running.when_settled("table", 120).await;
    running.kill().await;
    assert_eq!(deployment.until_done(&body(true)).await.outcome, Outcome::Clean);
    assert_eq!(arrived(&deployment), numbers(4000));
}

#[tokio::test]
async fn the_first_exactly_once_start_goes_on_where_the_group_stood_on_the_embedded_log() {
    the_first_exactly_once_start_goes_on_where_the_group_stood(Deployment::embedded()).await;
}

#[tokio::test]
async fn the_first_exactly_once_start_goes_on_where_the_group_stood_on_kafka() {
    let Some(deployment) = Deployment::kafka("flow_switch") else { return };
    the_first_exactly_once_start_goes_on_where_the_group_stood(deployment).await;
}

#[tokio::test]
async fn after_a_time_at_least_once_the_database_still_counts_until_it_is_set() {
    let deployment = Deployment::embedded();
    deployment.write("in/a.csv", format!("id,name\n{}", lines(0, 100)));
    deployment.until_done(&body(true)).await;
    deployment.append("in/a.csv", &lines(100, 150));
    deployment.until_done(&body(false)).await;
    assert_eq!(arrived(&deployment), numbers(150), "the way back loses none");
    // A database that was restored from a backup looks the same: its own rows say what it has.
    let ended = deployment.until_done(&body(true)).await;
    assert_eq!(counts(&ended.snapshot, "table"), [50, 0, 50, 0, 0]);
}
