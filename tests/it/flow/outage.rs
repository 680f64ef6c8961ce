//! What is seen of a deployment while something outside of it is away.

use std::time::Duration;

use support::servers::Server;
use wharf_runtime::supervisor::Outcome;
use wharf_runtime::telemetry::TaskState;

use super::*;
use crate::sql::database::{Postgres, raw};

/// Source `files` into a sink whose target is not there, on the port.
fn without_a_target(port: u16) -> String {
    let sink = format!(
        "\n[[sink]]\nname = \"events\"\ncomponent = \"http\"\ntopics = [\"{{t}}orders\"]\nallow.http = [\"http://127.0.0.1:{port}\"]\n\
         config = {{ url = \"http://127.0.0.1:{port}/events\", body = \"record\" }}\nbatch.records = 4\n"
    );
    format!("{KEYED_FILES}{sink}")
}

async fn lag_grows_while_the_target_is_away(deployment: &Deployment) {
    deployment.write("in/a.jsonl", keyed_lines(0, 30));
    let running = deployment.start(&without_a_target(free_port())).await;
    let lag = |records: i64| {
        move |snapshot: &_| {
            let events = task(snapshot, "events");
            events.state == TaskState::Retrying && events.lag.is_some_and(|lag| lag >= records)
        }
    };
    // What was handed out and is not delivered counts, and so does what has come since.
    running.when("a lag of 30", lag(30)).await;
    deployment.write("in/b.jsonl", keyed_lines(30, 70));
    let snapshot = running.when("a lag of 70", lag(70)).await;
    assert_eq!(row(&snapshot, "events").delivered, 0);
    running.kill().await;
}

#[tokio::test]
async fn lag_counts_what_is_not_delivered_and_grows_while_the_target_is_away() {
    lag_grows_while_the_target_is_away(&Deployment::embedded()).await;
    let Some(deployment) = Deployment::kafka("flow_lag") else { return };
    lag_grows_while_the_target_is_away(&deployment).await;
}

#[tokio::test]
async fn no_transaction_of_the_database_stays_open_while_the_log_takes_no_dead_letters_and_none_is_a_row_too() {
    let test = "flow_letters_wait";
    let Some(db) = Postgres::new(test).await else { return };
    let admin = raw(&Server::Postgres.address(test).unwrap()).await;
    let name: String = db.raw.query_one("SELECT current_database()::text", &[]).await.unwrap().get(0);
    let deployment = Deployment::embedded();
    let body = format!(
        "\n[connection.warehouse]\nurl = \"{}\"\n\n[[sink]]\nname = \"store\"\ncomponent = \"sql\"\ntopics = [\"orders\"]\n\
         allow.sql = [\"warehouse\"]\nconfig = {{ connection = \"warehouse\", table = \"store\" }}\n",
        db.url
    );
    db.raw.batch_execute("CREATE TABLE store (n int8, CONSTRAINT open CHECK (n <> 2))").await.unwrap();
    deployment.produce_values("orders", &["{\"n\":0}", "no JSON"]).await;
    assert_eq!(deployment.until_done(&body).await.outcome, Outcome::Clean);
    deployment.produce_values("orders", &["{\"n\":1}", "no JSON", "{\"n\":2}", "{\"n\":3}"]).await;
    // The sink gets to the dead letters once the log takes none.
    let mut other = raw(&db.url).await;
    let gate = other.transaction().await.unwrap();
    gate.batch_execute("LOCK TABLE store").await.unwrap();
    let running = deployment.start(&body).await;
    running.when("it writes", |snapshot| task(snapshot, "store").in_flight == 4).await;
    let log = deployment.locked_log();
    gate.commit().await.unwrap();
    running.when("it waits for the log", |snapshot| reason(snapshot, "store").contains("log")).await;
    let idle =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'wharf' AND xact_start IS NOT NULL";
    for _ in 0..5 {
        assert_eq!(admin.query_one(idle, &[&name]).await.unwrap().get::<_, i64>(0), 0, "a transaction holds its locks");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // What is a dead letter is not offered again, though the database would take it by now.
    db.raw.batch_execute("ALTER TABLE store DROP CONSTRAINT open").await.unwrap();
    drop(log);
    running.when_settled("store", 4).await;
    let ended = running.drain().await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "store")), (Outcome::Clean, [4, 0, 2, 0, 2]));
    let rows = db.raw.query("SELECT n FROM store ORDER BY n", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, i64>(0)).collect::<Vec<_>>(), [0, 1, 3]);
    let dead: Vec<_> = deployment.read("dlq.flow.store").await.iter().map(deployment::Row::text).collect();
    assert_eq!(dead, ["no JSON", "no JSON", "{\"n\":2}"], "each letter once");
}

#[tokio::test]
async fn a_sink_whose_topic_is_not_there_yet_holds_up_no_one_and_reads_it_once_it_is() {
    let Some(deployment) = Deployment::kafka("flow_no_topic") else { return };
    let running = deployment.start(&ledger("", "")).await;
    let snapshot = running.when("it runs", |snapshot| task(snapshot, "ledger").state == TaskState::Running).await;
    assert!(snapshot.health.ready && task(&snapshot, "ledger").lag.is_none(), "{snapshot:#?}");
    deployment.produce_values("orders", &["a"]).await;
    running.when_settled("ledger", 1).await;
    assert_eq!(running.drain().await.outcome, Outcome::Clean);
    assert_eq!(entered(&deployment, "ledger"), ["a"]);
}
