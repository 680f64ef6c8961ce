//! The retail example: what arrives where, and that a second run goes on instead of beginning anew.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use rusqlite::Connection;

use crate::{shown, stdout, wharf};

/// Rows of the warehouse's tables, in order of name.
fn tables(dir: &Path) -> Vec<(&'static str, i64)> {
    let warehouse = Connection::open(dir.join("wharf-demo/warehouse.sqlite")).unwrap();
    let count = |table| warehouse.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
    ["customers", "inventory", "marketing_events", "orders"].map(|table| (table, count(table))).to_vec()
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

#[test]
fn every_record_of_the_demo_ends_somewhere_and_a_second_run_moves_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let first = wharf(dir.path(), &["demo"]);
    assert!(first.status.success(), "{}", shown(&first));
    assert_eq!(last_line(&stdout(&first)), "read 5619 = delivered 5567 + filtered 41 + dead-lettered 11");
    let arrived = [("customers", 240), ("inventory", 536), ("marketing_events", 830), ("orders", 1131)];
    assert_eq!(tables(dir.path()), arrived);
    for reason in [
        "1  key.missing (TASK_POLL)",
        "1  record.oversize (KAFKA_PRODUCE)",
        "2  transform.cast (TRANSFORMATION)",
        "1  csv.width (TASK_POLL)",
        "1  csv.utf8 (TASK_POLL)",
        "1  csv.type (TASK_POLL)",
        "1  sql.type (TASK_PUT)",
        "1  key.missing (TRANSFORMATION)",
        "answered 401: a false signature",
        "answered 400: a body that is no JSON",
    ] {
        assert!(stdout(&first).contains(reason), "no {reason}\n{}", shown(&first));
    }
    let second = wharf(dir.path(), &["demo"]);
    assert!(second.status.success(), "{}", shown(&second));
    assert_eq!(last_line(&stdout(&second)), "read 0 = delivered 0 + filtered 0 + dead-lettered 0");
    assert_eq!(tables(dir.path()), arrived);
}

#[test]
fn a_row_appended_between_two_runs_is_all_that_moves() {
    let dir = tempfile::tempdir().unwrap();
    let first = wharf(dir.path(), &["demo"]);
    assert!(first.status.success(), "{}", shown(&first));
    let feed = dir.path().join("wharf-demo/wms/count-2026-03-04-corrections.csv");
    let mut feed = fs::OpenOptions::new().append(true).open(feed).unwrap();
    writeln!(feed, "SKU-0001,BER,2026-03-01,4711,2026-03-05T08:00:00Z,A-01").unwrap();
    drop(feed);
    let second = wharf(dir.path(), &["demo"]);
    assert!(second.status.success(), "{}", shown(&second));
    assert_eq!(last_line(&stdout(&second)), "read 2 = delivered 2 + filtered 0 + dead-lettered 0");
    let warehouse = Connection::open(dir.path().join("wharf-demo/warehouse.sqlite")).unwrap();
    let query = "SELECT quantity FROM inventory WHERE sku = 'SKU-0001' AND warehouse = 'BER' AND counted_on = '2026-03-01'";
    assert_eq!(warehouse.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap(), 4711);
}

/// Names are no secrets, addresses and numbers are: what the transforms mask must be nowhere, neither in topics nor in tables.
#[test]
fn what_is_masked_is_in_no_topic_and_in_no_table() {
    let dir = tempfile::tempdir().unwrap();
    let run = wharf(dir.path(), &["demo"]);
    assert!(run.status.success(), "{}", shown(&run));
    let mut looked = 0;
    for file in ["wharf-demo/state/log.sqlite", "wharf-demo/state/log.sqlite-wal", "wharf-demo/warehouse.sqlite"] {
        let Ok(bytes) = fs::read(dir.path().join(file)) else { continue };
        looked += bytes.len();
        let found = bytes.windows(b"@example.com".len()).position(|window| window == b"@example.com");
        assert!(found.is_none(), "an address stands in {file}");
    }
    assert!(looked > 500_000, "the files are where they are looked for");
}

#[test]
fn topics_can_be_listed_and_read_after_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let run = wharf(dir.path(), &["demo"]);
    assert!(run.status.success(), "{}", shown(&run));
    let list = wharf(dir.path(), &["topic", "ls", "wharf-demo/retail.toml"]);
    assert!(stdout(&list).lines().any(|l| l.split_whitespace().eq(["erp.orders", "3", "1132"])), "{}", shown(&list));
    let args = ["topic", "cat", "wharf-demo/retail.toml", "dlq.retail.wms-inventory", "--json"];
    let cat = wharf(dir.path(), &args);
    let letters: Vec<serde_json::Value> = stdout(&cat).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(letters.len(), 3, "{}", shown(&cat));
    let narrow = letters.iter().find(|l| l.to_string().contains("csv.width")).unwrap();
    assert_eq!(narrow["value"], "SKU-0014,HAM,2026-03-01,17", "the raw row, byte for byte");
}
