//! A target that does not answer in the time that the host gives a call: nothing is buried for it, and who waits for what is told.

use super::*;

/// Until it is well again.
const FOR_EVER: Duration = Duration::from_secs(3600);

fn takes(target: &Shared, time: Duration) {
    target.lock().unwrap().takes = time;
}

/// Of a sink whose calls end long before its own `timeout`.
const SHORT: &str = "limits.call-deadline = \"300ms\"\nretry = { initial = \"10ms\", max = \"50ms\" }";

async fn no_dead_letters(deployment: &Deployment) {
    assert_eq!(texts(&deployment.read_dead("events").await), [""; 0]);
}

#[tokio::test]
async fn no_record_is_buried_for_a_target_that_does_not_answer_and_all_arrive_once_it_does() {
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &["1", "2", "3", "4"]).await;
    let (target, port) = target(Busy::No, 0).await;
    takes(&target, FOR_EVER);
    let running = deployment.start(&events(port, SHORT)).await;
    // A batch of four that kills its guest is halved to one record, and that is buried, within a dozen of instances.
    let snapshot = running.when("many instances were cut off", |snapshot| row(snapshot, "events").restarts > 14).await;
    let settled = row(&snapshot, "events");
    assert_eq!((task(&snapshot, "events").state, settled.delivered, settled.dead_lettered), (TaskState::Retrying, 0, 0));
    let why = reason(&snapshot, "events");
    let request = format!("POST http://127.0.0.1:{port}/events (");
    for told in [&request, "waited", "`limits.call-deadline`", "`timeout`", "next try"] {
        assert!(why.contains(told), "no `{told}` in: {why}");
    }
    takes(&target, Duration::ZERO);
    let snapshot = running.when_settled("events", 4).await;
    assert_eq!((task(&snapshot, "events").state, reason(&snapshot, "events").as_str()), (TaskState::Running, ""));
    assert_eq!(counts(&running.drain().await.snapshot, "events"), [4, 0, 4, 0, 0]);
    assert_eq!(accepted(&target), ["1", "2", "3", "4"]);
    no_dead_letters(&deployment).await;
}

#[tokio::test]
async fn a_budget_counts_for_a_target_that_does_not_answer_as_for_one_that_is_away() {
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &["1"]).await;
    let (target, port) = target(Busy::No, 0).await;
    takes(&target, FOR_EVER);
    let more = SHORT.replace("\"50ms\"", "\"50ms\", budget = \"2s\", then = \"stop\"");
    let ended = deployment.until_done(&events(port, &more)).await;
    assert_eq!(ended.outcome, Outcome::AllFailed);
    let why = reason(&ended.snapshot, "events");
    assert!(why.contains("retry budget of 2s") && why.contains("/events ("), "{why}");
    no_dead_letters(&deployment).await;
}

#[tokio::test]
async fn a_batch_whose_answers_together_take_longer_than_a_call_has_is_halved_until_they_do_not() {
    let deployment = Deployment::embedded();
    let values: Vec<_> = (0..12).map(|n| n.to_string()).collect();
    deployment.produce_values("orders", &values.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let (target, port) = target(Busy::No, 0).await;
    takes(&target, Duration::from_millis(200));
    let more = SHORT.replace("\"300ms\"", "\"1s\"");
    let ended = deployment.until_done(&events(port, &more)).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "events")), (Outcome::Clean, [12, 0, 12, 0, 0]));
    assert!(row(&ended.snapshot, "events").restarts > 0, "the whole of it was too much for a call");
    let mut arrived = accepted(&target);
    arrived.sort_by_key(|value| value.parse::<u32>().unwrap());
    arrived.dedup();
    assert_eq!(arrived, values);
    no_dead_letters(&deployment).await;
}

#[tokio::test]
async fn a_source_whose_service_does_not_answer_is_retrying_and_reads_on_once_it_does() {
    let deployment = Deployment::embedded();
    let (target, port) = target(Busy::No, 0).await;
    takes(&target, FOR_EVER);
    let source = format!(
        "\n[[source]]\nname = \"api\"\ncomponent = \"http-source\"\ntopic = \"{{t}}orders\"\nallow.http = [\"http://127.0.0.1:{port}\"]\n\
         limits.call-deadline = \"300ms\"\nconfig = {{ url = \"http://127.0.0.1:{port}/list\", interval = \"1h\" }}\n"
    );
    let running = deployment.start(&source).await;
    let snapshot = running.when("it waits", |snapshot| task(snapshot, "api").state == TaskState::Retrying).await;
    let why = reason(&snapshot, "api");
    assert!(why.contains(&format!("GET http://127.0.0.1:{port}/list (")) && why.contains("`timeout`"), "{why}");
    // A guest that ends itself stays failed by now.
    running.when("more lives than a guest at fault has", |snapshot| row(snapshot, "api").restarts > 5).await;
    assert_eq!(task(&running.telemetry.snapshot(), "api").state, TaskState::Retrying);
    takes(&target, Duration::ZERO);
    running.when("it has read", |_| !accepted(&target).is_empty()).await;
    assert_eq!(running.drain().await.outcome, Outcome::Clean);
}
