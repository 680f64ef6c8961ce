//! Sinks that say `buffered`: offsets wait for the flush, whatever happens before it.

use wharf_runtime::supervisor::Outcome;

use super::*;

const BUFFERED: &str = ", buffered = true, orders = \"orders\"";
const PLAIN: &str = "exactly-once = false";

async fn prepared(values: &[&str], orders: &[&str]) -> Deployment {
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", values).await;
    deployment.execute("CREATE TABLE orders (word TEXT NOT NULL PRIMARY KEY)");
    for word in orders {
        deployment.execute(&format!("INSERT INTO orders VALUES ('{word}')"));
    }
    deployment
}

#[tokio::test]
async fn offsets_of_a_buffered_sink_move_with_its_flush() {
    let deployment = prepared(&["a", "b"], &[]).await;
    let ended = deployment.until_done(&ledger(BUFFERED, PLAIN)).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(entered(&deployment, "ledger"), ["a", "b"]);
    assert_eq!(deployment.offsets("ledger"), ["0|2"]);
    assert_eq!(counts(&ended.snapshot, "ledger"), [2, 0, 2, 0, 0]);
}

#[tokio::test]
async fn what_a_dead_buffered_sink_held_is_delivered_again_and_the_record_at_fault_is_found() {
    let deployment = prepared(&["a", "b", "c", "trap", "d", "e"], &[]).await;
    // Batches of two: the first one lies in the instance when the second one kills it.
    let ended = deployment.until_done(&ledger(BUFFERED, &format!("{PLAIN}\nbatch = {{ records = 2 }}"))).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(entered(&deployment, "ledger"), ["a", "b", "c", "d", "e"]);
    let dead = deployment.read("dlq.flow.ledger").await;
    assert_eq!(dead.iter().map(|row| (row.code(), row.text())).collect::<Vec<_>>(), [("guest.poison", "trap".to_owned())]);
    assert_eq!(counts(&ended.snapshot, "ledger"), [6, 0, 5, 0, 1]);
    assert_eq!(deployment.offsets("ledger"), ["0|6"]);
}

#[tokio::test]
async fn a_flush_that_fails_or_dies_delivers_again_from_the_committed_offset() {
    for order in ["fail-flush", "trap-in-flush"] {
        let deployment = prepared(&["a", "b", "c"], &[order]).await;
        let ended = deployment.until_done(&ledger(BUFFERED, PLAIN)).await;
        assert_eq!(ended.outcome, Outcome::Clean, "{order}");
        assert_eq!(entered(&deployment, "ledger"), ["a", "b", "c"], "{order}");
        assert_eq!(counts(&ended.snapshot, "ledger"), [3, 0, 3, 0, 0]);
        assert!(row(&ended.snapshot, "ledger").restarts > 0);
        assert_eq!(deployment.offsets("ledger"), ["0|3"]);
    }
}

#[tokio::test]
async fn a_piece_that_is_filtered_whole_does_not_commit_what_is_buffered_before_it() {
    // The flush of the drain fails, so that what was committed before it shows.
    let deployment = prepared(&["a", "b", "drop", "drop"], &["fail-flush"]).await;
    let more = format!("{PLAIN}\nbatch = {{ records = 2 }}\n[[sink.transform]]\ncomponent = \"touchy\"\n");
    let running = deployment.start(&ledger(BUFFERED, &more)).await;
    let snapshot = running.when("all in flight", |s| task(s, "ledger").restarts > 0 || task(s, "ledger").delivered > 0).await;
    // The idle flush failed before anything was committed.
    assert_eq!((task(&snapshot, "ledger").delivered, task(&snapshot, "ledger").filtered), (0, 0));
    assert_eq!(deployment.offsets("ledger"), [""; 0]);
    running.when_settled("ledger", 4).await;
    let ended = running.drain().await;
    assert_eq!(entered(&deployment, "ledger"), ["a", "b"]);
    assert_eq!(counts(&ended.snapshot, "ledger"), [4, 0, 2, 2, 0]);
    assert_eq!(deployment.offsets("ledger"), ["0|4"]);
}

#[tokio::test]
async fn a_flush_that_fails_on_drain_commits_nothing_and_says_so() {
    let deployment = prepared(&["a", "b"], &["fail-flush"]).await;
    let running = deployment.start(&ledger(BUFFERED, PLAIN)).await;
    running.when("in flight", |s| task(s, "ledger").in_flight == 2).await;
    let ended = running.drain().await;
    let why = reason(&ended.snapshot, "ledger");
    assert!(why.contains("comes again at the next start") && why.contains("ordered to fail the flush"), "{why}");
    assert_eq!(deployment.offsets("ledger"), [""; 0]);
    assert_eq!(counts(&ended.snapshot, "ledger"), [0; 5]);
    let ended = deployment.until_done(&ledger(BUFFERED, PLAIN)).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(entered(&deployment, "ledger"), ["a", "b"]);
    assert_eq!(deployment.offsets("ledger"), ["0|2"]);
}

#[tokio::test]
async fn buffered_together_with_exactly_once_is_refused_with_the_way_out() {
    let deployment = prepared(&["a"], &[]).await;
    let ended = deployment.until_done(&ledger(BUFFERED, "")).await;
    assert_eq!(ended.outcome, Outcome::AllFailed);
    assert!(reason(&ended.snapshot, "ledger").contains("exactly-once = false"), "{ended:?}");
    assert_eq!(deployment.query("SELECT next_offset FROM _wharf_offsets"), ["0"]);
}
