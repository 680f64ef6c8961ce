//! Deletions: a tombstone becomes a row that queries and merges can go by.

use super::*;

const COLUMNS: &str = "id UInt32, note Nullable(String), noted UInt8 DEFAULT 1, _deleted UInt8";
const CONFIG: &str = r#", key = ["id"], deleted = "_deleted""#;
/// As in the connector's README.
const PRESENT: &str =
    "SELECT id, note FROM (SELECT * FROM orders ORDER BY id, _offset DESC LIMIT 1 BY id) WHERE NOT _deleted ORDER BY id";

/// Order 1 stays, 2 is deleted, 3 is deleted and made again, 4 was never there, and 1 loses its note.
const HISTORY: [(&str, Option<&str>); 8] = [
    ("1", Some(r#"{"id":1,"note":"one"}"#)),
    ("2", Some(r#"{"id":2,"note":"two"}"#)),
    ("3", Some(r#"{"id":3,"note":"three"}"#)),
    ("2", None),
    (r#"{"id":3}"#, None),
    ("4", None),
    ("3", Some(r#"{"id":3,"note":"again"}"#)),
    ("1", Some(r#"{"note":null}"#)),
];

async fn produce_history(deployment: &Deployment) {
    let records: Vec<_> = HISTORY.iter().map(|(key, value)| (Some(*key), value.map(str::as_bytes))).collect();
    deployment.produce("orders", 1, &records).await;
}

#[tokio::test]
async fn a_deleted_key_is_left_out_by_a_query_and_each_tombstone_is_there_once() {
    let Some(db) = Database::with_orders("a_deleted_key_is_left_out", &format!("{COLUMNS}, {PLACE}")).await else { return };
    let deployment = Deployment::embedded();
    produce_history(&deployment).await;
    for _ in 0..2 {
        let ended = deployment.until_done(&events(&db, CONFIG, "")).await;
        assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
        assert_eq!(counts(&ended.snapshot, "events"), [8, 0, 8, 0, 0]);
        assert_eq!(db.query(PRESENT).await, ["1|\\N", "3|again"]);
        let tombstones = db.query("SELECT id, note, noted, _offset FROM orders WHERE _deleted ORDER BY _offset").await;
        assert_eq!(tombstones, ["2|\\N|1|3", "3|\\N|1|4", "4|\\N|1|5"]);
        assert_eq!(db.query("SELECT count(), uniqExact(_offset) FROM orders").await, ["8|8"]);
        // From the beginning once more, as after a group whose offsets were lost.
        let log = rusqlite::Connection::open(deployment.path("state/log.sqlite")).unwrap();
        assert_eq!(log.execute("DELETE FROM offsets WHERE grp = 'wharf.flow.events'", []).unwrap(), 1);
    }
}

#[tokio::test]
async fn a_table_whose_merges_keep_the_newest_row_keeps_the_deletion() {
    let Some(db) = Database::new("a_table_whose_merges_keep_the_newest").await else { return };
    let columns = format!("{COLUMNS}, _offset Int64");
    db.execute(&format!("CREATE TABLE orders ({columns}) ENGINE = ReplacingMergeTree(_offset) ORDER BY id")).await;
    let deployment = Deployment::embedded();
    produce_history(&deployment).await;
    let ended = deployment.until_done(&events(&db, &format!("{CONFIG}, deduplicate = \"none\""), "")).await;
    assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
    assert_eq!(db.query("SELECT id, note FROM orders FINAL WHERE NOT _deleted ORDER BY id").await, ["1|\\N", "3|again"]);
    assert_eq!(db.query("SELECT id FROM orders FINAL WHERE _deleted ORDER BY id").await, ["2", "4"]);
}

#[tokio::test]
async fn a_tombstone_whose_key_cannot_be_read_is_a_dead_letter_of_its_own() {
    let Some(db) = Database::with_orders("a_tombstone_whose_key_cannot_be_read", &format!("{COLUMNS}, {PLACE}")).await else {
        return;
    };
    let deployment = Deployment::embedded();
    let records = [(Some("order 1"), None), (Some("2"), None), (None, None), (Some("-3"), None)];
    deployment.produce("orders", 1, &records).await;
    let ended = deployment.until_done(&events(&db, CONFIG, "")).await;
    assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
    assert_eq!(db.query("SELECT id, _deleted FROM orders").await, ["2|1"]);
    let dead = deployment.read("dlq.flow.events").await;
    let told: Vec<_> = dead.iter().map(|row| (row.code(), row.key.as_deref())).collect();
    let expected = [("key.json", Some("order 1")), ("key.missing", None), ("clickhouse.type", Some("-3"))];
    assert_eq!(told, expected);
}
