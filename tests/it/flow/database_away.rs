//! A PostgreSQL behind a sink that takes no writes or no connections for a while, as in a failover: the sink waits and says
//! why, and goes on by itself.

use support::servers::Server;
use wharf_runtime::supervisor::Outcome;
use wharf_runtime::telemetry::TaskState;

use super::*;
use crate::sql::database::{Postgres, raw};

/// A ledger in this database that tries again soon.
fn into(db: &Postgres, once: bool) -> String {
    let more = format!("exactly-once = {once}\nretry = {{ initial = \"50ms\", max = \"200ms\" }}");
    ledger("", &more).replace("sqlite://warehouse.sqlite", &db.url)
}

async fn a_sink_waits_while(test: &str, away: &str, back: &str, told: &str) {
    for once in [true, false] {
        let test = format!("{test}_{once}");
        let Some(db) = Postgres::new(&test).await else { return };
        let admin = raw(&Server::Postgres.address(&test).unwrap()).await;
        let name: String = db.raw.query_one("SELECT current_database()::text", &[]).await.unwrap().get(0);
        let arrived = async || db.raw.query_one("SELECT count(*) FROM ledger", &[]).await.unwrap().get::<_, i64>(0);
        let deployment = Deployment::embedded();
        deployment.write("in/a.jsonl", keyed_lines(0, 10));
        let running = deployment.start(&format!("{KEYED_FILES}{}", into(&db, once))).await;
        running.when_settled("ledger", 10).await;

        admin.batch_execute(&format!("ALTER DATABASE {name} {away}")).await.unwrap();
        // What stands is not told of it: a server that fails takes its sessions with it.
        let end =
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'wharf'";
        admin.query(end, &[&name]).await.unwrap();
        deployment.append("in/a.jsonl", &keyed_lines(10, 20));
        running
            .when("it waits for the database", |snapshot| {
                let row = task(snapshot, "ledger");
                assert_ne!(row.state, TaskState::Failed, "{row:#?}");
                row.state == TaskState::Retrying && row.retried > 3 && reason(snapshot, "ledger").contains(told)
            })
            .await;
        assert_eq!(arrived().await, 10);

        admin.batch_execute(&format!("ALTER DATABASE {name} {back}")).await.unwrap();
        let snapshot = running.when_settled("ledger", 20).await;
        assert_eq!((task(&snapshot, "ledger").state, reason(&snapshot, "ledger").as_str()), (TaskState::Running, ""));
        let ended = running.drain().await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, "ledger")), (Outcome::Clean, [20, 0, 20, 0, 0]));
        assert_eq!(arrived().await, 20, "nothing of what failed was written");
    }
}

#[tokio::test]
async fn a_sink_waits_while_its_database_is_set_read_only() {
    let (on, off) = ("SET default_transaction_read_only = on", "RESET default_transaction_read_only");
    a_sink_waits_while("flow_read_only", on, off, "set read only").await;
}

#[tokio::test]
async fn a_sink_waits_while_its_database_takes_no_connections() {
    a_sink_waits_while("flow_no_connections", "ALLOW_CONNECTIONS false", "ALLOW_CONNECTIONS true", "takes no connections").await;
}
