//! A service that wants tokens of OAuth 2.0, behind the connector `http`: who fetches them and when, and what follows where none is
//! to be had; and secrets whose file changes.

use support::tokens::Tokens;
use wharf_runtime::supervisor::Outcome;
use wharf_runtime::telemetry::TaskState;

use super::*;
use crate::log::log;

/// The sink `events`, which sends one record a request; `auth` stands in its section of the service.
fn events(tokens: &Tokens, auth: &str) -> String {
    let service = tokens.service;
    format!(
        "\n[[sink]]\nname = \"events\"\ncomponent = \"http\"\ntopics = [\"{{t}}orders\"]\nallow.http = [\"http://127.0.0.1:{service}\"]\n\
         config = {{ url = \"http://127.0.0.1:{service}/events\", body = \"record\" }}\nretry = {{ initial = \"10ms\", max = \"50ms\" }}\n\
         [sink.auth.\"127.0.0.1\"{auth}\n"
    )
}

/// With the client's secret in the file `secret`.
fn by_tokens(deployment: &Deployment, tokens: &Tokens) -> String {
    deployment.write("secret", format!("{}\n", tokens.office().secret));
    let account = format!(
        ".oauth]\ntoken-url = \"http://127.0.0.1:{}/token\"\nclient-id = \"wharf\"\nclient-secret = \"${{file:secret}}\"\nscope = \"orders\"",
        tokens.port
    );
    events(tokens, &account)
}

async fn with_records(values: &[&str]) -> (Deployment, Tokens) {
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", values).await;
    (deployment, Tokens::start().await)
}

/// What is added while it runs comes by files.
fn with_files(deployment: &Deployment, body: &str) -> String {
    std::fs::create_dir_all(deployment.path("in")).unwrap();
    format!(
        "{body}\n[[source]]\nname = \"files\"\ncomponent = \"csv\"\ntopic = \"{{t}}orders\"\nallow.files = [\"in\"]\n\
         config = {{ path = \"in\", key = [\"n\"], interval = \"50ms\" }}\n"
    )
}

fn no_secret_in(text: &str, tokens: &Tokens) {
    let office = tokens.office();
    for secret in office.issued.iter().chain([&office.secret]) {
        assert!(!text.contains(secret.as_str()), "{text}");
    }
}

#[tokio::test]
async fn many_requests_of_several_tasks_go_by_one_token_which_nobody_is_shown() {
    let log = log();
    let deployment = Deployment::embedded();
    let values: Vec<_> = (0..60).map(|n| format!("{{\"n\":{n}}}")).collect();
    let keys: Vec<_> = (0..60).map(|n| format!("k{n}")).collect();
    let records: Vec<_> = keys.iter().zip(&values).map(|(key, value)| (Some(key.as_str()), Some(value.as_bytes()))).collect();
    deployment.produce("orders", 4, &records).await;
    let tokens = Tokens::start().await;
    tokens.office().bad = Some("\"n\":7}".to_owned());
    let body = by_tokens(&deployment, &tokens).replace("topics =", "tasks = 4\ntopics =");
    let ended = deployment.until_done(&body.replace("body = \"record\"", "body = \"record\", reject = [422]")).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "events")), (Outcome::Clean, [60, 0, 59, 0, 1]), "{ended:#?}");
    assert_eq!(tokens.office().asked, ["grant_type=client_credentials&scope=orders"]);
    assert!(tokens.office().took.iter().all(|(_, said)| said == "Bearer 1-token-of-the-shop"));
    let mut arrived = tokens.bodies();
    arrived.sort_by_key(String::len);
    assert_eq!(arrived.len(), 59);
    let dead = deployment.read_dead("events").await;
    let why = dead[0].header("__connect.errors.exception.message");
    assert!(why.contains("not taken, it came with Bearer ***"), "{why}");
    no_secret_in(&format!("{dead:?} {:?}", ended.snapshot), &tokens);
    no_secret_in(&log.text(), &tokens);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires_so_that_no_request_goes_by_an_old_one() {
    let (deployment, tokens) = with_records(&["1", "2", "3"]).await;
    // Over at once: each request is one that comes after its end.
    tokens.office().life = 0;
    let ended = deployment.until_done(&by_tokens(&deployment, &tokens)).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "events")), (Outcome::Clean, [3, 0, 3, 0, 0]));
    let office = tokens.office();
    let mut by: Vec<_> = office.took.iter().map(|(_, said)| said.clone()).collect();
    by.sort();
    by.dedup();
    assert_eq!((by.len(), office.refused), (3, 0), "{office:?}");
}

#[tokio::test]
async fn a_token_that_was_withdrawn_is_replaced_and_each_record_arrives_once() {
    let (deployment, tokens) = with_records(&["1"]).await;
    let running = deployment.start(&with_files(&deployment, &by_tokens(&deployment, &tokens))).await;
    running.when_settled("events", 1).await;
    tokens.withdraw();
    deployment.write("in/a.jsonl", "{\"n\":2}\n{\"n\":3}\n");
    running.when_settled("events", 3).await;
    let ended = running.drain().await;
    assert_eq!(counts(&ended.snapshot, "events"), [3, 0, 3, 0, 0]);
    assert_eq!(row(&ended.snapshot, "events").restarts, 0);
    assert_eq!(tokens.bodies(), ["1", "{\"n\":2}", "{\"n\":3}"]);
    let office = tokens.office();
    assert_eq!((office.issued.len(), office.refused), (2, 1), "{office:?}");
    assert_eq!(office.took[2].1, "Bearer 2-token-of-the-shop");
}

