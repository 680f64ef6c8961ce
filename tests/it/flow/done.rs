//! When a run `--until-done` ends: as soon as every source has said that it has nothing more now.

use std::time::Duration;

use wharf_runtime::supervisor::Outcome;

use super::*;

/// Far more than a run takes that waits for no interval.
const PATIENCE: Duration = Duration::from_secs(120);

fn files(interval: &str) -> String {
    format!(
        "\n[[source]]\nname = \"files\"\ncomponent = \"csv\"\ntopic = \"{{t}}orders\"\nallow.files = [\"in\"]\n\
         config = {{ path = \"in\", interval = \"{interval}\" }}\n"
    )
}

#[tokio::test]
async fn a_source_that_has_read_all_is_done_without_waiting_for_its_interval() {
    let deployment = Deployment::embedded();
    deployment.write("in/a.csv", "id\n1\n2\n");
    let body = files("1h");
    let ended = tokio::time::timeout(PATIENCE, deployment.until_done(&body)).await.expect("it waits for the interval");
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(texts(&deployment.read("orders").await), [r#"{"id":"1"}"#, r#"{"id":"2"}"#]);
}

#[tokio::test]
async fn a_last_line_without_an_end_is_read_before_a_run_is_done() {
    let deployment = Deployment::embedded();
    deployment.write("in/a.csv", "id\n1\n2");
    let ended = deployment.until_done(&files("700ms")).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(texts(&deployment.read("orders").await), [r#"{"id":"1"}"#, r#"{"id":"2"}"#]);
}
