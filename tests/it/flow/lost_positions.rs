//! The topic that keeps positions on Kafka is deleted: its sources fail instead of reading everything again, whether they start or
//! run, and go on when an operator has said how.

use wharf_runtime::supervisor::Outcome;
use wharf_runtime::telemetry::Snapshot;

use super::*;

fn files(once: bool) -> String {
    format!(
        r#"
[[source]]
name = "files"
component = "csv"
topic = "{{t}}orders"
allow.files = ["in"]
config = {{ path = "in", pattern = "*.csv", key = ["id"], types = {{ id = "int" }}, interval = "100ms" }}
exactly-once = {once}
"#
    )
}

fn lines(from: usize, to: usize) -> String {
    (from..to).map(|n| format!("{n},thing {n}\n")).collect()
}

/// Ids in the topic, in order; one that was read twice is there twice.
async fn arrived(deployment: &Deployment) -> Vec<u64> {
    let rows = deployment.read("orders").await;
    let id = |row: &deployment::Row| serde_json::from_str::<serde_json::Value>(&row.text()).unwrap()["id"].as_u64().unwrap();
    let mut ids: Vec<_> = rows.iter().map(id).collect();
    ids.sort_unstable();
    ids
}

fn says_what_to_do(snapshot: &Snapshot, deployment: &Deployment, what: &str) {
    let why = reason(snapshot, "files");
    let topic = format!("topic `wharf.{}.positions`, in which source `files` kept its positions, {what}:", deployment.name());
    let words = [topic.as_str(), "wharf offsets set CONFIG files PLACE --slice SLICE", "wharf offsets reset CONFIG files"];
    assert!(words.iter().all(|word| why.contains(word)), "{why}");
}

async fn does_not_start(deployment: &Deployment, body: &str, what: &str) {
    let ended = deployment.until_done(body).await;
    assert_eq!(ended.outcome, Outcome::AllFailed, "{ended:#?}");
    says_what_to_do(&ended.snapshot, deployment, what);
    assert_eq!(counts(&ended.snapshot, "files"), [0; 5]);
}

#[tokio::test]
async fn a_source_whose_positions_are_gone_does_not_start_and_reads_again_only_when_told_to() {
    for once in [true, false] {
        let Some(deployment) = Deployment::kafka(&format!("flow_lost_{once}")) else { return };
        let body = files(once);
        deployment.write("in/a.csv", format!("id,name\n{}", lines(0, 3)));
        for read in [3, 0] {
            let ended = deployment.until_done(&body).await;
            assert_eq!((ended.outcome, counts(&ended.snapshot, "files")[0]), (Outcome::Clean, read), "{ended:#?}");
        }
        deployment.lose_positions(false).await;
        for _ in 0..2 {
            does_not_start(&deployment, &body, "was deleted").await;
            assert!(!deployment.has_positions().await, "the topic was made anew");
        }
        deployment.remake_positions().await;
        does_not_start(&deployment, &body, "was deleted and made anew").await;
        assert_eq!(arrived(&deployment).await, [0, 1, 2]);

        deployment.reset_source(&body, "files").await;
        for read in [3, 0] {
            let ended = deployment.until_done(&body).await;
            assert_eq!((ended.outcome, counts(&ended.snapshot, "files")[0]), (Outcome::Clean, read), "{ended:#?}");
        }
        assert_eq!(arrived(&deployment).await, [0, 0, 1, 1, 2, 2]);
    }
}

/// The topic goes while the source runs, with records on their way or none.
async fn a_running_source_fails(deployment: &Deployment, once: bool, anew: bool, busy: bool) {
    let body = files(once);
    deployment.write("in/a.csv", format!("id,name\n{}", lines(0, 3)));
    deployment.write("in/b.csv", format!("id,name\n{}", lines(10, 13)));
    let running = deployment.start(&body).await;
    running.when_settled("files", 6).await;
    deployment.lose_positions(anew).await;
    let mut next = 13;
    let snapshot = {
        let failed = running.when_failed("files");
        tokio::pin!(failed);
        loop {
            // Cancel-safe: the first is polled again.
            tokio::select! {
                snapshot = &mut failed => break snapshot,
                () = tokio::time::sleep(std::time::Duration::from_millis(50)) => {
                    if busy {
                        deployment.append("in/b.csv", &lines(next, next + 1));
                        next += 1;
                    }
                }
            }
        }
    };
    assert!(reason(&snapshot, "files").contains("kept its positions, was deleted"), "{snapshot:#?}");
    drop(running.ended().await);
    let before = arrived(deployment).await;
    // What the old process wrote into the new topic is not what another would have.
    let ended = deployment.until_done(&body).await;
    assert_eq!(ended.outcome, Outcome::AllFailed, "{ended:#?}");
    assert_eq!(arrived(deployment).await, before);
    let mut once_each = before.clone();
    once_each.dedup();
    assert_eq!(before, once_each, "something was read again");
    assert!(before.starts_with(&[0, 1, 2, 10, 11, 12]), "{before:?}");
}

