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

#[tokio::test]
async fn what_is_delivered_is_committed_before_a_wait() {
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &["1", "2", "3", "4"]).await;
    let (target, port) = target(Busy::Seconds(60), usize::MAX).await;
    {
        let mut target = target.lock().unwrap();
        (target.busy, target.busy_from) = (Busy::No, Some(("3".to_owned(), Busy::Seconds(60))));
    }
    let running = deployment.start(&events(port, TWO_A_BATCH)).await;
    running.when("it waits", |snapshot| task(snapshot, "events").state == TaskState::Retrying).await;
    running.kill().await;
    assert_eq!(accepted(&target), ["1", "2"]);
    assert_eq!(deployment.offsets("events"), ["0|2"]);
}

#[tokio::test]
async fn the_window_of_dead_letters_counts_those_of_batches_that_follow_each_other_at_once() {
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &["no JSON"; 40]).await;
    let (_, port) = target(Busy::No, 0).await;
    let window = "batch.records = 1\ndead-letter.window = { size = 100, limit = 5 }";
    let ended = deployment.until_done(&events(port, window)).await;
    assert_eq!(ended.outcome, Outcome::AllFailed);
    assert_eq!(deployment.read("dlq.flow.events").await.len(), 5);
    assert_eq!(deployment.offsets("events"), ["0|5"]);
}
