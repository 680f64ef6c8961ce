//! A target behind the connector `http` that asks for patience: when it is asked again, and what follows when patience ends.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use wharf_runtime::supervisor::Outcome;
use wharf_runtime::telemetry::TaskState;
use wharf_runtime::topic_log::partitioner::partition_of_key;

use super::*;

mod answers;
mod commits;
mod hanging;
mod last_calls;
mod templates;

/// What a target answers while it is busy.
#[derive(Debug, Clone, Copy)]
enum Busy {
    No,
    Seconds(u64),
    /// A date, so many whole seconds from now.
    Date(u64),
    /// No word about when.
    Silent,
}

#[derive(Debug)]
struct Target {
    busy: Busy,
    /// It turns well after so many refusals.
    refusals: usize,
    /// Each body, when it came, and the time before which it was not to come.
    refused: Vec<(String, SystemTime, SystemTime)>,
    accepted: Vec<(String, SystemTime)>,
    /// It answers 500 for a body that has one of these as a line, whenever it comes.
    indigestible: Vec<String>,
    /// It answers 503 to the first request that holds one of these alone.
    shy: Vec<String>,
    /// From the first body on that is this text it is so busy.
    busy_from: Option<(String, Busy)>,
    /// It answers 308 for a body that is one of these.
    moved: Vec<String>,
    /// Before each answer.
    takes: Duration,
}

type Shared = Arc<Mutex<Target>>;

async fn receive(State(target): State<Shared>, body: String) -> Response {
    let takes = target.lock().unwrap().takes;
    tokio::time::sleep(takes).await;
    let (mut target, now) = (target.lock().unwrap(), SystemTime::now());
    if body.lines().any(|line| target.indigestible.iter().any(|sick| sick == line)) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    if let Some(at) = target.shy.iter().position(|shy| *shy == body.trim_end()) {
        target.shy.remove(at);
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if target.moved.contains(&body) {
        return (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "http://elsewhere/")]).into_response();
    }
    if let Some((_, busy)) = target.busy_from.take_if(|(text, _)| *text == body) {
        target.busy = busy;
    }
    if target.refused.len() >= target.refusals {
        target.busy = Busy::No;
    }
    let whole = UNIX_EPOCH + Duration::from_secs(now.duration_since(UNIX_EPOCH).unwrap().as_secs());
    let (until, asks) = match target.busy {
        Busy::No => {
            target.accepted.push((body, now));
            return StatusCode::OK.into_response();
        }
        Busy::Silent => (now, None),
        Busy::Seconds(seconds) => (now + Duration::from_secs(seconds), Some(seconds.to_string())),
        Busy::Date(seconds) => {
            let at = whole + Duration::from_secs(seconds);
            (at, Some(httpdate(at)))
        }
    };
    target.refused.push((body, now, until));
    match asks {
        Some(asks) => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, asks)]).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// IMF-fixdate of RFC 9110, 5.6.7.
fn httpdate(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][usize::try_from(days % 7).unwrap()];
    let (mut year, mut left) = (1970, days);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while left >= 365 + u64::from(leap(year)) {
        left -= 365 + u64::from(leap(year));
        year += 1;
    }
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while left >= lengths[month] {
        left -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{weekday}, {:02} {} {year} {hour:02}:{minute:02}:{second:02} GMT", left + 1, months[month])
}

