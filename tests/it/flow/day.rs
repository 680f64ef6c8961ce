//! A feed of 24 hours, compressed to about a minute: orders, prices and hourly inventory counts with late corrections, while workers are killed
//! and servers break. When it stops, the warehouse equals the source row by row.
//!
//! `WHARF_TEST_DAY_SECONDS` makes the day longer, `WHARF_TEST_DAY_SEED` another one.

use std::time::Duration;

use wharf_runtime::supervisor::Outcome;

use self::clock::Clock;
use self::tables::{COUNTS, Rows, differences};
use self::wms::Wms;
use super::deployment::{Deployment, PATIENCE, counts};
use crate::sql::database::Postgres;

mod chance;
mod clock;
mod tables;
mod wms;

/// The worker: everything it reads and writes.
fn worker(db: &Postgres) -> String {
    format!(
        r#"
[topic."{{t}}counts"]
partitions = 3

[connection.warehouse]
url = "{}"

[[source]]
name = "wms"
component = "csv"
topic = "{{t}}counts"
allow.files = ["wms"]
config = {{ path = "wms", pattern = "*.csv", key = ["sku", "warehouse", "counted_at"], null = "", interval = "200ms", types = {{ version = "int", quantity = "int", counted_at = "timestamp", corrected_at = "timestamp" }} }}

[[sink]]
name = "counts-to-postgres"
component = "sql"
topics = ["{{t}}counts"]
tasks = 2
allow.sql = ["warehouse"]
config = {{ connection = "warehouse", table = "counts", key = ["sku", "warehouse", "counted_at", "version"], schema = "strict" }}
"#,
        db.url
    )
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} = {text} is no number")))
}

/// Waits until rows are as expected, or fails with what differs.
async fn when_equal<F: Future<Output = Rows>>(what: &str, expected: &Rows, found: impl Fn() -> F) {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let differences = differences(expected, &found().await);
        if differences.is_empty() {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{what}: {differences:#?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_day_with_late_corrections_the_warehouse_equals_the_source_row_by_row() {
    let test = "flow_day";
    let (Some(deployment), Some(db)) = (Deployment::kafka(test), Postgres::new(test).await) else { return };
    let seed = number("WHARF_TEST_DAY_SEED", 7);
    println!("seed {seed}");
    COUNTS.create_in_postgres(&db).await;
    let wms = Wms::new(seed);
    let folder = deployment.path("wms");
    std::fs::create_dir_all(&folder).unwrap();
    let running = deployment.start(&worker(&db)).await;
    wms.play(Clock::start(Duration::from_secs(number("WHARF_TEST_DAY_SECONDS", 66))), &folder).await;

    let all = wms::read(&folder);
    let latest = wms::latest(&all);
    assert_eq!((&latest, latest.len()), (wms.latest(), wms.figures.counts));
    when_equal("counts in PostgreSQL", &all, || COUNTS.in_postgres(&db, 4, None)).await;
    when_equal("latest in PostgreSQL", &latest, || COUNTS.in_postgres(&db, 3, Some("version DESC"))).await;
    let ended = running.drain().await;
    assert_eq!(ended.outcome, Outcome::Clean);
    println!("{:?} {:?}", wms.figures, counts(&ended.snapshot, "counts-to-postgres"));
}
