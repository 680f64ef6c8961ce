//! Each record once, over kills and dead letters that were not written.

use std::time::Duration;

use super::*;
use crate::flow::deployment::{Running, row};

#[tokio::test]
async fn after_kills_in_the_middle_every_record_is_there_once() {
    let Some(db) = Database::with_orders("after_kills_every_record_is_there_once", &format!("n UInt32, {PLACE}")).await else {
        return;
    };
    let deployment = Deployment::embedded();
    produce(&deployment, 3, &numbered(0, 6000)).await;
    let body = events(&db, "", "batch = { records = 20 }");
    for kill in 1..=5 {
        let running = deployment.start(&body).await;
        running.when("it has written some", |snapshot| task(snapshot, "events").delivered >= 40 * kill).await;
        running.kill().await;
    }
    let before: usize = db.query("SELECT count() FROM orders").await[0].parse().unwrap();
    assert!((200..6000).contains(&before), "{before}");
    let ended = deployment.until_done(&body).await;
    assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
    assert_eq!(db.query("SELECT count(), uniqExact(n), uniqExact(_partition, _offset) FROM orders").await, ["6000|6000|6000"]);
    // From the beginning once more, as after a group whose offsets were lost.
    let log = rusqlite::Connection::open(deployment.path("state/log.sqlite")).unwrap();
    assert_eq!(log.execute("DELETE FROM offsets WHERE grp = 'wharf.flow.events'", []).unwrap(), 3);
    drop(log);
    let ended = deployment.until_done(&body).await;
    assert_eq!(counts(&ended.snapshot, "events"), [6000, 0, 6000, 0, 0]);
    assert_eq!(db.query("SELECT count() FROM orders").await, ["6000"]);
}

