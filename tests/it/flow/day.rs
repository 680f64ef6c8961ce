//! A feed of 24 hours, compressed to about a minute: orders of Odoo, products and prices of an S/4-shaped service, and hourly inventory counts
//! with late corrections, over Kafka into PostgreSQL and ClickHouse, while workers are killed and servers break. When it stops, the warehouse
//! equals the source row by row.
//!
//! `WHARF_TEST_DAY_SECONDS` makes the day longer, `WHARF_TEST_DAY_SEED` another one.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use support::servers::Server;
use wharf_runtime::supervisor::Outcome;

use self::arrived::Sources;
use self::clock::Clock;
use self::erp::Erp;
use self::import::Import;
use self::sap::Sap;
use self::tables::{COUNTS, LINES, ORDERS, PRICES, PRODUCTS, Table};
use self::wms::Wms;
use super::deployment::{Deployment, counts};
use crate::clickhouse::database::Database;
use crate::clickhouse::gate::Gate;
use crate::sql::database::Postgres;

mod arrived;
mod breakage;
mod chance;
mod clock;
mod erp;
mod import;
mod process;
mod sap;
mod tables;
mod wms;
mod worker;

/// The warehouse's tables; the topics and their sources are called so too.
static TABLES: [&Table; 5] = [&COUNTS, &ORDERS, &LINES, &PRODUCTS, &PRICES];
const SINKS: [&str; 6] = [
    "counts-to-postgres",
    "orders-to-postgres",
    "products-to-postgres",
    "prices-to-postgres",
    "orders-to-clickhouse",
    "others-to-clickhouse",
];

/// A day's systems.
struct Day {
    deployment: Deployment,
    postgres: Postgres,
    clickhouse: Database,
    /// The way to ClickHouse, on which inserts may be lost, and its URL.
    gate: Arc<Gate>,
    line: String,
    wms: Wms,
    erp: Erp,
    sap: Sap,
}

impl Day {
    /// `None` where a server is missing.
    async fn new(test: &str, seed: u64) -> Option<Self> {
        let (deployment, postgres) = (Deployment::kafka(test)?, Postgres::new(test).await?);
        let (clickhouse, odoo) = (Database::new(test).await?, support::odoo::Plain::new(test)?);
        let sap = support::sap::Plain::new(&Server::MockSap.address(test)?).await;
        for table in TABLES {
            table.create_in_postgres(&postgres).await;
            table.create_in_clickhouse(&clickhouse).await;
        }
        deployment.write("key", &odoo.key);
        std::fs::create_dir_all(deployment.path("wms")).unwrap();
        // Other tests, and earlier runs, have records on the same servers.
        let run = deployment.name().rsplit('-').next().unwrap();
        let prefix = format!("D{}", &run[run.len() - 6..]);
        let (wms, erp, sap) =
            (Wms::new(seed), Erp::new(odoo, seed, &format!("{prefix}-")).await, Sap::new(sap, seed, &prefix).await);
        let gate = Gate::new(&clickhouse, "", &[]);
        let line = gate.open().await;
        Some(Self { deployment, postgres, clickhouse, gate, line, wms, erp, sap })
    }

    /// Where the warehouse system puts its files.
    fn folder(&self) -> PathBuf {
        self.deployment.path("wms")
    }

    /// What the sources hold is what the generator has done: an empty comparison proves nothing.
    fn check(&self, sources: &Sources) {
        let held = |table: &Table| sources.of[table.name].len();
        let (wms, erp, sap) = (&self.wms.figures, &self.erp.figures, &self.sap.figures);
        assert_eq!(&sources.latest, self.wms.latest());
        assert_eq!(sources.latest.len(), wms.counts);
        assert_eq!(held(&COUNTS), wms.counts + wms.corrected + wms.twice);
        assert_eq!(wms::late(&sources.of[COUNTS.name]), wms.corrected + wms.twice, "all corrections come in a later hour");
        assert_eq!(held(&ORDERS), erp.made - erp.deleted);
        assert!(held(&LINES) >= held(&ORDERS));
        assert_eq!((held(&PRODUCTS), held(&PRICES)), (sap.products, sap.products));
        let happened =
            [wms.corrected, wms.twice, wms.overtaken, wms.repeated, erp.confirmed, erp.changed, erp.cancelled, erp.deleted];
        assert!(happened.iter().all(|times| *times > 0), "{wms:?} {erp:?}");
    }
}

impl Day {
    /// The day in one line.
    fn told(&self, seconds: u64, kills: usize, rows: usize) -> String {
        let (wms, erp, sap) = (self.wms.figures, self.erp.figures, self.sap.figures);
        let moves = erp.confirmed + erp.changed + erp.cancelled + erp.deleted;
        format!(
            "day: 24 simulated hours in {seconds} s: {} orders, {moves} changes of them ({} confirmed, {} cancelled, {} deleted), {} products, \
             {} changes of them, {} of prices, {} counts, {} late corrections (of {} counts, {} of them twice; {} were overtaken), {} rows repeated, \
             {kills} kills, {rows} rows compared",
            erp.made,
            erp.confirmed,
            erp.cancelled,
            erp.deleted,
            sap.products,
            sap.changed,
            sap.repriced,
            wms.counts,
            wms.corrected + wms.twice,
            wms.corrected,
            wms.twice,
            wms.overtaken,
            wms.repeated
        )
    }
}

/// A number of the environment.
fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} = {text} is no number")))
}

/// Straight to stderr: what the print macros say in a test that passes is never seen.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("stderr");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_day_with_late_corrections_the_warehouse_equals_the_source_row_by_row() {
    let seed = number("WHARF_TEST_DAY_SEED", 7);
    let Some(mut day) = Day::new("flow_day", seed).await else { return };
    say(&format!("day: seed {seed}"));
    let aside = day.erp.set_aside(3).await;
    let Some(mut import) = Import::new(&day.erp, &aside, "flow_day").await else { return };
    let (body, folder) = (day.worker(), day.folder());
    // Compiling the components is no part of the day.
    day.deployment.prepare(&body).await;
    let (began, clock) = (Instant::now(), Clock::start(Duration::from_secs(number("WHARF_TEST_DAY_SECONDS", 66))));
    let ((), (), (), (), kills) = tokio::join!(
        day.wms.play(clock, &folder),
        import.play(clock),
        day.erp.play(clock),
        day.sap.play(clock),
        breakage::play(&day.deployment, &day.postgres, &day.gate, &body, clock),
    );
    let took = began.elapsed().as_secs();

    let sources = day.sources().await;
    day.check(&sources);
    let running = day.deployment.start(&body).await;
    day.when_arrived(&sources, &running).await;
    // What comes too much comes now.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let ended = running.drain().await;
    assert_eq!(ended.outcome, Outcome::Clean);
    for connector in SINKS.into_iter().chain(TABLES.map(|table| table.name)) {
        let [read, split, delivered, filtered, dead] = counts(&ended.snapshot, connector);
        assert_eq!((read + split, dead), (delivered + filtered, 0), "{connector}");
        assert_eq!(day.deployment.read_dead(connector).await, [], "{connector}");
    }
    let rows = day.compare(&sources).await;
    say(&day.told(took, kills, rows));
}
