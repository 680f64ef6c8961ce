//! Offsets of batches that follow each other at once are committed together, and none is forgotten.

use super::*;

const TWO_A_BATCH: &str = "batch.records = 2";

#[tokio::test]
async fn a_sink_that_fails_has_committed_what_it_delivered() {
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &["1", "2", "3", "4", "5", "6"]).await;
    let (target, port) = target(Busy::No, 0).await;
    target.lock().unwrap().moved.push("5".to_owned());
    let ended = deployment.until_done(&events(port, TWO_A_BATCH)).await;
    assert_eq!(ended.outcome, Outcome::AllFailed);
    assert!(reason(&ended.snapshot, "events").contains("redirects to elsewhere"), "{ended:#?}");
    assert_eq!(deployment.offsets("events"), ["0|4"]);
    assert_eq!(counts(&ended.snapshot, "events"), [4, 0, 4, 0, 0]);
    target.lock().unwrap().moved.clear();
    let ended = deployment.until_done(&events(port, TWO_A_BATCH)).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(accepted(&target), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(deployment.offsets("events"), ["0|6"]);
}

#[tokio::test]
async fn what_is_delivered_is_committed_when_nothing_follows_without_a_drain() {
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &["1", "2", "3", "4"]).await;
    let (target, port) = target(Busy::No, 0).await;
    let running = deployment.start(&events(port, TWO_A_BATCH)).await;
    running.when_settled("events", 4).await;
    running.kill().await;
    assert_eq!(deployment.offsets("events"), ["0|4"]);
    let ended = deployment.until_done(&events(port, TWO_A_BATCH)).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(accepted(&target), ["1", "2", "3", "4"]);
}
