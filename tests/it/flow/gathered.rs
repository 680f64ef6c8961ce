//! Several batches in one database transaction: it is one where all goes well, and what one batch does wrong costs the others nothing.

use wharf_runtime::supervisor::Outcome;
use wharf_runtime::topic_log::partitioner::partition_of_key;

use super::deployment::texts;
use super::*;
use crate::sql::database::{Postgres, raw};
use crate::sql::rules::Database as _;

/// The topic into the table `stock` of this database, three records a batch.
fn into(db: &Postgres) -> String {
    format!(
        r#"
[connection.warehouse]
url = "{}"

[[sink]]
name = "stock"
component = "sql"
topics = ["{{t}}orders"]
allow.sql = ["warehouse"]
batch = {{ records = 3 }}
retry = {{ initial = "50ms", max = "200ms" }}
config = {{ connection = "warehouse", table = "stock", key = ["id"] }}
"#,
        db.url
    )
}

const TABLE: &str = "CREATE TABLE stock (id int PRIMARY KEY, pieces int CHECK (pieces <> 13), note text)";
const TRANSACTIONS: &str = "SELECT count(DISTINCT xmin::text) FROM stock";

async fn produce(deployment: &Deployment, records: impl IntoIterator<Item = (String, Option<String>)>) {
    produce_in(deployment, 1, records).await;
}

async fn produce_in(deployment: &Deployment, partitions: i32, records: impl IntoIterator<Item = (String, Option<String>)>) {
    let records: Vec<_> = records.into_iter().collect();
    let records: Vec<_> = records.iter().map(|(key, value)| (Some(key.as_str()), value.as_deref().map(str::as_bytes))).collect();
    deployment.produce("orders", partitions, &records).await;
}

fn row(id: i32, pieces: i32) -> (String, Option<String>) {
    (format!("{{\"id\":{id}}}"), Some(format!("{{\"id\":{id},\"pieces\":{pieces},\"note\":\"{id}-{pieces}\"}}")))
}

/// On the embedded log, and on Kafka where there is one.
fn deployments(test: &str) -> impl Iterator<Item = Deployment> {
    [Some(Deployment::embedded()), Deployment::kafka(test)].into_iter().flatten()
}

#[tokio::test]
async fn batches_that_wait_are_written_in_one_transaction_and_of_a_key_the_last_row_stands() {
    let Some(db) = Postgres::new("flow_gathered_keys").await else { return };
    for deployment in deployments("flow_gathered_keys") {
        db.execute(&format!("DROP TABLE IF EXISTS stock; {TABLE}")).await;
        produce(&deployment, (100..131).map(|n| row(n % 7, n))).await;
        let ended = deployment.until_done(&into(&db)).await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, "stock")), (Outcome::Clean, [31, 0, 31, 0, 0]));
        let rows: Vec<_> = (124..131).map(|n| format!("{}|{n}|{}-{n}", n % 7, n % 7)).collect();
        let mut sorted = rows.clone();
        sorted.sort();
        assert_eq!(db.read("SELECT * FROM stock ORDER BY id").await, sorted);
        assert_eq!(db.read(TRANSACTIONS).await, ["1"]);
    }
}

#[tokio::test]
async fn the_first_transaction_is_small_so_that_rows_are_seen_soon() {
    let Some(db) = Postgres::new("flow_gathered_first").await else { return };
    for deployment in deployments("flow_gathered_first") {
        db.execute(&format!("DROP TABLE IF EXISTS stock; {TABLE}")).await;
        produce(&deployment, (0..2_500).map(|n| row(n, 1))).await;
        let ended = deployment.until_done(&into(&db).replace("records = 3", "records = 100")).await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, "stock")), (Outcome::Clean, [2_500, 0, 2_500, 0, 0]));
        let sizes = db.read("SELECT count(*) FROM stock GROUP BY xmin::text ORDER BY min(id)").await;
        let sizes: Vec<u32> = sizes.iter().map(|size| size.parse().unwrap()).collect();
        assert!(sizes[0] <= 1_000 && sizes.len() < 25, "{sizes:?}");
    }
}

