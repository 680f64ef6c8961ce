//! The bundled sink `http` in the real host, against a receiver that records what arrives and answers by rule.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Barrier;
use wharf_runtime::batch::{Batch, Record};
use wharf_runtime::capability::http::{ClientOptions, HttpAccess, SharedClients};
use wharf_runtime::config::{AllowedHost, GuestLimits};
use wharf_runtime::guest::{Component, Context, Grants, GuestError, Guests, SinkGuest};
use wharf_runtime::outcome::{Outcome, Verdict};
use wharf_runtime::telemetry::ConnectorMetrics;

/// Bodies and idempotency keys in the order of their arrival.
type Arrived = Arc<Mutex<Vec<(String, String)>>>;

/// The status is the number after `status` in the body, 200 without one; 503 wants two seconds.
async fn receive(State(arrived): State<Arrived>, headers: HeaderMap, body: String) -> Response {
    let key = headers.get("idempotency-key").map(|key| key.to_str().unwrap().to_owned()).unwrap_or_default();
    let status = body.split("\"status\":").nth(1).map_or(200, |rest| rest[..3].parse().unwrap());
    arrived.lock().unwrap().push((body, key));
    let status = StatusCode::from_u16(status).unwrap();
    match status.as_u16() {
        503 => (status, [(header::RETRY_AFTER, "2")]).into_response(),
        307 => (status, [(header::LOCATION, "http://127.0.0.1:9/")]).into_response(),
        _ => (status, format!("status {status} it is")).into_response(),
    }
}

async fn start(more: &str) -> (SinkGuest, Arrived) {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let arrived = Arrived::default();
    let router = Router::new().fallback(receive).with_state(Arc::clone(&arrived));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (guest(port, more).await, arrived)
}

