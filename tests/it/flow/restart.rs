//! Stopping and starting again, drained or killed: files → topic → table, and nothing twice in a table that takes every row.

use wharf_runtime::supervisor::Outcome;

use super::*;

/// Files into a topic of three partitions and from it into a table without a key: a row that comes twice is there twice.
const FILES_TO_TABLE: &str = r#"
[topic."{t}orders"]
partitions = 3

[connection.warehouse]
url = "{url}"

[[source]]
name = "files"
component = "csv"
topic = "{t}orders"
allow.files = ["in"]
config = { path = "in", pattern = "*.csv", key = ["id"], types = { id = "int" }, interval = "100ms" }
batch = { records = 50 }

[[sink]]
name = "table"
component = "sql"
topics = ["{t}orders"]
allow.sql = ["warehouse"]
config = { connection = "warehouse", table = "orders" }
batch = { records = 40 }
"#;

fn sqlite() -> String {
    FILES_TO_TABLE.replace("{url}", "sqlite://warehouse.sqlite")
}

fn lines(from: usize, to: usize) -> String {
    (from..to).map(|n| format!("{n},thing {n}\n")).collect()
}

fn arrived(deployment: &Deployment) -> Vec<String> {
    deployment.query("SELECT id FROM orders ORDER BY id")
}

fn numbers(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| n.to_string()).collect()
}

#[tokio::test]
async fn after_a_drain_in_the_middle_positions_and_offsets_go_on_and_nothing_comes_twice() {
    let deployment = Deployment::embedded();
    deployment.write("in/a.csv", format!("id,name\n{}", lines(0, 3000)));
    let running = deployment.start(&sqlite()).await;
    running.when_settled("table", 300).await;
    let ended = running.drain().await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert!(ended.snapshot.adds_up(), "{ended:#?}");
    let first = row(&ended.snapshot, "table").delivered;
    assert_eq!(arrived(&deployment).len() as u64, first, "what was counted is there");
    let moved = row(&ended.snapshot, "files").delivered;
    assert_eq!(deployment.read("orders").await.len() as u64, moved);

    deployment.append("in/a.csv", &lines(3000, 3100));
    let ended = deployment.until_done(&sqlite()).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(arrived(&deployment), numbers(0, 3100));
    assert_eq!(counts(&ended.snapshot, "files")[0], 3100 - moved, "positions went on");
    assert_eq!(counts(&ended.snapshot, "table")[0], 3100 - first, "offsets went on");

    let ended = deployment.until_done(&sqlite()).await;
    assert_eq!((counts(&ended.snapshot, "files"), counts(&ended.snapshot, "table")), ([0; 5], [0; 5]));
}

#[tokio::test]
async fn after_kills_in_the_middle_every_record_arrives_exactly_once() {
    let deployment = Deployment::embedded();
    deployment.write("in/a.csv", format!("id,name\n{}", lines(0, 3000)));
    for kill in 1..=4 {
        // More than it can have done when it is killed, as a transaction of the sink may hold all that waits.
        let from = 3000 * usize::try_from(kill).unwrap();
        deployment.append("in/a.csv", &lines(from, from + 3000));
        let running = deployment.start(&sqlite()).await;
        running.when_settled("table", 120 + kill * 37).await;
        running.kill().await;
    }
    let ended = deployment.until_done(&sqlite()).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(arrived(&deployment), numbers(0, 15_000));
    let topic = deployment.read("orders").await;
    assert_eq!(topic.len(), 15_000, "records and positions moved together");
}

#[tokio::test]
async fn offsets_in_the_table_s_database_count_where_the_log_s_own_are_behind() {
    let deployment = Deployment::embedded();
    deployment.write("in/a.csv", format!("id,name\n{}", lines(0, 200)));
    deployment.until_done(&sqlite()).await;
    // The log's group follows best effort: here it was never told.
    let log = rusqlite::Connection::open(deployment.path("state/log.sqlite")).unwrap();
    assert!(log.execute("DELETE FROM offsets", []).unwrap() > 0);
    drop(log);
    let ended = deployment.until_done(&sqlite()).await;
    assert_eq!(counts(&ended.snapshot, "table"), [0; 5]);
    assert_eq!(arrived(&deployment), numbers(0, 200));
}

#[tokio::test]
async fn on_kafka_and_postgresql_every_record_arrives_exactly_once_over_drains_and_kills() {
    let test = "flow_exactly_once";
    let (Some(deployment), Some(db)) = (Deployment::kafka(test), crate::sql::database::Postgres::new(test).await) else { return };
    deployment.write("in/a.csv", format!("id,name\n{}", lines(0, 3000)));
    let body = FILES_TO_TABLE.replace("{url}", &db.url);
    let running = deployment.start(&body).await;
    running.when_settled("table", 200).await;
    let ended = running.drain().await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert!(ended.snapshot.adds_up());
    for kill in 1..=2 {
        // As above: more than one transaction of the sink can have taken.
        let from = 3000 * usize::try_from(kill).unwrap();
        deployment.append("in/a.csv", &lines(from, from + 3000));
        let running = deployment.start(&body).await;
        running.when_settled("table", 100 * kill).await;
        running.kill().await;
    }
    deployment.append("in/a.csv", &lines(9000, 9050));
    let ended = deployment.until_done(&body).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    let rows = db.raw.query("SELECT id::text FROM orders ORDER BY orders.id", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>(), numbers(0, 9050));
    assert_eq!(deployment.read("orders").await.len(), 9050);
    let ended = deployment.until_done(&body).await;
    assert_eq!((counts(&ended.snapshot, "files"), counts(&ended.snapshot, "table")), ([0; 5], [0; 5]));
}

async fn what_came_while_a_sink_that_starts_at_the_end_was_away_is_delivered(deployment: Deployment) {
    for once in [true, false] {
        let table = format!("once_{once}");
        let body = ledger("", &format!("exactly-once = {once}\nstart = \"latest\""));
        let body = body
            .replace("name = \"ledger\"", &format!("name = \"{table}\""))
            .replace("table = \"ledger\"", &format!("table = \"{table}\""));
        deployment.produce_values("orders", &["before"]).await;
        // It has its place, and nothing to deliver.
        assert_eq!(deployment.until_done(&body).await.outcome, Outcome::Clean);
        deployment.produce_values("orders", &["a", "b"]).await;
        let ended = deployment.until_done(&body).await;
        assert_eq!(counts(&ended.snapshot, &table), [2, 0, 2, 0, 0], "exactly-once = {once}");
        assert_eq!(entered(&deployment, &table), ["a", "b"]);
    }
}

#[tokio::test]
async fn what_came_while_a_sink_that_starts_at_the_end_was_away_is_delivered_on_the_embedded_log() {
    what_came_while_a_sink_that_starts_at_the_end_was_away_is_delivered(Deployment::embedded()).await;
}

#[tokio::test]
async fn what_came_while_a_sink_that_starts_at_the_end_was_away_is_delivered_on_kafka() {
    let Some(deployment) = Deployment::kafka("flow_latest") else { return };
    what_came_while_a_sink_that_starts_at_the_end_was_away_is_delivered(deployment).await;
}