/// Also where the last batch is full, so that its transaction is open when nothing more comes.
#[tokio::test]
async fn a_row_that_the_database_refuses_among_gathered_ones_is_the_only_dead_letter() {
    let Some(db) = Postgres::new("flow_gathered_refused").await else { return };
    for count in [31, 30] {
        for deployment in deployments(&format!("flow_gathered_refused_{count}")) {
            db.execute(&format!("DROP TABLE IF EXISTS stock; {TABLE}")).await;
            produce(&deployment, (0..count).map(|n| row(n, if n == 17 { 13 } else { 100 }))).await;
            let ended = deployment.until_done(&into(&db)).await;
            let all = u64::try_from(count).unwrap();
            assert_eq!((ended.outcome, counts(&ended.snapshot, "stock")), (Outcome::Clean, [all, 0, all - 1, 0, 1]));
            let rows: Vec<_> = (0..count).filter(|n| *n != 17).map(|n| format!("{n}|100|{n}-100")).collect();
            assert_eq!(db.read("SELECT * FROM stock ORDER BY id").await, rows);
            let dead = deployment.read_dead("stock").await;
            assert_eq!(dead.iter().map(deployment::Row::code).collect::<Vec<_>>(), ["sql.check"]);
            assert_eq!(db.read(&format!("SELECT DISTINCT next_offset >= {count} FROM _wharf_offsets")).await, ["t"]);
        }
    }
}

/// What is gathered turns out to be refused when a batch comes that cannot join it: that one is not to be written before the others.
#[tokio::test]
async fn a_batch_with_a_rejected_record_does_not_pass_over_gathered_ones_that_are_read_again() {
    let Some(db) = Postgres::new("flow_gathered_rejected").await else { return };
    for deployment in deployments("flow_gathered_rejected") {
        db.execute(&format!("DROP TABLE IF EXISTS stock; {TABLE}")).await;
        let bad = ("{\"id\":7}".to_owned(), Some("{\"id\":7,\"pieces\":\"many\",\"note\":\"x\"}".to_owned()));
        let records = (0..12).map(|n| if n == 7 { bad.clone() } else { row(n, if n == 1 { 13 } else { 100 }) });
        produce(&deployment, records).await;
        let body = format!("{}[[sink.transform]]\ncast = {{ pieces = \"int\" }}\n", into(&db));
        let ended = deployment.until_done(&body).await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, "stock")), (Outcome::Clean, [12, 0, 10, 0, 2]), "{ended:#?}");
        let rows: Vec<_> = (0..12).filter(|n| ![1, 7].contains(n)).map(|n| n.to_string()).collect();
        assert_eq!(db.read("SELECT id FROM stock ORDER BY id").await, rows);
        let dead = deployment.read_dead("stock").await;
        let mut codes: Vec<_> = dead.iter().map(deployment::Row::code).collect();
        codes.sort_unstable();
        assert_eq!(codes, ["sql.check", "transform.cast"]);
    }
}

/// What another partition is told while a transaction is open is told once.
#[tokio::test]
async fn a_partition_that_stops_while_gathered_rows_of_another_are_rolled_back_is_told_of() {
    let Some(db) = Postgres::new("flow_gathered_stopped").await else { return };
    for deployment in deployments("flow_gathered_stopped") {
        db.execute(&format!("DROP TABLE IF EXISTS stock; DROP TABLE IF EXISTS _wharf_offsets; {TABLE}")).await;
        let of = |partition: i32, count: usize| {
            let is = move |id: &i32| partition_of_key(format!("{{\"id\":{id}}}").as_bytes(), 2) == partition;
            (0..).filter(is).take(count).collect::<Vec<i32>>()
        };
        produce_in(&deployment, 2, of(0, 3).into_iter().chain(of(1, 3)).map(|id| row(id, 1))).await;
        let body = format!("{}tasks = 1\n", into(&db));
        let ended = deployment.until_done(&body).await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, "stock")), (Outcome::Clean, [6, 0, 6, 0, 0]));
        db.execute("UPDATE _wharf_offsets SET next_offset = 900 WHERE partition = 1").await;
        // One full batch, which the merge refuses.
        produce_in(&deployment, 2, of(0, 3).into_iter().zip([2, 13, 2]).map(|(id, pieces)| row(id, pieces))).await;
        let ended = deployment.until_done(&body).await;
        assert_eq!(ended.outcome, Outcome::AllFailed, "{ended:#?}");
        let why = reason(&ended.snapshot, "stock");
        assert!(why.contains("offset 900"), "{why}");
        assert_eq!(counts(&ended.snapshot, "stock"), [3, 0, 2, 0, 1]);
    }
}

