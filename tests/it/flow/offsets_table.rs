//! Several sinks that keep their offsets in the one `_wharf_offsets` of a database they share: none disturbs another.

use wharf_runtime::supervisor::Outcome;
use wharf_runtime::telemetry::TaskState;

use super::*;

/// Exactly once into a table of its own name; `t` is the prefix of its topic.
fn into(table: &str, url: &str, t: &str) -> String {
    let body = ledger("", "batch = { records = 2 }").replace("sqlite://warehouse.sqlite", url);
    body.replace("table = \"ledger\"", &format!("table = \"{table}\"")).replace("{t}", t)
}

#[tokio::test]
async fn two_sinks_of_one_topic_keep_offsets_of_their_own() {
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &["a", "b", "c"]).await;
    let (one, both) = (ledger("", ""), format!("{}{NEIGHBOUR}", ledger("", "batch = { records = 1 }")));
    assert_eq!(deployment.until_done(&one).await.outcome, Outcome::Clean);
    let ended = deployment.until_done(&both).await;
    assert_eq!((counts(&ended.snapshot, "ledger"), counts(&ended.snapshot, "neighbour")), ([0; 5], [3, 0, 3, 0, 0]));
    deployment.produce_values("orders", &["d", "e"]).await;
    assert_eq!(deployment.until_done(&both).await.outcome, Outcome::Clean);
    for table in ["ledger", "neighbour"] {
        assert_eq!(entered(&deployment, table), ["a", "b", "c", "d", "e"]);
    }
    let stored = "SELECT consumer_group, next_offset FROM _wharf_offsets ORDER BY 1";
    assert_eq!(deployment.query(stored), ["wharf.flow.ledger|5", "wharf.flow.neighbour|5"]);
}

/// Deployments of one name on logs of their own: their groups and topics have the same names.
#[tokio::test]
async fn two_deployments_on_logs_of_their_own_keep_apart_in_one_database() {
    let (first, second) = (Deployment::embedded(), Deployment::embedded());
    let url = format!("sqlite://{}", first.path("warehouse.sqlite").display());
    first.produce_values("orders", &["a", "b", "c"]).await;
    second.produce_values("orders", &["x", "y", "z", "z"]).await;
    assert_eq!(first.until_done(&into("first", &url, "")).await.outcome, Outcome::Clean);
    let running = second.start(&into("second", &url, "")).await;
    running.when_settled("ledger", 4).await;
    first.produce_values("orders", &["d"]).await;
    assert_eq!(first.until_done(&into("first", &url, "")).await.outcome, Outcome::Clean);
    running.drain().await;
    assert_eq!(entered(&first, "first"), ["a", "b", "c", "d"]);
    assert_eq!(entered(&first, "second"), ["x", "y", "z", "z"]);
    assert_eq!(first.query("SELECT next_offset FROM _wharf_offsets"), ["4", "4"]);
    assert_eq!(first.query("SELECT count(DISTINCT log_id) FROM _wharf_offsets"), ["2"]);
}

/// Deployments of two names that read the same topic of one Kafka into one database, at the same time.
#[tokio::test]
async fn two_deployments_of_one_topic_keep_apart_in_one_database() {
    let test = "flow_two_deployments";
    let (Some(first), Some(db)) = (Deployment::kafka(test), crate::sql::database::Postgres::new(test).await) else { return };
    let second = first.renamed("second");
    let values: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    let values: Vec<_> = values.iter().map(String::as_str).collect();
    first.produce_values("orders", &values[..50]).await;
    let t = first.topic("");
    let (one, two) = (into("first", &db.url, &t), into("second", &db.url, &t));
    // What the one has read says nothing of the other.
    assert_eq!(first.until_done(&one).await.outcome, Outcome::Clean);
    first.produce_values("orders", &values[50..]).await;
    for _ in 0..2 {
        let (a, b) = tokio::join!(first.until_done(&one), second.until_done(&two));
        assert_eq!((a.outcome, b.outcome), (Outcome::Clean, Outcome::Clean));
    }
    for table in ["first", "second"] {
        let rows = db.raw.query(&format!("SELECT value FROM {table} ORDER BY \"offset\""), &[]).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>(), values, "{table}");
    }
    let rows = db.raw.query("SELECT consumer_group, next_offset FROM _wharf_offsets ORDER BY 1", &[]).await.unwrap();
    let stored: Vec<_> = rows.iter().map(|row| (row.get::<_, String>(0), row.get::<_, i64>(1))).collect();
    let group = |deployment: &Deployment| format!("wharf.{}.ledger", deployment.name());
    let mut expected = [(group(&first), 100), (group(&second), 100)];
    expected.sort();
    assert_eq!(stored, expected);
}