#[tokio::test]
async fn an_idle_source_fails_when_its_positions_are_deleted() {
    for once in [true, false] {
        let Some(deployment) = Deployment::kafka(&format!("flow_lost_idle_{once}")) else { return };
        a_running_source_fails(&deployment, once, false, false).await;
    }
}

#[tokio::test]
async fn an_idle_source_fails_when_its_positions_are_deleted_and_their_topic_is_made_anew() {
    for once in [true, false] {
        let Some(deployment) = Deployment::kafka(&format!("flow_lost_idle_anew_{once}")) else { return };
        a_running_source_fails(&deployment, once, true, false).await;
    }
}

#[tokio::test]
async fn a_busy_source_fails_when_its_positions_are_deleted() {
    for once in [true, false] {
        let Some(deployment) = Deployment::kafka(&format!("flow_lost_busy_{once}")) else { return };
        a_running_source_fails(&deployment, once, false, true).await;
    }
}

#[tokio::test]
async fn a_busy_source_fails_when_its_positions_are_deleted_and_their_topic_is_made_anew() {
    for once in [true, false] {
        let Some(deployment) = Deployment::kafka(&format!("flow_lost_busy_anew_{once}")) else { return };
        a_running_source_fails(&deployment, once, true, true).await;
    }
}

#[tokio::test]
async fn a_worker_whose_state_dir_is_old_goes_on_where_another_has_taken_the_source_over_since() {
    let Some(deployment) = Deployment::kafka("flow_lost_old") else { return };
    let body = files(true);
    deployment.write("in/a.csv", format!("id,name\n{}", lines(0, 3)));
    assert_eq!(deployment.until_done(&body).await.outcome, Outcome::Clean);
    deployment.lose_positions(false).await;
    let other = deployment.beside();
    std::os::unix::fs::symlink(deployment.path("in"), other.path("in")).unwrap();
    // It has never had the source, and knows of no loss.
    assert_eq!(other.until_done(&body).await.outcome, Outcome::Clean);
    assert_eq!(arrived(&deployment).await, [0, 0, 1, 1, 2, 2]);
    deployment.append("in/a.csv", &lines(3, 4));
    for read in [1, 0] {
        let ended = deployment.until_done(&body).await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, "files")[0]), (Outcome::Clean, read), "{ended:#?}");
    }
    assert_eq!(arrived(&deployment).await, [0, 0, 1, 1, 2, 2, 3]);
}

#[tokio::test]
async fn a_reset_on_one_worker_counts_for_the_others_that_remember_the_loss() {
    let Some(deployment) = Deployment::kafka("flow_lost_two") else { return };
    let body = files(true);
    deployment.write("in/a.csv", format!("id,name\n{}", lines(0, 3)));
    let other = deployment.beside();
    std::os::unix::fs::symlink(deployment.path("in"), other.path("in")).unwrap();
    for worker in [&deployment, &other] {
        assert_eq!(worker.until_done(&body).await.outcome, Outcome::Clean);
    }
    deployment.lose_positions(false).await;
    for worker in [&deployment, &other] {
        does_not_start(worker, &body, "was deleted").await;
    }
    deployment.reset_source(&body, "files").await;
    for (worker, read) in [(&other, 3), (&deployment, 0)] {
        let ended = worker.until_done(&body).await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, "files")[0]), (Outcome::Clean, read), "{ended:#?}");
    }
    assert_eq!(arrived(&deployment).await, [0, 0, 1, 1, 2, 2]);
}
