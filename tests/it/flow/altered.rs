//! Tables that somebody alters while a sink runs: it goes on by the new columns, and what fits them is no dead letter.

use wharf_runtime::supervisor::Outcome;
use wharf_runtime::telemetry::TaskState;

use super::deployment::Running;
use super::*;
use crate::sql::database::{Postgres, raw};
use crate::sql::rules::Database as _;

/// The lines in `in/` into the table `stock` of this database.
fn into(db: &Postgres, schema: &str, once: bool) -> String {
    format!(
        r#"
[connection.warehouse]
url = "{}"

[[source]]
name = "files"
component = "csv"
topic = "stock"
allow.files = ["in"]
config = {{ path = "in", interval = "100ms" }}

[[sink]]
name = "stock"
component = "sql"
topics = ["stock"]
allow.sql = ["warehouse"]
exactly-once = {once}
retry = {{ initial = "50ms", max = "200ms" }}
config = {{ connection = "warehouse", table = "stock", key = ["id"], schema = "{schema}" }}
"#,
        db.url
    )
}

const TABLE: &str = "CREATE TABLE stock (id int PRIMARY KEY, day date, pieces int, code text)";
const FIRST: &str = r#"{"id":1,"day":"2024-01-02","pieces":1,"code":"2024-01-02"}"#;

/// A sink that has written a row and runs on.
async fn running(db: &Postgres, schema: &str, once: bool) -> (Deployment, Running) {
    db.execute(TABLE).await;
    let deployment = Deployment::embedded();
    deployment.write("in/a.jsonl", format!("{FIRST}\n"));
    let running = deployment.start(&into(db, schema, once)).await;
    running.when_settled("stock", 1).await;
    (deployment, running)
}

/// What is done to the table, a record that needs it, and the row that it becomes.
const ALTERED: [(&str, &str, &str); 4] = [
    ("ALTER day TYPE text", r#"{"id":2,"day":"soon"}"#, "2|soon|NULL|NULL"),
    ("ALTER pieces TYPE bigint", r#"{"id":3,"pieces":5000000000}"#, "3|NULL|5000000000|NULL"),
    ("ADD note date", r#"{"id":4,"note":"2024-01-03"}"#, "4|NULL|NULL|NULL|2024-01-03"),
    ("ALTER code TYPE date USING code::date", r#"{"id":5,"code":"2024-01-04"}"#, "5|NULL|NULL|2024-01-04|NULL"),
];

#[tokio::test]
async fn a_record_that_fits_the_table_as_it_was_altered_is_a_row_and_no_dead_letter() {
    for (schema, once) in [("strict", true), ("evolve", true), ("evolve", false)] {
        let Some(db) = Postgres::new(&format!("flow_altered_{schema}_{once}")).await else { return };
        let (deployment, running) = running(&db, schema, once).await;
        for (settled, (change, record, row)) in (2..).zip(ALTERED) {
            db.execute(&format!("ALTER TABLE stock {change}")).await;
            deployment.append("in/a.jsonl", &format!("{record}\n"));
            running.when_settled("stock", settled).await;
            let rows = db.read(&format!("SELECT * FROM stock WHERE id = {settled}")).await;
            assert_eq!(rows, [row], "{schema}, exactly once {once}: {change}");
        }
        let ended = running.drain().await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, "stock")), (Outcome::Clean, [5, 0, 5, 0, 0]));
    }
}

#[tokio::test]
async fn a_row_that_has_waited_for_an_alteration_is_written_by_what_came_of_it() {
    let Some(db) = Postgres::new("flow_altered_meanwhile").await else { return };
    let (deployment, running) = running(&db, "strict", true).await;
    db.execute("BEGIN; ALTER TABLE stock ALTER pieces TYPE bigint").await;
    deployment.append("in/a.jsonl", "{\"id\":2,\"pieces\":5000000000}\n");
    let other = raw(&db.url).await;
    let waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'stock'::regclass";
    while other.query(waiting, &[]).await.unwrap().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    db.execute("COMMIT").await;
    running.when_settled("stock", 2).await;
    assert_eq!(db.read("SELECT pieces FROM stock ORDER BY id").await, ["1", "5000000000"]);
    assert_eq!(counts(&running.drain().await.snapshot, "stock"), [2, 0, 2, 0, 0]);
}

#[tokio::test]
async fn a_column_that_was_dropped_is_added_again_where_the_schema_may_evolve() {
    for once in [true, false] {
        let Some(db) = Postgres::new(&format!("flow_dropped_{once}")).await else { return };
        let (deployment, running) = running(&db, "evolve", once).await;
        db.execute("ALTER TABLE stock DROP code, DROP day").await;
        deployment.append("in/a.jsonl", "{\"id\":2,\"code\":\"b\"}\n");
        let snapshot = running.when_settled("stock", 2).await;
        assert_eq!(task(&snapshot, "stock").state, TaskState::Running);
        assert_eq!(db.read("SELECT * FROM stock ORDER BY id").await, ["1|1|NULL", "2|NULL|b"]);
        let ended = running.drain().await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, "stock")), (Outcome::Clean, [2, 0, 2, 0, 0]));
    }
}

#[tokio::test]
async fn a_record_that_does_not_fit_the_altered_table_is_refused_once_and_for_all() {
    let Some(db) = Postgres::new("flow_altered_misfit").await else { return };
    let (deployment, running) = running(&db, "evolve", true).await;
    db.execute("ALTER TABLE stock ALTER code TYPE date USING code::date").await;
    deployment.append("in/a.jsonl", "{\"id\":2,\"code\":\"b\"}\n{\"id\":3,\"code\":\"2024-01-05\"}\n");
    running.when_settled("stock", 3).await;
    assert_eq!(db.read("SELECT id, code FROM stock ORDER BY id").await, ["1|2024-01-02", "3|2024-01-05"]);
    assert_eq!(counts(&running.drain().await.snapshot, "stock"), [3, 0, 2, 0, 1]);
    assert_eq!(deployment.read_dead("stock").await.iter().map(deployment::Row::code).collect::<Vec<_>>(), ["sql.type"]);
}
