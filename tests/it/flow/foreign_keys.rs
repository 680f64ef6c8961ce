//! Rows whose foreign key is not there yet: they wait for it in their order, for as long as `foreign-key-wait` says, and nothing is
//! written twice or lost however the wait ends.

use wharf_runtime::supervisor::Outcome;
use wharf_runtime::telemetry::{Snapshot, TaskState};

use super::deployment::Row;
use super::warehouse::Warehouse;
use super::*;

const CUSTOMERS: &str = "CREATE TABLE customers (id bigint PRIMARY KEY); INSERT INTO customers VALUES (1)";

/// A sink `orders` of topic `orders`, which tries again soon; `config` are keys of its configuration.
fn sink(warehouse: &Warehouse<'_>, once: bool, config: &str) -> String {
    format!(
        r#"{}
[[sink]]
name = "orders"
component = "sql"
topics = ["{{t}}orders"]
allow.sql = ["warehouse"]
exactly-once = {once}
batch = {{ records = 4 }}
retry = {{ initial = "50ms", max = "200ms" }}
config = {{ connection = "warehouse", {config} }}
"#,
        warehouse.section()
    )
}

fn waits(snapshot: &Snapshot) -> bool {
    let task = task(snapshot, "orders");
    task.state == TaskState::Retrying && task.reason.as_ref().is_some_and(|why| why.contains("waiting for a retry"))
}

/// Postgres or not, and exactly once or not.
const WAYS: [(bool, bool); 4] = [(false, true), (false, false), (true, true), (true, false)];

#[tokio::test]
async fn a_row_waits_for_its_parent_in_its_order_while_other_partitions_flow_on() {
    const ORPHAN: i32 = 9;
    let line = |n: i32, customer: i32| format!("{{\"k\":{},\"n\":{n},\"customer\":{customer}}}\n", n % 9);
    for (postgres, once) in WAYS {
        let deployment = Deployment::embedded();
        let Some(db) = Warehouse::new(&format!("flow_orphan_{once}"), &deployment, postgres).await else { continue };
        db.execute(CUSTOMERS).await;
        let table = format!("CREATE TABLE orders ({}, k bigint, n bigint, customer bigint REFERENCES customers)", db.numbered());
        db.execute(&table).await;
        deployment.write("in/a.jsonl", (0..20).map(|n| line(n, if n == 10 { ORPHAN } else { 1 })).collect::<String>());
        let body = format!("{}{KEYED_FILES}", sink(&db, once, r#"table = "orders", foreign-key-wait = "1h""#));
        let running = deployment.start(&body).await;
        running.when("one partition waits", waits).await;
        deployment.append("in/a.jsonl", &(20..60).map(|n| line(n, 1)).collect::<String>());
        running.when_settled("files", 60).await;
        let topic = deployment.read("orders").await;
        let held = topic.iter().find(|row| row.text().contains("\"customer\":9")).unwrap();
        let numbers = |wanted: &dyn Fn(&Row) -> bool| {
            let number = |row: &Row| row.text().split(&[':', ','][..]).nth(3).unwrap().to_owned();
            topic.iter().filter(|row| wanted(row)).map(number).collect::<Vec<_>>()
        };
        let other = numbers(&|row| row.partition != held.partition);
        let waiting = numbers(&|row| row.partition == held.partition);
        let before = numbers(&|row| row.partition == held.partition && row.offset < held.offset);
        let batch_end = usize::try_from(held.offset).unwrap() + 4;
        assert!((10..50).contains(&other.len()) && !before.is_empty(), "both partitions have records");
        running
            .when("the others were counted", |snapshot| {
                usize::try_from(row(snapshot, "orders").delivered).unwrap() >= other.len() + before.len()
            })
            .await;
        let arrived = db.read("SELECT n FROM orders ORDER BY seq").await;
        let of = |arrived: &[String], all: &[String]| arrived.iter().filter(|n| all.contains(n)).cloned().collect::<Vec<_>>();
        assert_eq!(of(&arrived, &other), other, "the other partition is complete");
        let meanwhile = of(&arrived, &waiting);
        assert!(meanwhile.starts_with(&before) && !meanwhile.contains(&"10".to_owned()), "{meanwhile:?}");
        assert!(meanwhile.iter().all(|n| waiting.iter().position(|w| w == n).unwrap() < batch_end), "{meanwhile:?}");
        assert!(!once || meanwhile == before, "nothing newer is written before it: {meanwhile:?}");

        db.execute(&format!("INSERT INTO customers VALUES ({ORPHAN})")).await;
        running.when_settled("orders", 60).await;
        let ended = running.drain().await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, "orders")), (Outcome::Clean, [60, 0, 60, 0, 0]));
        let mut arrived = of(&db.read("SELECT n FROM orders ORDER BY seq").await, &waiting);
        assert!(!once || arrived == waiting, "in the order of the topic: {arrived:?}");
        let mut expected = waiting.clone();
        arrived.sort();
        expected.sort();
        assert_eq!(arrived, expected, "each once");
        assert_eq!(db.read("SELECT count(*) FROM orders").await, ["60"]);
    }
}

