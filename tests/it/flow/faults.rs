//! Guests that die, hang, hog or refuse: what arrives all the same, what does not move, and what is told.

use wharf_runtime::supervisor::Outcome;
use wharf_runtime::telemetry::TaskState;

use super::*;

/// The source that traps in each poll, beside a good one.
const TRAPPING_SOURCE: &str = r#"
[[source]]
name = "script"
component = "script"
topic = "{t}orders"
format = "bytes"
config = { scenes = [{ records = [{ value = "a" }] }, { ends = "trap" }] }
"#;

fn seen(row: &deployment::Row) -> (&str, String) {
    (row.code(), row.text())
}

#[tokio::test]
async fn offset_is_not_committed_when_the_log_refuses_the_dead_letter() {
    for once in ["true", "false"] {
        let deployment = Deployment::embedded();
        deployment.produce_values("orders", &["a", "refuse", "b"]).await;
        let topic = "[topic.\"dlq.flow.ledger\"]\nconfig = { \"max.message.bytes\" = \"10\" }\n";
        let body = format!("\n{topic}{}", ledger("", &format!("exactly-once = {once}")));
        let ended = deployment.until_done(&body).await;
        assert_eq!(ended.outcome, Outcome::AllFailed);
        assert!(reason(&ended.snapshot, "ledger").contains("the log refuses a dead letter, nothing is committed"), "{ended:?}");
        assert_eq!(deployment.offsets("ledger"), [""; 0], "exactly-once = {once}");
        if once == "true" {
            assert_eq!(deployment.query("SELECT next_offset FROM _wharf_offsets"), ["0"]);
            assert_eq!(entered(&deployment, "ledger"), [""; 0], "rows and offset move together");
        }
        assert_eq!(counts(&ended.snapshot, "ledger"), [0; 5]);
        // The log takes it now: nothing was dropped.
        let body = ledger("", &format!("exactly-once = {once}\ndead-letter = \"dlq.other\""));
        let ended = deployment.until_done(&body).await;
        assert_eq!(ended.outcome, Outcome::Clean);
        assert_eq!(
            deployment.read("dlq.other").await.iter().map(seen).collect::<Vec<_>>(),
            [("ledger.refused", "refuse".to_owned())]
        );
        assert_eq!(counts(&ended.snapshot, "ledger"), [3, 0, 2, 0, 1]);
    }
}

#[tokio::test]
async fn offset_is_not_committed_when_there_is_no_topic_for_the_dead_letter() {
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &["a", "refuse", "b"]).await;
    let ended = deployment.until_done(&format!("create = false\n{}", ledger("", ""))).await;
    assert_eq!(ended.outcome, Outcome::AllFailed);
    assert!(reason(&ended.snapshot, "ledger").contains("there is no topic `dlq.flow.ledger`"), "{ended:?}");
    assert_eq!(deployment.query("SELECT next_offset FROM _wharf_offsets"), ["0"]);
    assert_eq!(counts(&ended.snapshot, "ledger"), [0; 5]);
}

#[tokio::test]
async fn position_is_not_moved_when_the_log_refuses_the_dead_letter() {
    let deployment = Deployment::embedded();
    deployment.write("in/a.csv", "id,n\n1,1\n2,two\n");
    let body = r#"
[topic."dlq.flow.files"]
config = { "max.message.bytes" = "10" }

[[source]]
name = "files"
component = "csv"
topic = "orders"
allow.files = ["in"]
config = { path = "in", key = ["id"], types = { n = "int" } }
"#;
    let ended = deployment.until_done(body).await;
    assert_eq!(ended.outcome, Outcome::AllFailed);
    assert!(reason(&ended.snapshot, "files").contains("the log refuses a dead letter"), "{ended:?}");
    assert_eq!(deployment.positions("files"), [""; 0]);
    assert_eq!(deployment.read("orders").await, [], "record, dead letter and position move together");
    assert_eq!(counts(&ended.snapshot, "files"), [0; 5]);
}

#[tokio::test]
async fn a_poisonous_record_alone_goes_to_the_dead_letters_and_its_neighbours_arrive_in_order() {
    for once in ["true", "false"] {
        let deployment = Deployment::embedded();
        let values = ["a", "b", "trap", "c", "d", "e", "f"];
        deployment.produce_values("orders", &values).await;
        let body = format!("{}{NEIGHBOUR}", ledger("", &format!("exactly-once = {once}")));
        let ended = deployment.until_done(&body).await;
        assert_eq!(ended.outcome, Outcome::Clean);
        let mut arrived = entered(&deployment, "ledger");
        // At least once: a piece that holds the record writes nothing, so nothing repeats here.
        assert_eq!(arrived, ["a", "b", "c", "d", "e", "f"], "exactly-once = {once}");
        let dead = deployment.read("dlq.flow.ledger").await;
        assert_eq!(dead.iter().map(seen).collect::<Vec<_>>(), [("guest.poison", "trap".to_owned())]);
        assert_eq!(dead[0].header("__connect.errors.offset"), "2");
        assert!(dead[0].header("__connect.errors.exception.message").contains("trap at orders/0/2"), "{dead:?}");
        assert_eq!(counts(&ended.snapshot, "ledger"), [7, 0, 6, 0, 1]);
        assert!(row(&ended.snapshot, "ledger").restarts > 0);
        assert_eq!(deployment.offsets("ledger"), ["0|7"]);
        // The neighbour meets the same record in an instance of its own.
        arrived = entered(&deployment, "neighbour");
        assert_eq!(arrived, ["a", "b", "c", "d", "e", "f"]);
    }
}