/// A target that refuses so many requests first, and its port.
async fn target(busy: Busy, refusals: usize) -> (Shared, u16) {
    let target = Arc::new(Mutex::new(Target {
        busy,
        refusals,
        refused: Vec::new(),
        accepted: Vec::new(),
        indigestible: Vec::new(),
        shy: Vec::new(),
        moved: Vec::new(),
        busy_from: None,
        takes: Duration::ZERO,
    }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().fallback(receive).with_state(Arc::clone(&target));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (target, port)
}

/// The sink `events`, which sends one record a request.
fn events(port: u16, more: &str) -> String {
    format!(
        "\n[[sink]]\nname = \"events\"\ncomponent = \"http\"\ntopics = [\"{{t}}orders\"]\nallow.http = [\"http://127.0.0.1:{port}\"]\n\
         config = {{ url = \"http://127.0.0.1:{port}/events\", body = \"record\" }}\n{more}\n"
    )
}

fn accepted(target: &Shared) -> Vec<String> {
    target.lock().unwrap().accepted.iter().map(|(body, _)| body.clone()).collect()
}

#[tokio::test]
async fn a_target_is_left_alone_for_as_long_as_its_retry_after_says() {
    for busy in [Busy::Seconds(2), Busy::Date(3)] {
        let deployment = Deployment::embedded();
        deployment.produce_values("orders", &["1", "2"]).await;
        let (target, port) = target(busy, 1).await;
        // By the connector's own backoff it would be asked again at once.
        let ended = deployment.until_done(&events(port, "retry = { initial = \"1ms\", max = \"1ms\" }")).await;
        assert_eq!(ended.outcome, Outcome::Clean);
        assert_eq!(accepted(&target), ["1", "2"]);
        let target = target.lock().unwrap();
        assert_eq!(target.refused.len(), 1, "{busy:?}: {target:?}");
        let (ref body, _, until) = target.refused[0];
        assert!(body == "1" && target.accepted[0].1 >= until, "{busy:?}: {target:?}");
        assert_eq!(counts(&ended.snapshot, "events"), [2, 0, 2, 0, 0]);
        assert!(task(&ended.snapshot, "events").retried > 0);
    }
}

#[tokio::test]
async fn a_target_that_says_nothing_is_asked_again_with_backoff_until_it_is_well() {
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &["1", "2"]).await;
    let (target, port) = target(Busy::Silent, 5).await;
    let ended = deployment.until_done(&events(port, "retry = { initial = \"20ms\", max = \"80ms\" }")).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(accepted(&target), ["1", "2"]);
    let target = target.lock().unwrap();
    assert!(target.refused.iter().all(|(body, ..)| body == "1"), "nothing newer goes first: {target:?}");
    // Half of a delay is random, and it doubles to its cap.
    let came: Vec<_> = target.refused.iter().map(|(_, at, _)| *at).chain([target.accepted[0].1]).collect();
    let pauses: Vec<_> = came.windows(2).map(|pair| pair[1].duration_since(pair[0]).unwrap()).collect();
    for (pause, least) in pauses.iter().zip([10, 20, 40, 40, 40]) {
        assert!(*pause >= Duration::from_millis(least), "{pauses:?}");
    }
    assert_eq!(counts(&ended.snapshot, "events"), [2, 0, 2, 0, 0]);
}

#[tokio::test]
async fn what_is_still_refused_when_the_budget_is_used_up_becomes_a_dead_letter_and_the_rest_goes_on() {
    // Tries of ten to fifty milliseconds: on a machine that is busy too there is time for several. Where the target asks for
    // more than the budget, the wait ends with the budget, and one last try decides.
    for (busy, budget) in [(Busy::Silent, "2s"), (Busy::Seconds(2), "300ms"), (Busy::Date(3), "300ms")] {
        let deployment = Deployment::embedded();
        deployment.produce_values("orders", &["1"]).await;
        let (target, port) = target(busy, usize::MAX).await;
        let more = format!("retry = {{ initial = \"10ms\", max = \"50ms\", budget = \"{budget}\", then = \"dead-letter\" }}");
        let ended = deployment.until_done(&events(port, &more)).await;
        assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
        assert_eq!(accepted(&target), [""; 0]);
        let dead = deployment.read("dlq.flow.events").await;
        let told: Vec<_> = dead.iter().map(|row| (row.code(), row.text())).collect();
        assert_eq!(told, [("retry.exhausted", "1".to_owned())], "{busy:?}");
        let why = dead[0].header("__connect.errors.exception.message");
        assert!(why.contains("503") && why.contains(&format!("the retry budget of {budget} was used up")), "{why}");
        let asked = target.lock().unwrap().refused.len();
        if matches!(busy, Busy::Silent) {
            assert!(asked > 2 && !why.contains("asked to wait"), "{asked}: {why}");
        } else {
            assert_eq!(asked, 2, "{busy:?}");
            assert!(why.contains("gave up after 2 tries") && why.contains("while the target asked to wait "), "{why}");
        }
        assert_eq!(counts(&ended.snapshot, "events"), [1, 0, 0, 0, 1]);
        assert_eq!(deployment.offsets("events"), ["0|1"]);
        // A target that is well again gets what comes next.
        deployment.produce_values("orders", &["2"]).await;
        target.lock().unwrap().refusals = 0;
        assert_eq!(deployment.until_done(&events(port, &more)).await.outcome, Outcome::Clean);
        assert_eq!(accepted(&target), ["2"]);
    }
}

#[tokio::test]
async fn a_target_that_asks_for_more_than_the_budget_is_tried_once_more_before_the_policy_decides() {
    for then in ["stop", "dead-letter"] {
        let deployment = Deployment::embedded();
        deployment.produce_values("orders", &["1", "2"]).await;
        let (target, port) = target(Busy::Seconds(2), 1).await;
        let more = format!("retry = {{ initial = \"10ms\", max = \"50ms\", budget = \"300ms\", then = \"{then}\" }}");
        let ended = deployment.until_done(&events(port, &more)).await;
        assert_eq!((ended.outcome, accepted(&target)), (Outcome::Clean, vec!["1".to_owned(), "2".to_owned()]), "{then}");
        assert_eq!(counts(&ended.snapshot, "events"), [2, 0, 2, 0, 0]);
    }
}

#[tokio::test]
async fn a_target_that_fails_over_the_first_record_of_a_batch_gets_those_of_the_other_partitions() {
    // Whichever partition comes first in a batch: one of the two has the record that cannot be digested first.
    let key_of = |partition| (0..).map(|n| format!("k{n}")).find(|key| partition_of_key(key.as_bytes(), 2) == partition).unwrap();
    for (sick, well) in [(key_of(0), key_of(1)), (key_of(1), key_of(0))] {
        let deployment = Deployment::embedded();
        let records = [(&sick, "100"), (&well, "1"), (&well, "2"), (&sick, "101"), (&well, "3")];
        let records = records.map(|(key, value)| (Some(key.as_str()), Some(value.as_bytes())));
        deployment.produce("orders", 2, &records).await;
        let (target, port) = target(Busy::No, 0).await;
        target.lock().unwrap().indigestible = vec!["100".to_owned()];
        let body = events(port, "retry = { initial = \"10ms\", max = \"100ms\" }");
        let running = deployment.start(&body).await;
        running.when("the other partition's", |_| accepted(&target) == ["1", "2", "3"]).await;
        running.drain().await;
        // What comes later flows on too.
        deployment.produce("orders", 2, &[(Some(&well), Some(b"4"))]).await;
        let running = deployment.start(&body).await;
        running.when("the next of it", |_| accepted(&target).contains(&"4".to_owned())).await;
        running.when("one waits", |snapshot| task(snapshot, "events").state == TaskState::Retrying).await;
        target.lock().unwrap().indigestible.clear();
        running.when_settled("events", 3).await;
        assert_eq!(running.drain().await.outcome, Outcome::Clean);
        assert_eq!(accepted(&target), ["1", "2", "3", "4", "100", "101"]);
    }
}

#[tokio::test]
async fn a_sink_that_is_told_to_stop_at_the_end_of_its_budget_keeps_its_offset() {
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &["1", "2"]).await;
    let (target, port) = target(Busy::Silent, usize::MAX).await;
    let body = events(port, "retry = { initial = \"10ms\", max = \"50ms\", budget = \"300ms\", then = \"stop\" }");
    let ended = deployment.until_done(&body).await;
    assert_eq!(ended.outcome, Outcome::AllFailed);
    let why = reason(&ended.snapshot, "events");
    assert!(why.contains("record orders/0/0, gave up after") && why.contains("503"), "{why}");
    assert_eq!(deployment.offsets("events"), [""; 0]);
    assert_eq!(deployment.read("dlq.flow.events").await, []);
    assert_eq!(counts(&ended.snapshot, "events"), [0; 5]);
    target.lock().unwrap().refusals = 0;
    assert_eq!(deployment.until_done(&body).await.outcome, Outcome::Clean);
    assert_eq!(accepted(&target), ["1", "2"]);
}

#[tokio::test]
async fn a_target_that_asks_for_years_is_told_of_with_the_next_try_and_a_drain_does_not_wait_for_it() {
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &["1"]).await;
    let (_target, port) = target(Busy::Seconds(315_360_000), usize::MAX).await;
    let running = deployment.start(&events(port, "")).await;
    let snapshot = running.when("RETRYING", |snapshot| task(snapshot, "events").state == TaskState::Retrying).await;
    let why = reason(&snapshot, "events");
    let told = ["503", "; next try at 20", "Z, sooner than asked for: the target said to wait 86400s"];
    assert!(told.iter().all(|part| why.contains(part)), "{why}");
    let ended = running.drain().await;
    // Before the deadline of the drain: a stop cuts the wait short.
    assert_eq!(ended.outcome, Outcome::Clean);
    assert!(reason(&ended.snapshot, "events").contains("comes again at the next start"), "{ended:#?}");
    assert_eq!(deployment.offsets("events"), [""; 0]);
    assert_eq!(counts(&ended.snapshot, "events"), [0; 5]);
}