#[tokio::test]
async fn deletions_and_rows_without_some_field_keep_their_order_among_gathered_ones() {
    let Some(db) = Postgres::new("flow_gathered_mixed").await else { return };
    for deployment in deployments("flow_gathered_mixed") {
        db.execute(&format!("DROP TABLE IF EXISTS stock; {TABLE}")).await;
        let partial = |id: i32, note: &str| (format!("{{\"id\":{id}}}"), Some(format!("{{\"id\":{id},\"note\":\"{note}\"}}")));
        let gone = |id: i32| (format!("{{\"id\":{id}}}"), None);
        let whole = |ids: std::ops::Range<i32>, pieces: i32| ids.map(move |id| row(id, pieces));
        let records = whole(1..7, 1)
            .chain([partial(2, "two"), gone(3), row(4, 2)])
            .chain(whole(1..4, 3))
            .chain([gone(5), gone(1), partial(6, "six")])
            .chain(whole(4..7, 4))
            .chain([partial(6, "last"), row(5, 5), row(7, 5)]);
        produce(&deployment, records).await;
        let ended = deployment.until_done(&into(&db)).await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, "stock")), (Outcome::Clean, [21, 0, 21, 0, 0]));
        let rows = ["2|3|2-3", "3|3|3-3", "4|4|4-4", "5|5|5-5", "6|4|last", "7|5|7-5"];
        assert_eq!(db.read("SELECT * FROM stock ORDER BY id").await, rows);
    }
}

#[tokio::test]
async fn a_record_that_ends_its_guest_among_gathered_batches_is_the_only_dead_letter() {
    for deployment in deployments("flow_gathered_trap") {
        let values: Vec<String> = (0..24).map(|n| if n == 11 { "trap".to_owned() } else { format!("{n:02}") }).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        deployment.produce_values("orders", &values).await;
        let ended = deployment.until_done(&ledger("", "batch = { records = 2 }")).await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, "ledger")), (Outcome::Clean, [24, 0, 23, 0, 1]));
        let good: Vec<&str> = values.iter().copied().filter(|value| *value != "trap").collect();
        assert_eq!(entered(&deployment, "ledger"), good);
        assert_eq!(texts(&deployment.read_dead("ledger").await), ["trap"]);
    }
}

/// A second process that stops the server's connections would do the same: the transaction is lost with what was gathered.
#[tokio::test]
async fn what_was_gathered_in_a_transaction_that_is_lost_is_written_again() {
    let Some(db) = Postgres::new("flow_gathered_lost").await else { return };
    for deployment in deployments("flow_gathered_lost") {
        db.execute(&format!("DROP TABLE IF EXISTS stock; {TABLE}")).await;
        let watch = raw(&db.url).await;
        produce(&deployment, (0..3_000).map(|n| row(n, 100))).await;
        let running = deployment.start(&into(&db)).await;
        for _ in 0..5 {
            let others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() \
                          AND pid <> pg_backend_pid() AND query LIKE '%wharf_stage%'";
            watch.batch_execute(others).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(60)).await;
        }
        running.when_settled("stock", 3_000).await;
        running.drain().await;
        assert_eq!(db.read("SELECT count(*), sum(pieces), min(id), max(id) FROM stock").await, ["3000|300000|0|2999"]);
    }
}