#[tokio::test]
async fn of_a_batch_of_500_only_the_record_that_traps_and_the_one_that_spins_are_buried() {
    // At the same time: some twenty instances spin until their CPU time is up, which is far more than a call of good records
    // takes on a slow machine.
    let one = async |once: bool| {
        let deployment = Deployment::embedded();
        let mut values: Vec<_> = (0..500).map(|n| n.to_string()).collect();
        values[123] = "trap".to_owned();
        values[377] = "spin".to_owned();
        let values: Vec<_> = values.iter().map(String::as_str).collect();
        deployment.produce_values("orders", &values).await;
        let more = format!("exactly-once = {once}\nbatch = {{ records = 500 }}\nlimits.call-cpu = \"400ms\"");
        let ended = deployment.until_done(&ledger("", &more)).await;
        assert_eq!(ended.outcome, Outcome::Clean);
        let neighbours: Vec<_> = values.iter().copied().filter(|value| !["trap", "spin"].contains(value)).collect();
        assert_eq!(entered(&deployment, "ledger"), neighbours, "exactly-once = {once}");
        let dead = deployment.read("dlq.flow.ledger").await;
        let told = |row: &deployment::Row| format!("{} {} {}", row.code(), row.text(), row.header("__connect.errors.offset"));
        assert_eq!(dead.iter().map(told).collect::<Vec<_>>(), ["guest.poison trap 123", "guest.poison spin 377"]);
        assert_eq!(counts(&ended.snapshot, "ledger"), [500, 0, 498, 0, 2]);
        assert_eq!(deployment.offsets("ledger"), ["0|500"]);
    };
    tokio::join!(one(true), one(false));
}

#[tokio::test]
async fn a_trap_in_a_sink_replays_its_batch_in_a_fresh_instance() {
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &["a", "b", "c"]).await;
    deployment.execute("CREATE TABLE orders (word TEXT NOT NULL PRIMARY KEY); INSERT INTO orders VALUES ('trap-in-write')");
    let body = ledger(", orders = \"orders\"", "exactly-once = false");
    let ended = deployment.until_done(&body).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(entered(&deployment, "ledger"), ["a", "b", "c"]);
    assert_eq!(counts(&ended.snapshot, "ledger"), [3, 0, 3, 0, 0]);
    assert_eq!(row(&ended.snapshot, "ledger").restarts, 1);
    assert_eq!(deployment.read("dlq.flow.ledger").await, []);
}

#[tokio::test]
async fn a_sink_that_spins_or_takes_all_memory_is_named_and_the_others_flow_on() {
    for (value, named) in [("spin", "CPU"), ("hog", "memory")] {
        let deployment = Deployment::embedded();
        deployment.produce_values("orders", &["a", value, "b"]).await;
        // The neighbour reads another topic of good records.
        deployment.produce_values("good", &["x", "y"]).await;
        let good = NEIGHBOUR.replace("{t}orders", "good");
        let body = format!("{}{good}", ledger("", "limits = { call-cpu = \"200ms\", memory = \"32MiB\" }"));
        let ended = deployment.until_done(&body).await;
        assert_eq!(ended.outcome, Outcome::Clean);
        assert_eq!(entered(&deployment, "ledger"), ["a", "b"]);
        assert_eq!(entered(&deployment, "neighbour"), ["x", "y"]);
        let dead = deployment.read("dlq.flow.ledger").await;
        assert_eq!(dead.iter().map(seen).collect::<Vec<_>>(), [("guest.poison", value.to_owned())]);
        let message = dead[0].header("__connect.errors.exception.message");
        assert!(message.contains(named), "{message}");
        assert_eq!(counts(&ended.snapshot, "ledger"), [3, 0, 2, 0, 1]);
        assert_eq!(row(&ended.snapshot, "neighbour").restarts, 0);
    }
}

