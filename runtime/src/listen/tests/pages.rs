//! Operations endpoints.

use serde_json::Value;

use super::*;

fn json(told: &Told) -> Value {
    assert_eq!(told.headers["content-type"], "application/json");
    serde_json::from_str(&told.body).unwrap()
}

#[tokio::test]
async fn ready_says_no_with_the_reason_before_and_yes_after() {
    let running = Running::unsigned().await;
    let task = running.telemetry.connector("shop", Kind::Source, 0);
    let told = running.get("/ready").await;
    assert_eq!(told.status, 503);
    assert_eq!(
        json(&told),
        serde_json::json!({ "ready": false, "reasons": ["the topic log is not reached yet", "source shop task 0 is STARTING"] })
    );
    running.telemetry.log_reached();
    task.state(TaskState::Running, None);
    let told = running.get("/ready").await;
    assert_eq!((told.status.as_u16(), json(&told)), (200, serde_json::json!({ "ready": true, "reasons": [] })));
}

#[tokio::test]
async fn health_turns_503_when_one_task_failed_and_names_it() {
    let running = Running::unsigned().await;
    running.telemetry.connector("shop", Kind::Source, 0).state(TaskState::Running, None);
    let failing = running.telemetry.connector("warehouse", Kind::Sink, 0);
    failing.state(TaskState::Retrying, Some("connection refused".to_owned()));
    assert_eq!(running.get("/health").await.status, 200);
    failing.state(TaskState::Failed, Some("no such table".to_owned()));
    let told = running.get("/health").await;
    assert_eq!(told.status, 503);
    let body = json(&told);
    assert_eq!(body["healthy"], false);
    let states: Vec<_> = body["tasks"].as_array().unwrap().iter().map(|t| (&t["connector"], &t["state"], &t["reason"])).collect();
    let (shop, warehouse) = (Value::from("shop"), Value::from("warehouse"));
    let (runs, failed, why) = (Value::from("RUNNING"), Value::from("FAILED"), Value::from("no such table"));
    assert_eq!(states, [(&shop, &runs, &Value::Null), (&warehouse, &failed, &why)]);
}

#[tokio::test]
async fn metrics_are_served_in_the_format_that_they_name() {
    let running = Running::unsigned().await;
    Tally { read: 3, delivered: 3, ..Tally::default() }.settle(&running.telemetry.connector("shop", Kind::Source, 0));
    let told = running.get("/metrics").await;
    assert_eq!(told.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(told.body.contains("\nwharf_records_delivered_total{connector=\"shop\",kind=\"source\",task=\"0\"} 3\n"));
    assert!(told.body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn status_is_the_snapshot() {
    let running = Running::unsigned().await;
    Tally { read: 3, delivered: 3, ..Tally::default() }.settle(&running.telemetry.connector("shop", Kind::Source, 0));
    let snapshot: crate::telemetry::Snapshot = serde_json::from_str(&running.get("/status").await.body).unwrap();
    assert_eq!((snapshot.tasks[0].delivered, snapshot.process), (3, std::process::id()));
}

#[tokio::test]
async fn operations_pages_are_read_only() {
    let running = Running::unsigned().await;
    for path in ["/health", "/ready", "/metrics", "/status"] {
        let told = running.post(path, "").await;
        assert_eq!((told.status.as_u16(), told.headers["allow"].to_str().unwrap()), (405, "GET, HEAD"), "{path}");
        let head = tell(running.address(), Request::head(path).body(String::new()).unwrap()).await;
        assert_eq!((head.status, head.body.as_str()), (running.get(path).await.status, ""), "{path}");
    }
}
