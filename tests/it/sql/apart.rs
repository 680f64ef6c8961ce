//! Connections that break, and servers that are away.
use std::time::Duration;

use wharf_runtime::capability::sql::{OffsetMove, OffsetScope, SqlError};
use wharf_runtime::topic_log::TopicPartition;

use super::columns::{ints, rows, table};
use super::database::{self, Postgres};
use super::rules::Database;

const OTHERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                      WHERE datname = current_database() AND application_name = 'wharf'";

fn one(id: i64) -> wharf_runtime::capability::sql::Rows {
    rows(1, vec![ints("id", &[Some(id)])])
}

#[tokio::test]
async fn connection_killed_in_a_transaction_writes_nothing_and_the_session_goes_on() {
    let Some(db) = Postgres::new("connection_killed_in_a_transaction").await else { return };
    db.execute("CREATE TABLE t (id int8 PRIMARY KEY)").await;
    let scope = OffsetScope { log_id: "log".to_owned(), group: "g".to_owned() };
    let at = TopicPartition { topic: "orders".into(), partition: 0 };
    let moved = [OffsetMove { partition: at.clone(), topic_id: "t1".to_owned(), expected: 0, next: 5 }];
    let mut session = db.connections().session("single").unwrap();
    session.claim_offset(&scope, &at, "t1", 0).await.unwrap();
    session.begin().await.unwrap();
    session.apply(&table("t", &["id"]), &one(1)).await.unwrap();
    db.execute(OTHERS).await;
    let broken = session.advance_offsets(&scope, &moved).await.unwrap_err();
    assert!(matches!(&broken, SqlError::Retry(text) if text.contains("`single`")), "{broken}");
    // Not even a call that would have a transaction of its own: the rows before it are gone.
    assert!(matches!(session.apply(&table("t", &["id"]), &one(2)).await, Err(SqlError::Retry(_))));
    assert!(matches!(session.commit().await, Err(SqlError::Retry(_))));
    session.rollback().await.unwrap();
    assert_eq!(db.read("SELECT id FROM t").await, [""; 0]);
    session.begin().await.unwrap();
    session.apply(&table("t", &["id"]), &one(3)).await.unwrap();
    assert!(session.advance_offsets(&scope, &moved).await.unwrap());
    session.commit().await.unwrap();
    assert_eq!(db.read("SELECT id FROM t").await, ["3"]);
    assert_eq!(db.read("SELECT next_offset FROM _wharf_offsets").await, ["5"]);
}

#[tokio::test]
async fn connection_killed_before_the_commit_is_a_retry_and_nothing_is_written() {
    let Some(db) = Postgres::new("connection_killed_before_the_commit").await else { return };
    db.execute("CREATE TABLE t (id int8 PRIMARY KEY)").await;
    let mut session = db.connections().session("db").unwrap();
    session.begin().await.unwrap();
    session.apply(&table("t", &["id"]), &one(1)).await.unwrap();
    db.execute(OTHERS).await;
    assert!(matches!(session.commit().await, Err(SqlError::Retry(_))));
    assert_eq!(db.read("SELECT id FROM t").await, [""; 0]);
}

#[tokio::test]
async fn connection_that_broke_while_idle_is_replaced() {
    let Some(db) = Postgres::new("connection_that_broke_while_idle_is_replaced").await else { return };
    db.execute("CREATE TABLE t (id int8 PRIMARY KEY)").await;
    let mut session = db.connections().session("single").unwrap();
    for id in 1..4 {
        session.begin().await.unwrap();
        session.apply(&table("t", &["id"]), &one(id)).await.unwrap();
        session.commit().await.unwrap();
        db.execute(OTHERS).await;
    }
    assert_eq!(db.read("SELECT count(*) FROM t").await, ["3"]);
}

#[tokio::test]
async fn transaction_of_a_call_that_was_dropped_is_lost() {
    let Some(db) = Postgres::new("transaction_of_a_call_that_was_dropped_is_lost").await else { return };
    db.execute("CREATE TABLE t (id int8 PRIMARY KEY)").await;
    let mut session = db.connections().session("single").unwrap();
    session.begin().await.unwrap();
    session.apply(&table("t", &["id"]), &one(1)).await.unwrap();
    let slow = session.query("SELECT pg_sleep(60)::text", &[], 1);
    assert!(tokio::time::timeout(Duration::from_millis(100), slow).await.is_err());
    assert!(matches!(session.apply(&table("t", &["id"]), &one(2)).await, Err(SqlError::Retry(_))));
    session.begin().await.unwrap();
    session.apply(&table("t", &["id"]), &one(3)).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(db.read("SELECT id FROM t").await, ["3"]);
}

#[tokio::test]
async fn transaction_that_met_a_deadlock_is_a_retry_and_cannot_be_committed() {
    let Some(db) = Postgres::new("deadlock_is_a_retry").await else { return };
    db.execute("CREATE TABLE t (id int8 PRIMARY KEY, n int8); INSERT INTO t VALUES (1, 0), (2, 0)").await;
    let barrier = tokio::sync::Barrier::new(2);
    let task = async |first: i64, second: i64| {
        let write = |id, n| rows(1, vec![ints("id", &[Some(id)]), ints("n", &[Some(n)])]);
        let mut session = db.connections().session("db").unwrap();
        session.begin().await.unwrap();
        session.apply(&table("t", &["id"]), &write(first, first)).await.unwrap();
        barrier.wait().await;
        match session.apply(&table("t", &["id"]), &write(second, first)).await {
            Ok(_) => session.commit().await.map(|()| first),
            Err(error) => {
                // The server would answer a commit with a rollback, and no error.
                assert!(matches!(session.commit().await, Err(SqlError::Retry(_))));
                Err(error)
            }
        }
    };
    let (a, b) = tokio::join!(task(1, 2), task(2, 1));
    let (won, lost) = match (a, b) {
        (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
        both => panic!("{both:?}"),
    };
    assert!(matches!(&lost, SqlError::Retry(text) if text.contains("deadlock")), "{lost}");
    assert_eq!(db.read("SELECT n FROM t").await, [won.to_string(), won.to_string()]);
}

#[tokio::test]
async fn server_that_is_down_is_a_retry_that_names_connection_and_place_but_no_password() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let down = database::connections(&format!("postgres://u:hunter2@127.0.0.1:{free}/x"), None).unwrap();
    for error in [down.session("db").unwrap().begin().await.unwrap_err(), down.probe("db").await.unwrap_err()] {
        let text = error.to_string();
        assert!(matches!(error, SqlError::Retry(_)), "{text}");
        assert!(text.contains("`db`") && text.contains(&format!("127.0.0.1:{free}/x")) && !text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn probe_names_the_version_and_a_missing_database_is_fatal() {
    let Some(db) = Postgres::new("probe_names_the_version").await else { return };
    let seen = db.connections().probe("db").await.unwrap();
    assert!(seen.starts_with("PostgreSQL 1") && seen.contains("sslmode prefer"), "{seen}");
    let elsewhere = database::connections(&format!("{}_gone", db.url), None).unwrap();
    let missing = elsewhere.probe("db").await.unwrap_err();
    assert!(matches!(&missing, SqlError::Fatal(text) if text.contains("no such database")), "{missing}");
}