/// Writes one record more while its offsets stand in a table that has lost its key and has each row twice, then mends it.
async fn a_sink_whose_offsets_are_doubled(
    deployment: &Deployment,
    body: &str,
    execute: impl AsyncFn(&str),
    rows: impl AsyncFn() -> usize,
) {
    let made_anew = |select: &str| {
        format!("CREATE TABLE copy AS {select}; DROP TABLE _wharf_offsets; ALTER TABLE copy RENAME TO _wharf_offsets")
    };
    deployment.produce_values("orders", &["a", "b", "c"]).await;
    assert_eq!(deployment.until_done(body).await.outcome, Outcome::Clean);
    execute(&made_anew("SELECT * FROM _wharf_offsets UNION ALL SELECT * FROM _wharf_offsets")).await;
    deployment.produce_values("orders", &["d"]).await;
    let ended = deployment.until_done(body).await;
    assert_eq!((ended.outcome, task(&ended.snapshot, "ledger").state), (Outcome::AllFailed, TaskState::Failed));
    let why = reason(&ended.snapshot, "ledger");
    let told = ["connection `warehouse`", "`_wharf_offsets`", "2 rows of partition orders/0 of group `wharf.flow.ledger`"];
    assert!(told.iter().all(|part| why.contains(part)), "{why}");
    assert_eq!(rows().await, 3, "nothing is written that could not be told from what is there");

    execute(&made_anew("SELECT DISTINCT * FROM _wharf_offsets")).await;
    let why = reason(&deployment.until_done(body).await.snapshot, "ledger");
    execute(why.split_once("run: ").unwrap_or_else(|| panic!("{why}")).1).await;
    let ended = deployment.until_done(body).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "ledger"), rows().await), (Outcome::Clean, [1, 0, 1, 0, 0], 4));
}

#[tokio::test]
async fn a_sink_whose_offsets_are_doubled_fails_and_says_what_to_do() {
    let deployment = Deployment::embedded();
    let execute = async |sql: &str| deployment.execute(sql);
    let rows = async || entered(&deployment, "ledger").len();
    a_sink_whose_offsets_are_doubled(&deployment, &ledger("", ""), execute, rows).await;
}

#[tokio::test]
async fn a_sink_whose_offsets_are_doubled_in_postgres_fails_and_says_what_to_do() {
    let Some(db) = crate::sql::database::Postgres::new("flow_offsets_doubled").await else { return };
    let deployment = Deployment::embedded();
    let execute = async |sql: &str| db.raw.batch_execute(sql).await.unwrap();
    let rows = async || db.raw.query("SELECT value FROM ledger", &[]).await.unwrap().len();
    a_sink_whose_offsets_are_doubled(&deployment, &into("ledger", &db.url, ""), execute, rows).await;
}

/// As after a failover to a database that had not got the last writes, or an older backup.
async fn a_sink_whose_database_lost_its_offset(deployment: &Deployment) {
    let body = ledger("", "");
    deployment.produce_values("orders", &["a", "b", "c"]).await;
    assert_eq!(deployment.until_done(&body).await.outcome, Outcome::Clean);
    deployment.execute("DELETE FROM _wharf_offsets; DELETE FROM ledger");
    deployment.produce_values("orders", &["d"]).await;
    for _ in 0..2 {
        let ended = deployment.until_done(&body).await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, "ledger")), (Outcome::AllFailed, [0; 5]), "{ended:#?}");
        assert_eq!(task(&ended.snapshot, "ledger").lag, Some(1), "what it had written and the log has more");
        let why = reason(&ended.snapshot, "ledger");
        assert!(["no offset", "up to offset 3", "wharf offsets set FILE ledger"].iter().all(|part| why.contains(part)), "{why}");
    }
    assert!(entered(deployment, "ledger").is_empty(), "going on by the group would leave a, b and c out");
    deployment.move_offset("ledger", "orders", 1).await;
    assert_eq!(deployment.until_done(&body).await.outcome, Outcome::Clean);
    assert_eq!(entered(deployment, "ledger"), ["b", "c", "d"]);
}

#[tokio::test]
async fn a_sink_whose_database_lost_its_offset_stops_instead_of_going_by_the_group_which_only_followed() {
    let deployment = Deployment::embedded();
    a_sink_whose_database_lost_its_offset(&deployment).await;
}

#[tokio::test]
async fn a_sink_whose_database_lost_its_offset_stops_on_kafka_too() {
    let Some(deployment) = Deployment::kafka("flow_offset_lost") else { return };
    a_sink_whose_database_lost_its_offset(&deployment).await;
}
