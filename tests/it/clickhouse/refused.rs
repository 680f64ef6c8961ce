//! What the server refuses.

use super::*;

/// A value for a `Nested`, whose arrays have to be of one length: that the server alone finds.
pub fn paired(n: usize, uneven: bool) -> String {
    let b = if uneven { "[1]" } else { "[1,2]" };
    format!(r#"{{"n":{n},"pair.a":[1,2],"pair.b":{b}}}"#)
}

#[tokio::test]
async fn a_record_that_the_server_refuses_becomes_a_dead_letter_alone() {
    let columns = format!("n UInt32, pair Nested(a UInt8, b UInt8), {PLACE}");
    let Some(db) = Database::with_orders("a_record_that_the_server_refuses", &columns).await else { return };
    let deployment = Deployment::embedded();
    let values: Vec<String> = (0..20).map(|n| paired(n, n == 13)).collect();
    deployment.produce_values("orders", &values.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let ended = deployment.until_done(&events(&db, "", "")).await;
    assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
    assert_eq!(letters(&deployment).await, [("clickhouse.190".to_owned(), values[13].clone())]);
    assert_eq!(db.query("SELECT count(), uniqExact(n), countIf(n = 13) FROM orders").await, ["19|19|0"]);
    assert_eq!(counts(&ended.snapshot, "events"), [20, 0, 19, 0, 1]);
}

#[tokio::test]
async fn rows_for_many_partitions_of_a_table_are_there_once() {
    let Some(db) = Database::new("rows_for_many_partitions_of_a_table").await else { return };
    db.execute(&format!("CREATE TABLE orders (n UInt32, {PLACE}) ENGINE = MergeTree PARTITION BY n ORDER BY n")).await;
    let deployment = Deployment::embedded();
    produce(&deployment, 1, &numbered(0, 150)).await;
    let ended = deployment.until_done(&events(&db, "", "")).await;
    assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
    assert_eq!(db.query("SELECT count(), uniqExact(n) FROM orders").await, ["150|150"]);
}

#[tokio::test]
async fn a_table_whose_columns_have_longer_names_than_an_address_takes_is_written() {
    let names: Vec<String> = (0..150).map(|n| format!("{}{n}", "a_name_".repeat(20))).collect();
    let columns: Vec<String> = names.iter().map(|name| format!("{name} UInt8")).collect();
    let columns = format!("{}, {PLACE}", columns.join(", "));
    let Some(db) = Database::with_orders("a_table_whose_columns_have_longer_names", &columns).await else { return };
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &[&format!("{{\"{}\": 7}}", names[149])]).await;
    let ended = deployment.until_done(&events(&db, "", "")).await;
    assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
    assert_eq!(db.query(&format!("SELECT {}, {} FROM orders", names[0], names[149])).await, ["0|7"]);
}

#[tokio::test]
async fn records_that_a_transform_has_routed_elsewhere_stop_a_sink_that_knows_them_by_their_place() {
    let Some(db) = Database::with_orders("records_that_a_transform_has_routed", &format!("n UInt32, {PLACE}")).await else {
        return;
    };
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &[r#"{"n":0}"#]).await;
    let routed = "[[sink.transform]]\nroute = { to = \"elsewhere\" }";
    let ended = deployment.until_done(&events(&db, "", routed)).await;
    assert_eq!(ended.outcome, Outcome::AllFailed);
    let why = reason(&ended.snapshot, "events");
    assert!(why.contains("routed a record to topic `elsewhere`"), "{why}");
    assert_eq!(db.query("SELECT count() FROM orders").await, ["0"]);
    let ended = deployment.until_done(&events(&db, ", deduplicate = \"none\"", routed)).await;
    assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
    assert_eq!(db.query("SELECT n, _topic FROM orders").await, ["0|elsewhere"]);
}

#[tokio::test]
async fn a_sink_without_its_table_stops_and_says_so_and_goes_on_when_it_is_there() {
    let Some(db) = Database::new("a_sink_without_its_table").await else { return };
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &[r#"{"n":0}"#]).await;
    for (make, expected) in [
        ("", "create it"),
        ("CREATE TABLE orders (n UInt32) ENGINE = MergeTree ORDER BY n", "ADD COLUMN `_topic` String"),
        (
            "ALTER TABLE orders ADD COLUMN _topic String, ADD COLUMN _partition Int32, ADD COLUMN _offset Int64",
            "`_timestamp` Int64",
        ),
    ] {
        if !make.is_empty() {
            db.execute(make).await;
        }
        let ended = deployment.until_done(&events(&db, "", "")).await;
        assert_eq!(ended.outcome, Outcome::AllFailed);
        let why = reason(&ended.snapshot, "events");
        assert!(why.contains(expected), "{why}");
    }
    db.execute("ALTER TABLE orders ADD COLUMN _timestamp Int64").await;
    assert_eq!(deployment.until_done(&events(&db, "", "")).await.outcome, Outcome::Clean);
    assert_eq!(db.query("SELECT n FROM orders").await, ["0"]);
    assert_eq!(letters(&deployment).await, []);
}

#[tokio::test]
async fn wrong_credentials_stop_the_sink_and_right_ones_are_put_on_by_the_host() {
    let Some(db) = Database::with_orders("wrong_credentials_stop_the_sink", &format!("n UInt32, {PLACE}")).await else { return };
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &[r#"{"n":0}"#]).await;
    let host = db.url.strip_prefix("http://").unwrap();
    let with = |password: &str| {
        let auth = format!("[sink.auth.\"{host}\"]\nbasic = {{ user = \"wharf\", password = \"{password}\" }}");
        events(&db, "", &auth)
    };
    let ended = deployment.until_done(&with("wrong")).await;
    assert_eq!(ended.outcome, Outcome::AllFailed, "{ended:#?}");
    let why = reason(&ended.snapshot, "events");
    assert!(why.contains(&format!("[sink.auth.\"{host}\"]")), "{why}");
    assert_eq!(deployment.until_done(&with("secret")).await.outcome, Outcome::Clean);
    assert_eq!(db.query("SELECT n FROM orders").await, ["0"]);
}
