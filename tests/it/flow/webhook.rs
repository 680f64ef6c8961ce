//! Requests to topics: 2xx says that the records are in the topic, 503 that they are to be sent again.

use std::collections::BTreeSet;

use wharf_runtime::supervisor::Outcome;
use wharf_runtime::telemetry::TaskState;

use super::*;

fn hook(port: u16, more: &str) -> String {
    format!(
        r#"
[listen]
address = "127.0.0.1:{port}"

[[source]]
name = "hook"
component = "webhook"
topic = "orders"
config = {{ key = ["id"] }}
listen.path = "/hook"
{more}
"#
    )
}

async fn up(running: &deployment::Running) {
    running.when("hook RUNNING", |snapshot| task(snapshot, "hook").state == TaskState::Running).await;
}

#[tokio::test]
async fn a_request_is_answered_200_when_its_records_are_in_the_topic() {
    let deployment = Deployment::embedded();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/hook");
    let running = deployment.start(&hook(port, "")).await;
    up(&running).await;
    let (status, _) = request(&url, "POST", b"{\"id\":1,\"a\":\"b\"}").await;
    assert_eq!(status, 200);
    // Before anything else happens: the answer alone says so.
    assert_eq!(texts(&deployment.read("orders").await), ["{\"id\":1,\"a\":\"b\"}"]);
    assert_eq!(request(&url, "POST", b"[{\"id\":2},{\"id\":3}]").await.0, 200);
    assert_eq!(request(&url, "POST", b"{\"id\":").await.0, 400);
    // An element without its key is this sender's only through the dead letters.
    assert_eq!(request(&url, "POST", b"[{\"id\":4},{\"x\":5}]").await.0, 200);
    let ended = running.drain().await;
    let rows = deployment.read("orders").await;
    assert_eq!(
        rows.iter().map(|row| row.key.clone().unwrap()).collect::<Vec<_>>(),
        (1..=4).map(|id| format!("{{\"id\":{id}}}")).collect::<Vec<_>>()
    );
    let dead = deployment.read("dlq.flow.hook").await;
    assert_eq!(dead.iter().map(|row| (row.code(), row.text())).collect::<Vec<_>>(), [("key.missing", "{\"x\":5}".to_owned())]);
    assert_eq!(counts(&ended.snapshot, "hook"), [5, 0, 4, 0, 1]);
}

#[tokio::test]
async fn a_body_of_50_megabytes_is_refused_and_the_next_request_is_served() {
    let deployment = Deployment::embedded();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/hook");
    let running = deployment.start(&hook(port, "")).await;
    up(&running).await;
    let (status, body) = request(&url, "POST", &vec![b'x'; 50_000_000]).await;
    assert!(status == 413 && body.contains("larger than 4194304 bytes"), "{status} {body}");
    assert_eq!(request(&url, "POST", b"{\"id\":1}").await.0, 200);
    running.drain().await;
    // Where the operator allows such bodies, the record is too large for the topic: a dead letter, and the sender is done.
    let running = deployment
        .start(&hook(port, "listen.reply-deadline = \"60s\"").replace("[[source]]", "max-body = \"64MiB\"\n[[source]]"))
        .await;
    up(&running).await;
    let mut large = b"{\"id\":2,\"blob\":\"".to_vec();
    large.resize(50_000_000, b'x');
    large.extend_from_slice(b"\"}");
    let (status, body) = request(&url, "POST", &large).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(request(&url, "POST", b"{\"id\":3}").await.0, 200);
    let ended = running.drain().await;
    assert_eq!(texts(&deployment.read("orders").await), ["{\"id\":1}", "{\"id\":3}"]);
    let dead = deployment.read("dlq.flow.hook").await;
    assert_eq!(
        dead.iter().map(|row| (row.code(), row.header("wharf.size"))).collect::<Vec<_>>(),
        [("record.oversize", "50000002")]
    );
    assert_eq!((counts(&ended.snapshot, "hook"), row(&ended.snapshot, "hook").restarts), ([2, 0, 1, 0, 1], 0));
}

#[tokio::test]
async fn senders_get_503_when_the_log_does_not_take_their_records() {
    let deployment = Deployment::embedded();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/hook");
    // Nobody made the topic.
    let running = deployment.start(&format!("create = false\n{}", hook(port, ""))).await;
    up(&running).await;
    let (status, body) = request(&url, "POST", b"{\"id\":1}").await;
    assert_eq!(status, 503, "{body}");
    let snapshot = running.when("hook FAILED", |s| task(s, "hook").state == TaskState::Failed || s.tasks.is_empty()).await;
    assert!(reason(&snapshot, "hook").contains("no topic `orders`"), "{snapshot:#?}");
    let ended = running.ended().await;
    assert_eq!(ended.outcome, Outcome::AllFailed);
    assert_eq!(counts(&ended.snapshot, "hook"), [0; 5]);
}

#[tokio::test]
async fn a_drain_answers_every_request_and_those_with_200_are_in_the_topic() {
    let deployment = Deployment::embedded();
    let port = free_port();
    let running = deployment.start(&hook(port, "")).await;
    up(&running).await;
    let posts: Vec<_> = (0..60)
        .map(|id| {
            tokio::spawn(async move {
                let url = format!("http://127.0.0.1:{port}/hook");
                (id, request(&url, "POST", format!("{{\"id\":{id}}}").as_bytes()).await.0)
            })
        })
        .collect();
    running.when("some delivered", |s| task(s, "hook").delivered > 0).await;
    let ended = running.drain().await;
    assert_eq!(ended.outcome, Outcome::Clean);
    let mut accepted = BTreeSet::new();
    for post in posts {
        // Refused at the door (the listener is gone) is an answer too: it panics in `request`.
        if let Ok((id, status)) = post.await {
            assert!(matches!(status, 200 | 503 | 0), "{id}: {status}");
            if status == 200 {
                accepted.insert(format!("{{\"id\":{id}}}"));
            }
        }
    }
    let there: Vec<_> = texts(&deployment.read("orders").await);
    assert!(!accepted.is_empty());
    assert!(accepted.iter().all(|value| there.contains(value)), "{accepted:?} {there:?}");
    assert_eq!(there.len(), there.iter().collect::<BTreeSet<_>>().len(), "none twice");
    assert_eq!(counts(&ended.snapshot, "hook")[2], there.len() as u64);
}
