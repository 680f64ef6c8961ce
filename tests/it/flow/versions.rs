//! Where `version` names a column, the highest version of a key stands, in whatever order records come.

use wharf_runtime::supervisor::Outcome;

use super::warehouse::Warehouse;
use super::*;

fn sink(warehouse: &Warehouse<'_>, config: &str) -> String {
    format!(
        r#"{}
[[sink]]
name = "counts"
component = "sql"
topics = ["{{t}}orders"]
allow.sql = ["warehouse"]
batch = {{ records = 7 }}
retry = {{ initial = "50ms", max = "200ms" }}
config = {{ connection = "warehouse", table = "counts", {config} }}
"#,
        warehouse.section()
    )
}

/// Versions of forty keys in three orders, over many batches, then once more: what comes again changes nothing.
#[tokio::test]
async fn the_highest_version_of_a_key_stands_and_what_loses_counts_as_delivered() {
    for (postgres, version) in [(false, "rev"), (true, "rev"), (true, "at")] {
        let deployment = Deployment::embedded();
        let Some(db) = Warehouse::new(&format!("flow_versions_{version}"), &deployment, postgres).await else { continue };
        let orders = [[1, 2, 3], [3, 1, 2], [2, 3, 1]];
        let value = |id: usize, rev: u32| {
            format!("{{\"id\":{id},\"rev\":{rev},\"at\":\"2024-01-01T00:0{rev}:00Z\",\"pieces\":{}}}", rev * 100)
        };
        let once: Vec<_> = (0..3).flat_map(|turn| (0..40).map(move |id| value(id, orders[id % 3][turn]))).collect();
        let all: Vec<_> = once.iter().chain(once.iter().rev()).map(String::as_str).collect();
        deployment.produce_values("orders", &all).await;
        let config = format!("key = [\"id\"], version = \"{version}\", columns = {{ at = \"timestamp\" }}");
        let ended = deployment.until_done(&sink(&db, &config)).await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, "counts")), (Outcome::Clean, [240, 0, 240, 0, 0]), "{version}");
        let found = db.read("SELECT id, rev, pieces FROM counts ORDER BY id").await;
        assert_eq!(found, (0..40).map(|id| format!("{id}|3|300")).collect::<Vec<_>>());
    }
}

/// On a table that others made: without the column the sink says so, and with it records without a version are dead letters.
#[tokio::test]
async fn a_strict_table_needs_the_column_and_a_record_its_version() {
    for postgres in [false, true] {
        let deployment = Deployment::embedded();
        let Some(db) = Warehouse::new("flow_versions_strict", &deployment, postgres).await else { continue };
        db.execute("CREATE TABLE counts (id bigint PRIMARY KEY, pieces bigint)").await;
        deployment
            .produce(
                "orders",
                1,
                &[
                    (Some("1"), Some(br#"{"id":1,"rev":5,"pieces":1}"#)),
                    (Some("1"), Some(br#"{"id":1,"pieces":2}"#)),
                    (Some("1"), Some(br#"{"id":1,"rev":4,"pieces":3}"#)),
                    (Some("2"), Some(br#"{"id":2,"rev":9,"pieces":4}"#)),
                    (Some("2"), None),
                ],
            )
            .await;
        let body = sink(&db, r#"key = ["id"], version = "rev", schema = "strict""#);
        let running = deployment.start(&body).await;
        let snapshot = running.when_failed("counts").await;
        running.drain().await;
        let why = reason(&snapshot, "counts");
        assert!(why.contains("`version` names column `rev` of table `counts`: there is none; add it"), "{why}");
        db.execute("ALTER TABLE counts ADD rev bigint").await;
        let ended = deployment.until_done(&body).await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, "counts")), (Outcome::Clean, [5, 0, 4, 0, 1]));
        assert_eq!(db.read("SELECT id, rev, pieces FROM counts").await, ["1|5|1"]);
        let dead = deployment.read_dead("counts").await;
        assert_eq!(
            dead.iter().map(|row| (row.offset, row.code().to_owned())).collect::<Vec<_>>(),
            [(0, "version.missing".to_owned())]
        );
    }
}