#[tokio::test]
async fn a_dead_letter_that_was_not_written_is_written_later_and_no_row_is_there_twice() {
    let Some(db) = Database::with_orders("a_dead_letter_that_was_not_written", &format!("n UInt32, {PLACE}")).await else {
        return;
    };
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &[r#"{"n":0}"#, r#"{"n":-1}"#, r#"{"n":2}"#]).await;
    // The window stops the sink between the rows, which are written, and the dead letter, which is not.
    let ended = deployment.until_done(&events(&db, "", "dead-letter.window = { size = 10, limit = 0 }")).await;
    assert_eq!(ended.outcome, Outcome::AllFailed, "{ended:#?}");
    assert_eq!(db.query("SELECT n FROM orders ORDER BY n").await, ["0", "2"]);
    assert_eq!(letters(&deployment).await, []);
    let ended = deployment.until_done(&events(&db, "", "")).await;
    assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
    assert_eq!(db.query("SELECT n FROM orders ORDER BY n").await, ["0", "2"]);
    assert_eq!(letters(&deployment).await, [("clickhouse.type".to_owned(), r#"{"n":-1}"#.to_owned())]);
}

#[tokio::test]
async fn rows_of_an_older_topic_of_that_name_stop_the_sink() {
    let Some(db) = Database::with_orders("rows_of_an_older_topic", &format!("n UInt32, {PLACE}")).await else { return };
    db.execute("INSERT INTO orders VALUES (7, 'orders', 0, 0, 1600000000000)").await;
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &[r#"{"n":0}"#]).await;
    let ended = deployment.until_done(&events(&db, "", "")).await;
    assert_eq!(ended.outcome, Outcome::AllFailed);
    let why = reason(&ended.snapshot, "events");
    assert!(why.contains("another topic of that name"), "{why}");
    assert_eq!(db.query("SELECT n FROM orders").await, ["7"]);
}

#[tokio::test]
async fn without_deduplication_a_table_of_any_engine_takes_the_rows() {
    let Some(db) = Database::new("without_deduplication").await else { return };
    db.execute("CREATE TABLE orders (n UInt32, _offset Int64) ENGINE = ReplacingMergeTree(_offset) ORDER BY n").await;
    let deployment = Deployment::embedded();
    produce(&deployment, 1, &[numbered(0, 3), numbered(1, 2)].concat()).await;
    let ended = deployment.until_done(&events(&db, ", deduplicate = \"none\"", "")).await;
    assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
    db.execute("OPTIMIZE TABLE orders FINAL").await;
    assert_eq!(db.query("SELECT n, _offset FROM orders ORDER BY n").await, ["0|0", "1|3", "2|2"]);
}

#[tokio::test]
async fn an_insert_of_a_worker_that_is_gone_is_waited_for() {
    is_waited_for("an_insert_of_a_worker_that_is_gone", "wharf:events", "").await;
}

#[tokio::test]
async fn an_insert_that_a_proxy_has_given_another_id_is_waited_for() {
    is_waited_for("an_insert_that_a_proxy_has_given_another_id", "proxy", "/* wharf:events */").await;
}

/// Waits for an insert whose id begins so, and whose statement has this comment.
async fn is_waited_for(test: &str, id: &str, comment: &str) {
    let Some(db) = Database::with_orders(test, &format!("n UInt32, {PLACE}")).await else { return };
    let deployment = Deployment::embedded();
    // Until it has run once its start takes too long: the component is compiled.
    deployment.produce_values("orders", &[r#"{"n":0}"#]).await;
    assert_eq!(deployment.until_done(&events(&db, "", "")).await.outcome, Outcome::Clean);
    deployment.produce_values("orders", &[r#"{"n":1}"#]).await;
    // What a worker sent just before it was killed, and what takes the server a while.
    let sent = format!(
        "INSERT INTO `{}`.`orders` {comment} SELECT toUInt32(max(s)) + 1, 'orders', 0, 1, 1700000000000 \
         FROM (SELECT sleep(2) AS s FROM numbers(4))",
        db.name
    );
    let (url, path) = (db.url.clone(), format!("/?database={}&max_block_size=1&query_id={id}:{}", db.name, db.name));
    let slow = tokio::spawn(async move { database::send(&url, &path, sent.as_bytes()).await });
    let began = format!("SELECT count() FROM system.processes WHERE query_id LIKE '%:{}'", db.name);
    db.when(&began, &["1"]).await;
    let running = deployment.start(&events(&db, "", "")).await;
    let snapshot = running.when("it waits", |snapshot| task(snapshot, "events").state == TaskState::Retrying).await;
    assert!(reason(&snapshot, "events").contains("still under way"), "{snapshot:#?}");
    running.when_settled("events", 1).await;
    assert_eq!(running.drain().await.outcome, Outcome::Clean);
    assert_eq!(tokio::time::timeout(Duration::from_secs(60), slow).await.unwrap().unwrap().0, 200);
    assert_eq!(db.query("SELECT n, _offset FROM orders ORDER BY n").await, ["0|0", "1|1"]);
}

#[tokio::test]
async fn tasks_of_two_workers_of_which_one_is_killed_write_each_record_once() {
    let test = "clickhouse_two_workers";
    let columns = format!("n UInt32, {PLACE}");
    let (Some(deployment), Some(db)) = (Deployment::kafka(test), Database::with_orders(test, &columns).await) else { return };
    let body = events(&db, "", "tasks = 2\nbatch = { records = 20 }");
    produce(&deployment, 6, &numbered(0, 500)).await;
    let first = deployment.start(&body).await;
    first.when("it has written some", |snapshot| row(snapshot, "events").delivered >= 50).await;
    let other = deployment.beside();
    let second = other.start(&body).await;
    // Partitions move while records come.
    let mut sent = 500;
    while row_or_none(&second) < 100 {
        assert!(sent < 20_000, "the second gets nothing");
        produce(&deployment, 6, &numbered(sent, sent + 500)).await;
        sent += 500;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    produce(&deployment, 6, &numbered(sent, sent + 1000)).await;
    sent += 1000;
    first.kill().await;
    let all = format!("{sent}|{sent}|{sent}");
    db.when("SELECT count(), uniqExact(n), uniqExact(_partition, _offset) FROM orders", &[&all]).await;
    assert_eq!(second.drain().await.outcome, Outcome::Clean);
    assert_eq!(db.query("SELECT count() FROM orders").await, [sent.to_string()]);
    // From the beginning once more, under another group.
    let body = body.replace("{t}", &format!("{}.", deployment.name())).replace("records = 20", "records = 1000");
    let ended = deployment.renamed("again").until_done(&body).await;
    assert_eq!(counts(&ended.snapshot, "events")[2], u64::try_from(sent).unwrap());
    assert_eq!(db.query("SELECT count() FROM orders").await, [sent.to_string()]);
}

/// What a worker has delivered so far; it may not have begun.
fn row_or_none(running: &Running) -> u64 {
    let connectors = running.telemetry.snapshot().connectors();
    connectors.iter().find(|row| row.connector == "events").map_or(0, |row| row.delivered)
}