#[tokio::test]
async fn a_source_that_traps_in_poll_stays_failed_with_its_reason_while_the_others_run_on() {
    let deployment = Deployment::embedded();
    deployment.write("in/a.jsonl", "{\"id\":1}\n");
    let files = r#"
[[source]]
name = "files"
component = "csv"
topic = "files"
allow.files = ["in"]
config = { path = "in", interval = "100ms" }
"#;
    let body = format!("\n[listen]\naddress = \"127.0.0.1:{}\"\n{TRAPPING_SOURCE}{files}", free_port());
    let running = deployment.start(&body).await;
    let snapshot = running.when_failed("script").await;
    let why = reason(&snapshot, "script");
    assert!(why.contains("trap in scene 1") && why.contains("5 times"), "{why}");
    assert_eq!((snapshot.health.healthy, snapshot.health.ready), (false, true), "it had come up, and the others stay in service");
    assert!(snapshot.health.reasons.iter().any(|r| r.contains("script") && r.contains("FAILED")), "{:?}", snapshot.health);
    let address = body.split('"').nth(1).unwrap();
    assert_eq!(get(&format!("http://{address}/health")).await.0, 503);
    // What came before it is delivered, once, and its position is kept.
    assert_eq!(texts(&deployment.read("orders").await), ["a"]);
    assert_eq!(deployment.positions("script"), ["scenes|1"]);
    deployment.append("in/a.jsonl", "{\"id\":2}\n");
    running.when_settled("files", 2).await;
    let ended = running.drain().await;
    assert_eq!(ended.outcome, Outcome::SomeFailed, "a drain does not make a failed connector well");
    assert_eq!(task(&ended.snapshot, "script").state, TaskState::Failed);
    assert_eq!(texts(&deployment.read("files").await), ["{\"id\":1}", "{\"id\":2}"]);
    assert_eq!(counts(&ended.snapshot, "script"), [1, 0, 1, 0, 0]);
    assert!(ended.snapshot.adds_up());
}

/// A scene a transaction: while one is written, the next is read.
const ONE_BY_ONE: &str = r#"
[[source]]
name = "script"
component = "script"
topic = "orders"
format = "bytes"
batch = { records = 1 }
config = { scenes = [{ records = [{ value = "a" }] }, { records = [{ value = "b" }] }, { records = [{ value = "refuse" }] }, { records = [{ value = "c" }] }, { records = [{ value = "d" }] }] }
"#;

#[tokio::test]
async fn what_a_source_read_ahead_arrives_once_and_in_order_also_where_the_append_before_it_failed() {
    let deployment = Deployment::embedded();
    let body = ONE_BY_ONE.replace("batch =", "max-record-bytes = 5\nbatch =");
    let topic = "[topic.\"dlq.flow.script\"]\nconfig = { \"max.message.bytes\" = \"10\" }\n";
    let ended = deployment.until_done(&format!("\n{topic}{body}")).await;
    assert_eq!(ended.outcome, Outcome::AllFailed);
    assert!(reason(&ended.snapshot, "script").contains("the log refuses a dead letter"), "{ended:?}");
    assert_eq!(texts(&deployment.read("orders").await), ["a", "b"]);
    assert_eq!(deployment.positions("script"), ["scenes|2"], "of what was read ahead nothing is stored");
    assert_eq!(counts(&ended.snapshot, "script"), [2, 0, 2, 0, 0]);
    // The log takes it now: what was read ahead comes again.
    let body = body.replace("batch =", "dead-letter = \"dlq.other\"\nbatch =");
    let ended = deployment.until_done(&body).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(texts(&deployment.read("orders").await), ["a", "b", "c", "d"]);
    assert_eq!(deployment.read("dlq.other").await.len(), 1);
    assert_eq!(deployment.positions("script"), ["scenes|5"]);
    assert_eq!(counts(&ended.snapshot, "script"), [3, 0, 2, 0, 1]);
}

#[tokio::test]
async fn a_trap_while_a_source_reads_ahead_leaves_what_was_before_it_delivered_once() {
    let deployment = Deployment::embedded();
    let body = ONE_BY_ONE.replace("{ records = [{ value = \"refuse\" }] }", "{ ends = \"trap\" }");
    let ended = deployment.start(&body).await.ended().await;
    assert_eq!(ended.outcome, Outcome::AllFailed);
    assert!(reason(&ended.snapshot, "script").contains("trap in scene 2"), "{ended:?}");
    assert_eq!(texts(&deployment.read("orders").await), ["a", "b"]);
    assert_eq!(deployment.positions("script"), ["scenes|2"]);
    assert_eq!(counts(&ended.snapshot, "script"), [2, 0, 2, 0, 0]);
}

#[tokio::test]
async fn a_run_whose_every_connector_failed_ends_by_itself() {
    let deployment = Deployment::embedded();
    let body = TRAPPING_SOURCE.replace("ends = \"trap\"", "ends = \"no such entity\"");
    let running = deployment.start(&body).await;
    let ended = running.ended().await;
    assert_eq!(ended.outcome, Outcome::AllFailed);
    assert!(reason(&ended.snapshot, "script").contains("no such entity"), "{ended:?}");
    assert_eq!(texts(&deployment.read("orders").await), ["a"]);
}