#[tokio::test]
async fn a_row_whose_parent_does_not_come_is_a_dead_letter_after_its_wait_and_by_default_at_once() {
    for (postgres, once) in WAYS {
        for (wait, retried) in [("foreign-key-wait = \"1s\"", true), ("schema = \"evolve\"", false)] {
            let deployment = Deployment::embedded();
            let test = format!("flow_lone_{once}_{retried}");
            let Some(db) = Warehouse::new(&test, &deployment, postgres).await else { continue };
            db.execute(CUSTOMERS).await;
            db.execute("CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint REFERENCES customers)").await;
            let order = |id: i32, customer: i32| format!("{{\"id\":{id},\"customer\":{customer}}}");
            let values = [order(1, 1), order(2, 9), order(3, 1), order(4, 8), order(5, 1), order(6, 1)];
            deployment.produce_values("orders", &values.each_ref().map(String::as_str)).await;
            let body = sink(&db, once, &format!("table = \"orders\", key = [\"id\"], {wait}"));
            let ended = deployment.until_done(&body).await;
            assert_eq!((ended.outcome, counts(&ended.snapshot, "orders")), (Outcome::Clean, [6, 0, 4, 0, 2]), "{test}");
            assert_eq!(db.read("SELECT id FROM orders ORDER BY id").await, ["1", "3", "5", "6"]);
            let dead = deployment.read_dead("orders").await;
            assert_eq!(texts(&dead), [order(2, 9), order(4, 8)]);
            for letter in &dead {
                let why = letter.header("__connect.errors.exception.message");
                let (code, told) = (letter.code(), why.ends_with("; it stayed so for 1s"));
                assert_eq!((code, told), ("sql.foreign-key", retried), "{why}");
            }
            assert_eq!(task(&ended.snapshot, "orders").retried > 0, retried);
        }
    }
}

/// By two topics of one sink, of which the orders come first, and into the table that is written first.
#[tokio::test]
async fn rows_and_their_parents_may_come_by_different_topics() {
    for (postgres, once) in WAYS {
        let deployment = Deployment::embedded();
        let Some(db) = Warehouse::new(&format!("flow_topics_{once}"), &deployment, postgres).await else { continue };
        db.execute("CREATE TABLE customers (id bigint PRIMARY KEY, name text)").await;
        db.execute("CREATE TABLE a_orders (id bigint PRIMARY KEY, customer bigint NOT NULL REFERENCES customers)").await;
        let orders: Vec<_> = (0..20).map(|id| format!("{{\"id\":{id},\"customer\":{}}}", id % 10)).collect();
        deployment.produce_values("orders", &orders.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let customers: Vec<_> = (0..10).map(|id| format!("{{\"id\":{id},\"name\":\"n\"}}")).collect();
        deployment.produce_values("customers", &customers.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let config = r#"key = ["id"], tables = { orders = "a_orders", customers = "customers" }, foreign-key-wait = "1h""#;
        let body = sink(&db, once, config).replace("topics = [\"{t}orders\"]", "topics = [\"orders\", \"customers\"]");
        let ended = deployment.until_done(&body).await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, "orders")), (Outcome::Clean, [30, 0, 30, 0, 0]), "{once}");
        assert_eq!(db.read("SELECT (SELECT count(*) FROM a_orders), (SELECT count(*) FROM customers)").await, ["20|10"]);
    }
}

/// The later row of the key is written by the call that the earlier one is refused in, where rows are durable at once.
#[tokio::test]
async fn a_row_that_has_waited_does_not_undo_a_later_one_of_its_key() {
    for (postgres, once) in WAYS {
        let deployment = Deployment::embedded();
        let Some(db) = Warehouse::new(&format!("flow_undone_{once}"), &deployment, postgres).await else { continue };
        db.execute(CUSTOMERS).await;
        db.execute("CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint REFERENCES customers, a text, b text)").await;
        let values = [r#"{"id":1,"customer":9,"a":"early"}"#, r#"{"id":1,"customer":1,"b":"late"}"#];
        deployment.produce_values("orders", &values).await;
        let running = deployment.start(&sink(&db, once, r#"table = "orders", key = ["id"], foreign-key-wait = "1h""#)).await;
        running.when("it waits", waits).await;
        db.execute("INSERT INTO customers VALUES (9)").await;
        running.when_settled("orders", 2).await;
        assert_eq!(counts(&running.drain().await.snapshot, "orders"), [2, 0, 2, 0, 0]);
        assert_eq!(db.read("SELECT id, customer, a, b FROM orders").await, ["1|1|early|late"], "exactly once {once}");
    }
}

#[tokio::test]
async fn a_deletion_waits_for_the_rows_that_refer_to_it_to_go() {
    for (postgres, once) in WAYS {
        let deployment = Deployment::embedded();
        let Some(db) = Warehouse::new(&format!("flow_deletion_{once}"), &deployment, postgres).await else { continue };
        db.execute(CUSTOMERS).await;
        db.execute("INSERT INTO customers VALUES (2)").await;
        db.execute("CREATE TABLE lines (customer bigint REFERENCES customers); INSERT INTO lines VALUES (1)").await;
        deployment.produce("orders", 1, &[(Some("1"), None), (Some("2"), None)]).await;
        let running = deployment.start(&sink(&db, once, r#"table = "customers", key = ["id"], foreign-key-wait = "1h""#)).await;
        running.when("it waits", waits).await;
        assert!(db.read("SELECT id FROM customers").await.contains(&"1".to_owned()));
        db.execute("DELETE FROM lines").await;
        running.when_settled("orders", 2).await;
        assert_eq!(counts(&running.drain().await.snapshot, "orders"), [2, 0, 2, 0, 0]);
        assert_eq!(db.read("SELECT count(*) FROM customers").await, ["0"]);
    }
}
