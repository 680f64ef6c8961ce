//! A server that is not there for a while, and inserts that do not get there whole, or whose answer does not come back.

use tokio::net::TcpListener;

use super::gate::{Gate, Mishap};
use super::*;

#[tokio::test]
async fn a_server_that_is_down_is_waited_for() {
    let Some(db) = Database::with_orders("a_server_that_is_down_is_waited_for", &format!("n UInt32, {PLACE}")).await else {
        return;
    };
    let deployment = Deployment::embedded();
    produce(&deployment, 2, &numbered(0, 10)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let running = deployment.start(&events_at(&format!("http://{address}"), &db.name, "", "")).await;
    running
        .when("it waits", |snapshot| {
            let row = task(snapshot, "events");
            assert_ne!(row.state, TaskState::Failed, "{row:#?}");
            row.state == TaskState::Retrying && row.retried > 3
        })
        .await;
    Gate::new(&db, "", &[]).serve(TcpListener::bind(address).await.unwrap());
    running.when_settled("events", 10).await;
    let ended = running.drain().await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "events")), (Outcome::Clean, [10, 0, 10, 0, 0]));
    assert_eq!(db.query("SELECT count(), uniqExact(n) FROM orders").await, ["10|10"]);
    assert_eq!(letters(&deployment).await, []);
}

#[tokio::test]
async fn an_insert_whose_answer_does_not_come_is_not_repeated() {
    let Some(db) = Database::with_orders("an_insert_whose_answer_does_not_come", &format!("n UInt32, {PLACE}")).await else {
        return;
    };
    let deployment = Deployment::embedded();
    produce(&deployment, 2, &numbered(0, 100)).await;
    let gate = Gate::new(&db, "", &[Mishap::Silent; 3]);
    let body = events_at(&gate.open().await, &db.name, "", "batch = { records = 10 }");
    let ended = deployment.until_done(&body).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "events")), (Outcome::Clean, [100, 0, 100, 0, 0]));
    assert_eq!(gate.mishaps_left(), 0, "three answers were kept back");
    assert_eq!(db.query("SELECT count(), uniqExact(n) FROM orders").await, ["100|100"]);
    let rows = gate.rows.lock().unwrap().clone();
    assert!(rows.is_sorted_by(|before, after| before < after), "no insert was sent for nothing: {rows:?}");
}

#[tokio::test]
async fn a_success_with_an_exception_in_its_headers_is_none() {
    let Some(db) = Database::with_orders("a_success_with_an_exception", &format!("n UInt32, {PLACE}")).await else { return };
    let deployment = Deployment::embedded();
    produce(&deployment, 1, &numbered(0, 100)).await;
    let gate = Gate::new(&db, "", &[Mishap::Exception; 2]);
    let body = events_at(&gate.open().await, &db.name, "", "batch = { records = 50 }");
    let ended = deployment.until_done(&body).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "events")), (Outcome::Clean, [100, 0, 100, 0, 0]));
    assert_eq!(gate.mishaps_left(), 0, "two inserts did not get there");
    assert_eq!(db.query("SELECT count(), uniqExact(n) FROM orders").await, ["100|100"]);
}

#[tokio::test]
async fn an_insert_that_is_cut_short_leaves_nothing_and_comes_again_whole() {
    let Some(db) = Database::with_orders("an_insert_that_is_cut_short", &format!("n UInt32, {PLACE}")).await else { return };
    let deployment = Deployment::embedded();
    produce(&deployment, 1, &numbered(0, 100)).await;
    // Number, text of six characters and its length, partition, offset, time: the first two are cut between two rows.
    let row = 4 + 7 + 4 + 8 + 8;
    let gate = Gate::new(&db, "", &[Mishap::Cut(5 * row), Mishap::Cut(49 * row), Mishap::Cut(1), Mishap::Cut(50 * row + 30)]);
    let body = events_at(&gate.open().await, &db.name, "", "batch = { records = 50, linger = \"2s\" }");
    let ended = deployment.until_done(&body).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "events")), (Outcome::Clean, [100, 0, 100, 0, 0]));
    assert_eq!(*gate.rows.lock().unwrap(), [0, 0, 0, 0, 50, 100]);
    assert_eq!(db.query("SELECT count(), uniqExact(n) FROM orders").await, ["100|100"]);
    assert_eq!(letters(&deployment).await, []);
}

#[tokio::test]
async fn rows_that_a_refused_insert_has_left_in_the_table_are_not_there_twice() {
    let columns = format!("n UInt32, pair Nested(a UInt8, b UInt8), {PLACE}");
    let Some(db) = Database::with_orders("rows_that_a_refused_insert_has_left", &columns).await else { return };
    let deployment = Deployment::embedded();
    let values: Vec<_> = (0..100).map(|n| refused::paired(n, n == 35)).collect();
    deployment.produce_values("orders", &values.iter().map(String::as_str).collect::<Vec<_>>()).await;
    // The server takes an insert in blocks of ten rows, and refuses the fourth.
    let settings = "&max_insert_block_size=10&min_insert_block_size_rows=1&min_insert_block_size_bytes=1";
    let gate = Gate::new(&db, settings, &[]);
    let body = events_at(&gate.open().await, &db.name, "", "batch = { records = 100, linger = \"2s\" }");
    let ended = deployment.until_done(&body).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "events")), (Outcome::Clean, [100, 0, 99, 0, 1]));
    assert_eq!(gate.rows.lock().unwrap().first(), Some(&30), "what the refused insert has left");
    assert_eq!(db.query("SELECT count(), uniqExact(n), countIf(n = 35) FROM orders").await, ["99|99|0"]);
    assert_eq!(letters(&deployment).await, [("clickhouse.190".to_owned(), values[35].clone())]);
}