#[tokio::test]
async fn a_transform_that_traps_buries_the_one_record_on_both_sides() {
    let deployment = Deployment::embedded();
    let source = r#"
[[source]]
name = "script"
component = "script"
topic = "orders"
format = "bytes"
config = { scenes = [{ records = [{ value = "a" }, { value = "poison" }, { value = "twice" }, { value = "drop" }, { value = "b" }] }] }
[[source.transform]]
component = "touchy"
"#;
    let ended = deployment.until_done(source).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(texts(&deployment.read("orders").await), ["a", "once", "again", "b"]);
    let dead = deployment.read("dlq.flow.script").await;
    assert_eq!(dead.iter().map(seen).collect::<Vec<_>>(), [("guest.poison", "poison".to_owned())]);
    assert_eq!(dead[0].header("__connect.errors.stage"), "TRANSFORMATION");
    assert_eq!(counts(&ended.snapshot, "script"), [5, 1, 4, 1, 1]);

    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &["a", "twice", "poison", "drop", "refuse", "b"]).await;
    let body = ledger("", "[[sink.transform]]\ncomponent = \"touchy\"");
    let ended = deployment.until_done(&body).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(entered(&deployment, "ledger"), ["a", "once", "again", "b"]);
    let dead = deployment.read("dlq.flow.ledger").await;
    let expected = [("guest.poison", "poison".to_owned()), ("touchy.refused", "refuse".to_owned())];
    assert_eq!(dead.iter().map(seen).collect::<Vec<_>>(), expected);
    assert_eq!(counts(&ended.snapshot, "ledger"), [6, 1, 4, 1, 2]);
    assert_eq!(deployment.offsets("ledger"), ["0|6"]);
}

#[tokio::test]
async fn a_transform_that_cannot_be_opened_fails_its_connector_and_buries_nothing() {
    for (open, expected) in [("no key", "cannot open: no key"), ("trap", "trap in open")] {
        let deployment = Deployment::embedded();
        deployment.produce_values("orders", &["a", "b"]).await;
        let body = ledger("", &format!("[[sink.transform]]\ncomponent = \"touchy\"\nconfig = {{ open = \"{open}\" }}"));
        let ended = deployment.until_done(&body).await;
        assert_eq!(ended.outcome, Outcome::AllFailed);
        assert!(reason(&ended.snapshot, "ledger").contains(expected), "{ended:?}");
        assert_eq!(deployment.read("dlq.flow.ledger").await, []);
        assert_eq!(deployment.offsets("ledger"), [""; 0]);
        assert_eq!(counts(&ended.snapshot, "ledger"), [0; 5]);
    }
}

#[tokio::test]
async fn a_sink_that_refuses_nearly_everything_stops_before_its_topic_is_poured_away() {
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &["refuse"; 100]).await;
    let body = ledger("", "batch = { records = 10 }\ndead-letter.window = { size = 100, limit = 25 }");
    let ended = deployment.until_done(&body).await;
    assert_eq!(ended.outcome, Outcome::AllFailed);
    let why = reason(&ended.snapshot, "ledger");
    let told = ["30 of the last 30 records were dead-lettered", " 10; the first: orders/0/20: "];
    assert!(told.iter().all(|part| why.contains(part)), "{why}");
    // What was buried is confirmed; the batch that would pass the window stays where it is, and so does the rest.
    assert_eq!(deployment.read("dlq.flow.ledger").await.len(), 20);
    assert_eq!(
        (deployment.query("SELECT next_offset FROM _wharf_offsets"), counts(&ended.snapshot, "ledger")),
        (vec!["20".to_owned()], [20, 0, 0, 0, 20])
    );
}

#[tokio::test]
async fn a_drain_that_hits_its_deadline_says_so_and_its_records_come_again() {
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &["a", "spin", "b"]).await;
    let running = deployment.start(&format!("drain-timeout = \"300ms\"\n{}", ledger("", "limits.call-cpu = \"80s\""))).await;
    running.when("in flight", |snapshot| task(snapshot, "ledger").in_flight == 3).await;
    let ended = running.drain().await;
    assert_eq!(ended.outcome, Outcome::DrainDeadline);
    assert!(reason(&ended.snapshot, "ledger").contains("comes again at the next start"), "{ended:?}");
    assert_eq!(counts(&ended.snapshot, "ledger"), [0; 5]);
    let ended = deployment.until_done(&ledger("", "limits.call-cpu = \"200ms\"")).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(entered(&deployment, "ledger"), ["a", "b"]);
    assert_eq!(counts(&ended.snapshot, "ledger"), [3, 0, 2, 0, 1]);
}
