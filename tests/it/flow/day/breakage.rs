//! What goes wrong during the day, and when.

use std::time::{Duration, Instant};

use serde_json::json;
use support::sap::Plain;
use support::servers::Server;

use super::clock::Clock;
use super::process::Worker;
use crate::clickhouse::gate::{self, Gate};
use crate::flow::deployment::{Deployment, PATIENCE};
use crate::sql::database::{Postgres, raw};
use crate::sql::rules::Database as _;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mishap {
    /// The worker is killed (SIGKILL), and another one started.
    Kill,
    /// The services of SAP answer 503, then 429.
    Busy,
    /// Inserts into ClickHouse are lost on their way, or their answers are.
    Lost,
    /// PostgreSQL ends its connections, and takes none for a while.
    Away,
}

/// Most kills come just after the counts of an hour, when there is work under way.
const MISHAPS: [(u32, Mishap); 9] = [
    (3 * 60 + 7, Mishap::Kill),
    (8 * 60 + 5, Mishap::Kill),
    (11 * 60 + 30, Mishap::Busy),
    (12 * 60 + 20, Mishap::Away),
    (13 * 60 + 6, Mishap::Kill),
    (15 * 60, Mishap::Lost),
    (17 * 60 + 4, Mishap::Kill),
    (19 * 60 + 8, Mishap::Kill),
    (23 * 60 + 55, Mishap::Kill),
];

/// Lists that nobody else reads from these services.
const BUSY: [&str; 2] = ["/api_product/0001/Product$", "/GWSAMPLE_BASIC/ProductSet$"];
/// Answers of each status that a list gives.
const ANSWERS: usize = 4;

/// Plays the day's mishaps over a worker of this TOML; answers the kills. Nothing runs afterwards.
pub async fn play(deployment: &Deployment, postgres: &Postgres, gate: &Gate, body: &str, clock: Clock) -> usize {
    let sap = Plain::new(&Server::MockSap.address("flow_day").unwrap()).await;
    let mut worker = Worker::start(deployment, body).await;
    let (mut kills, mut before) = (0, 0);
    for (minute, mishap) in MISHAPS {
        clock.until(minute).await;
        // Somebody has to be there whom it happens to.
        when("the worker has written something", async || written(postgres).await > before).await;
        worker.check();
        match mishap {
            Mishap::Busy => busy(&sap).await,
            Mishap::Lost => gate.add(&[gate::Mishap::Silent, gate::Mishap::Cut(20), gate::Mishap::Exception]),
            Mishap::Away => away(postgres).await,
            Mishap::Kill => {
                worker.kill();
                kills += 1;
                before = written(postgres).await;
                worker = Worker::start(deployment, body).await;
            }
        }
    }
    worker.kill();
    assert_eq!((left(&sap).await, gate.mishaps_left()), (0, 0), "nobody has met them");
    kills + 1
}

/// How far the sinks have come in PostgreSQL, all partitions together.
async fn written(postgres: &Postgres) -> i64 {
    let made = postgres.read("SELECT to_regclass('_wharf_offsets')").await;
    if made == ["NULL"] {
        return 0;
    }
    postgres.read("SELECT coalesce(sum(next_offset), 0) FROM _wharf_offsets").await[0].parse().unwrap()
}

async fn busy(sap: &Plain) {
    for list in BUSY {
        for status in [503, 429] {
            sap.fault(&json!({ "match": list, "method": "GET", "status": status, "count": ANSWERS })).await;
        }
    }
}

/// Rules of ours that have not been used up.
async fn left(sap: &Plain) -> usize {
    let rules = sap.get("/_mock/faults").await;
    rules["results"].as_array().unwrap().iter().filter(|rule| BUSY.contains(&rule["match"].as_str().unwrap_or_default())).count()
}

async fn away(postgres: &Postgres) {
    let admin = raw(&Server::Postgres.address("flow_day").unwrap()).await;
    let name = postgres.read("SELECT current_database()").await.remove(0);
    let set = async |to: bool| admin.batch_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {to}")).await.unwrap();
    set(false).await;
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'wharf'";
    let ended: i64 = admin.query_one(end, &[&name]).await.unwrap().get(0);
    assert!(ended > 0, "no connection was cut");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    set(true).await;
}

/// Waits until something is so.
async fn when<F: Future<Output = bool>>(what: &str, is: impl Fn() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !is().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
