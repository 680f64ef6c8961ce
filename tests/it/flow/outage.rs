//! What is seen of a deployment while something outside of it is away.

use wharf_runtime::telemetry::TaskState;

use super::*;

/// Source `files` into a sink whose target is not there, on the port.
fn without_a_target(port: u16) -> String {
    let sink = format!(
        "\n[[sink]]\nname = \"events\"\ncomponent = \"http\"\ntopics = [\"{{t}}orders\"]\nallow.http = [\"http://127.0.0.1:{port}\"]\n\
         config = {{ url = \"http://127.0.0.1:{port}/events\", body = \"record\" }}\nbatch.records = 4\n"
    );
    format!("{KEYED_FILES}{sink}")
}

async fn lag_grows_while_the_target_is_away(deployment: &Deployment) {
    deployment.write("in/a.jsonl", keyed_lines(0, 30));
    let running = deployment.start(&without_a_target(free_port())).await;
    let lag = |records: i64| {
        move |snapshot: &_| {
            let events = task(snapshot, "events");
            events.state == TaskState::Retrying && events.lag.is_some_and(|lag| lag >= records)
        }
    };
    // What was handed out and is not delivered counts, and so does what has come since.
    running.when("a lag of 30", lag(30)).await;
    deployment.write("in/b.jsonl", keyed_lines(30, 70));
    let snapshot = running.when("a lag of 70", lag(70)).await;
    assert_eq!(row(&snapshot, "events").delivered, 0);
    running.kill().await;
}

#[tokio::test]
async fn lag_counts_what_is_not_delivered_and_grows_while_the_target_is_away() {
    lag_grows_while_the_target_is_away(&Deployment::embedded()).await;
    let Some(deployment) = Deployment::kafka("flow_lag") else { return };
    lag_grows_while_the_target_is_away(&deployment).await;
}