async fn guest(port: u16, more: &str) -> SinkGuest {
    let guests = Arc::new(Guests::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest-cache")).unwrap());
    let bytes = wharf_bundle::component("http").expect("the bundle has http: was WHARF_BUNDLE=skip set?");
    let component = Component::load(&guests, bytes).await.unwrap();
    let clients = SharedClients::new(&ClientOptions::default()).unwrap();
    let allowed = AllowedHost { https: false, host: "127.0.0.1".to_owned(), port, private: false };
    let grants = Grants {
        connector: "events".to_owned(),
        task: 0,
        http: Some(HttpAccess::new(&clients, "events", &[allowed], &BTreeMap::new()).unwrap()),
        sql: BTreeMap::new(),
        folders: Vec::new(),
        inbox: None,
        limits: GuestLimits { call_cpu: Duration::from_secs(20), ..GuestLimits::default() },
        metrics: Arc::new(ConnectorMetrics::default()),
    };
    let mut guest = SinkGuest::start(&component, grants).await.unwrap();
    let config = format!(r#"{{"url": "http://127.0.0.1:{port}/events"{more}}}"#);
    guest.open(Context { name: "events".to_owned(), task: 0, tasks: 1, config }).await.unwrap();
    guest
}

/// Records of partition 0 of `t`, with these values at offsets from 10.
fn batch(values: &[&str]) -> Batch {
    let mut batch = Batch::default();
    for (offset, value) in (10..).zip(values) {
        let value = Some(value.as_bytes());
        batch.push(&Record { topic: "t", partition: 0, offset, timestamp: 1, key: None, value, headers: Vec::new(), attempt: 1 });
    }
    batch
}

fn bodies(arrived: &Arrived) -> Vec<String> {
    arrived.lock().unwrap().iter().map(|(body, _)| body.clone()).collect()
}

/// Index with the code of its rejection, or `retry` and the seconds.
fn verdicts(outcomes: &[Outcome]) -> Vec<(u32, String)> {
    let of = |outcome: &Outcome| match &outcome.verdict {
        Verdict::Reject(rejection) => rejection.code.clone(),
        Verdict::Retry(after) => format!("retry {}", after.map_or(0, |after| after.as_secs())),
    };
    outcomes.iter().map(|outcome| (outcome.index, of(outcome))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_arrive_with_a_stable_key() {
    let (mut guest, arrived) = start("").await;
    for _ in 0..2 {
        assert!(guest.write(&mut batch(&["{\"a\":1}", "{\"a\":2}"])).await.unwrap().outcomes.is_empty());
    }
    let once = ("{\"a\":1}\n{\"a\":2}\n".to_owned(), "t/0/10-11:2".to_owned());
    assert_eq!(*arrived.lock().unwrap(), [once.clone(), once]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_bad_record_is_rejected_with_what_the_receiver_says() {
    let (mut guest, arrived) = start(r#", "body": "json-array""#).await;
    let written = guest.write(&mut batch(&["1", "{\"status\":422}", "oops", "3"])).await.unwrap();
    assert_eq!(verdicts(&written.outcomes), [(1, "http.422".to_owned()), (2, "value.json".to_owned())]);
    let Verdict::Reject(rejection) = &written.outcomes[0].verdict else { panic!("a rejection") };
    assert!(rejection.message.contains("status 422 Unprocessable Entity it is"), "{}", rejection.message);
    assert_eq!(bodies(&arrived), ["[1,{\"status\":422},3]", "[1]", "[{\"status\":422}]", "[3]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_newer_is_sent_after_a_record_that_has_to_wait() {
    let (mut guest, arrived) = start(r#", "body": "record""#).await;
    let written = guest.write(&mut batch(&["1", "{\"status\":503}", "3"])).await.unwrap();
    assert_eq!(verdicts(&written.outcomes), [(1, "retry 2".to_owned()), (2, "retry 2".to_owned())]);
    assert_eq!(bodies(&arrived), ["1", "{\"status\":503}"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_delivers_nothing_and_is_tried_again() {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut guest = guest(port, "").await;
    assert!(matches!(guest.write(&mut batch(&["1"])).await, Err(GuestError::Retry { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_and_redirects_stop_the_sink_and_reject_no_record() {
    let (mut guest, _) = start("").await;
    for _ in 0..2 {
        assert!(matches!(guest.write(&mut batch(&["{\"status\":401}"])).await, Err(GuestError::Retry { .. })));
    }
    let Err(GuestError::Fatal(text)) = guest.write(&mut batch(&["{\"status\":401}"])).await else { panic!("fatal") };
    assert!(text.contains("[sink.auth."), "{text}");
    let Err(GuestError::Fatal(text)) = guest.write(&mut batch(&["{\"status\":307}"])).await else { panic!("fatal") };
    assert!(text.contains("redirects to 127.0.0.1:9 (307)"), "{text}");
}

/// Answers no request before as many are under way as there are places, each of another partition; 503 for a body that says so.
async fn receive_together(
    State((arrived, together)): State<(Arrived, Arc<Barrier>)>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    let status = if body.contains("later") { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    arrived.lock().unwrap().push((body, key));
    match tokio::time::timeout(Duration::from_secs(20), together.wait()).await {
        Ok(_) => status.into_response(),
        Err(_) => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
    }
}

async fn start_together(requests: usize, more: &str) -> (SinkGuest, Arrived) {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let arrived = Arrived::default();
    let state = (Arc::clone(&arrived), Arc::new(Barrier::new(requests)));
    let router = Router::new().fallback(receive_together).layer(DefaultBodyLimit::disable()).with_state(state);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (guest(port, more).await, arrived)
}

/// These values, one after the other in partitions 0, 1 and 2.
fn in_three_partitions(values: &[String]) -> Batch {
    let mut batch = Batch::default();
    for (value, partition) in values.iter().zip((0..3).cycle()) {
        let value = Some(value.as_bytes());
        batch.push(&Record { topic: "t", partition, offset: 0, timestamp: 1, key: None, value, headers: Vec::new(), attempt: 1 });
    }
    batch
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_different_partitions_are_under_way_together_and_each_partition_keeps_its_order() {
    let (mut guest, arrived) = start_together(3, r#", "max-batch": 2"#).await;
    let values: Vec<_> = (0..18).map(|n| n.to_string()).collect();
    assert!(guest.write(&mut in_three_partitions(&values)).await.unwrap().outcomes.is_empty());
    let arrived = arrived.lock().unwrap();
    for (partition, expected) in
        [["0\n3\n", "6\n9\n", "12\n15\n"], ["1\n4\n", "7\n10\n", "13\n16\n"], ["2\n5\n", "8\n11\n", "14\n17\n"]]
            .iter()
            .enumerate()
    {
        let of = arrived.iter().filter(|(_, key)| key.starts_with(&format!("t/{partition}/")));
        assert_eq!(of.map(|(body, _)| body).collect::<Vec<_>>(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_beside_a_request_that_has_to_wait_is_delivered() {
    let (mut guest, _) = start_together(3, r#", "max-batch": 2"#).await;
    let values = ["0", "\"later\"", "2", "3", "4", "5"].map(str::to_owned);
    let written = guest.write(&mut in_three_partitions(&values)).await.unwrap();
    let again = [1, 4].map(|index| (index, "retry 0".to_owned()));
    assert_eq!(verdicts(&written.outcomes), again);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_the_host_takes_in_several_parts_arrive_whole_beside_each_other() {
    let (mut guest, arrived) = start_together(3, r#", "max-batch": 1"#).await;
    let values = ["a", "b", "c"].map(|text| format!("\"{}\"", text.repeat(5 << 20)));
    assert!(guest.write(&mut in_three_partitions(&values)).await.unwrap().outcomes.is_empty());
    let mut bodies = bodies(&arrived);
    bodies.sort_unstable();
    assert!(bodies.iter().zip(&values).all(|(body, value)| body.trim_end() == value), "all that was sent");
    assert_eq!(bodies.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_body_that_was_not_read_to_its_end_counts() {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut some = [0; 1000];
            stream.read_exact(&mut some).await.unwrap();
            let answer = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
            // Read, so that the answer is not overtaken by the reset of the connection; how it ends does not matter.
            drop(tokio::io::copy(&mut stream, &mut tokio::io::sink()).await);
        }
    });
    let mut guest = guest(port, "").await;
    let written = guest.write(&mut batch(&[&format!("\"{}\"", "x".repeat(8 << 20))])).await.unwrap();
    assert_eq!(verdicts(&written.outcomes), [(0, "http.413".to_owned())]);
}