#[tokio::test]
async fn a_token_endpoint_that_is_away_is_waited_for_and_buries_nothing() {
    for status in [503, 500, 429] {
        let (deployment, tokens) = with_records(&["1", "2"]).await;
        tokens.office().away = Some(axum::http::StatusCode::from_u16(status).unwrap());
        let running = deployment.start(&by_tokens(&deployment, &tokens)).await;
        running.when("it is asked again", |_| tokens.office().asked.len() > 2).await;
        let snapshot = running.when("RETRYING", |snapshot| task(snapshot, "events").state == TaskState::Retrying).await;
        let why = reason(&snapshot, "events");
        let endpoint = format!("the token endpoint http://127.0.0.1:{} gives none", tokens.port);
        assert!(why.contains(&endpoint) && why.contains(&status.to_string()), "{why}");
        tokens.office().away = None;
        running.when_settled("events", 2).await;
        let ended = running.drain().await;
        assert_eq!(counts(&ended.snapshot, "events"), [2, 0, 2, 0, 0]);
        assert_eq!(tokens.bodies(), ["1", "2"]);
        assert_eq!(deployment.read_dead("events").await, []);
    }
}

#[tokio::test]
async fn a_client_that_is_not_known_stops_the_connector_and_is_told_what_to_do() {
    let log = log();
    let (deployment, tokens) = with_records(&["1"]).await;
    let body = by_tokens(&deployment, &tokens);
    deployment.write("secret", "not-the-secret-at-all\n");
    let ended = deployment.until_done(&body).await;
    assert_eq!(ended.outcome, Outcome::AllFailed);
    let why = reason(&ended.snapshot, "events");
    let endpoint = format!("http://127.0.0.1:{}", tokens.port);
    let service = format!("http://127.0.0.1:{}", tokens.service);
    for told in [&*endpoint, &*service, "invalid_client", "Correct `client-id` and `client-secret`", "you said Basic ***"] {
        assert!(why.contains(told), "no `{told}` in: {why}");
    }
    no_secret_in(&why, &tokens);
    assert!(!log.text().contains("not-the-secret-at-all"));
    // Nothing is buried, and nothing lost: it goes on where it stood.
    assert_eq!((deployment.offsets("events"), deployment.read_dead("events").await), (Vec::<String>::new(), vec![]));
    deployment.write("secret", &*tokens.office().secret);
    assert_eq!(deployment.until_done(&body).await.outcome, Outcome::Clean);
    assert_eq!(tokens.bodies(), ["1"]);
}

#[tokio::test]
async fn a_clients_secret_that_changes_in_its_file_needs_no_restart() {
    let log = log();
    let (deployment, tokens) = with_records(&["1"]).await;
    let running = deployment.start(&with_files(&deployment, &by_tokens(&deployment, &tokens))).await;
    running.when_settled("events", 1).await;
    deployment.write("secret", "a-secret-of-tuesday\n");
    tokens.office().secret = "a-secret-of-tuesday".to_owned();
    tokens.withdraw();
    deployment.write("in/a.jsonl", "{\"n\":2}\n");
    running.when_settled("events", 2).await;
    let ended = running.drain().await;
    assert_eq!(
        (counts(&ended.snapshot, "events"), tokens.bodies()),
        ([2, 0, 2, 0, 0], vec!["1".to_owned(), "{\"n\":2}".to_owned()])
    );
    no_secret_in(&log.text(), &tokens);
}

#[tokio::test]
async fn a_bearer_token_that_changes_in_its_file_needs_no_restart() {
    let (deployment, tokens) = with_records(&["1"]).await;
    deployment.write("key", "key-of-monday\n");
    tokens.office().good = vec!["Bearer key-of-monday".to_owned()];
    let running = deployment.start(&with_files(&deployment, &events(&tokens, "]\nbearer = \"${file:key}\""))).await;
    running.when_settled("events", 1).await;
    deployment.write("key", "key-of-tuesday\n");
    tokens.office().good = vec!["Bearer key-of-tuesday".to_owned()];
    tokens.office().bad = Some("\"n\":3}".to_owned());
    deployment.write("in/a.jsonl", "{\"n\":2}\n{\"n\":3}\n");
    running.when_settled("events", 3).await;
    let ended = running.drain().await;
    assert_eq!(counts(&ended.snapshot, "events"), [3, 0, 2, 0, 1]);
    assert_eq!((tokens.bodies(), tokens.office().refused), (vec!["1".to_owned(), "{\"n\":2}".to_owned()], 1));
    // The new one is hidden as the old one was.
    let dead = format!("{:?}", deployment.read_dead("events").await);
    assert!(dead.contains("it came with Bearer ***") && !dead.contains("key-of-tuesday"), "{dead}");
}
