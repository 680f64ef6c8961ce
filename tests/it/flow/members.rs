//! Sinks as members of their Kafka group while a delivery takes long: they stay, and when a partition goes to another worker
//! in the midst of it, every row is there once.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::groups::GroupInfo;
use wharf_runtime::supervisor::Outcome;

use super::*;

/// Shortest poll interval beside the session of six seconds that deployments here have.
const MAX_POLL: &str = "[sink.kafka]\nmax.poll.interval.ms = 7000\n";

/// Members of a sink's group, by id.
fn members(deployment: &Deployment, sink: &str) -> Vec<String> {
    let group = format!("wharf.{}.{sink}", deployment.name());
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", deployment.bootstrap()).create().unwrap();
    let list = consumer.fetch_group_list(Some(&group), Duration::from_secs(20)).unwrap();
    list.groups().iter().flat_map(GroupInfo::members).map(|member| member.id().to_owned()).collect()
}

/// When the first request came, how many were refused, and what was accepted.
type Slow = Arc<Mutex<(Option<Instant>, usize, Vec<String>)>>;

/// Holds its first request for longer than the poll interval, then asks for patience until 12 s have passed.
async fn receive(State(slow): State<Slow>, body: String) -> StatusCode {
    let (first, began) = {
        let mut slow = slow.lock().unwrap();
        (slow.0.is_none(), *slow.0.get_or_insert_with(Instant::now))
    };
    if first {
        tokio::time::sleep(Duration::from_secs(8)).await;
    }
    let mut slow = slow.lock().unwrap();
    if began.elapsed() < Duration::from_secs(12) {
        slow.1 += 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    slow.2.extend(body.lines().map(ToOwned::to_owned));
    StatusCode::OK
}

#[tokio::test]
async fn a_sink_that_takes_longer_than_the_poll_interval_stays_a_member_and_delivers_once() {
    let Some(deployment) = Deployment::kafka("flow_slow_sink") else { return };
    let slow = Slow::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().fallback(receive).with_state(Arc::clone(&slow));
    tokio::spawn(async move { axum::serve(listener, router).await });
    deployment.produce_values("orders", &["1", "2", "3"]).await;
    let body = format!(
        "\n[[sink]]\nname = \"events\"\ncomponent = \"http\"\ntopics = [\"{{t}}orders\"]\nallow.http = [\"http://127.0.0.1:{port}\"]\n\
         config = {{ url = \"http://127.0.0.1:{port}/\" }}\nretry = {{ initial = \"300ms\", max = \"500ms\" }}\n{MAX_POLL}"
    );
    let running = deployment.start(&body).await;
    running.when("in flight", |snapshot| task(snapshot, "events").in_flight == 3).await;
    let before = members(&deployment, "events");
    let snapshot = running.when_settled("events", 3).await;
    let after = members(&deployment, "events");
    assert_eq!((before.len(), &before), (1, &after), "it left and joined again");
    assert_eq!(row(&snapshot, "events").restarts, 0);
    assert_eq!(running.drain().await.outcome, Outcome::Clean);
    let (_, refused, accepted) = slow.lock().unwrap().clone();
    assert!(refused > 2, "it was asked again and again: {refused}");
    assert_eq!(accepted, ["1", "2", "3"]);
    // Committed as well: nothing comes again.
    assert_eq!(counts(&deployment.until_done(&body).await.snapshot, "events"), [0; 5]);
}

#[tokio::test]
async fn a_partition_that_goes_in_the_midst_of_a_batch_is_given_up_at_the_deadline_and_each_row_is_there_once() {
    let test = "flow_revoked_in_flight";
    let (Some(deployment), Some(db)) = (Deployment::kafka(test), crate::sql::database::Postgres::new(test).await) else { return };
    let keys: Vec<_> = (0..60).map(|n| format!("key{n}")).collect();
    let records = |range: std::ops::Range<usize>| {
        keys[range].iter().map(|key| (Some(key.as_str()), Some(key.as_bytes()))).collect::<Vec<_>>()
    };
    deployment.produce("orders", 2, &records(0..20)).await;
    let body = ledger("", MAX_POLL).replace("sqlite://warehouse.sqlite", &db.url);
    let first = deployment.start(&body).await;
    first.when_settled("ledger", 20).await;
    // Rows are not taken, but can be read: a worker that begins is not held up before it has its partitions.
    let lock = crate::sql::database::raw(&db.url).await;
    lock.batch_execute("BEGIN; LOCK TABLE ledger IN SHARE MODE").await.unwrap();
    deployment.produce("orders", 2, &records(20..60)).await;
    first.when("in flight", |snapshot| task(snapshot, "ledger").in_flight > 0).await;
    let other = deployment.beside();
    let second = other.start(&body).await;
    // The first does not let go by itself. The second has a partition of it, and reads.
    second.when("in flight", |snapshot| task(snapshot, "ledger").in_flight > 0).await;
    assert!(task(&first.telemetry.snapshot(), "ledger").in_flight > 0, "the first has its batch still");
    lock.batch_execute("COMMIT").await.unwrap();
    let deadline = Instant::now() + deployment::PATIENCE;
    let stored = async || -> i64 {
        let row = db.raw.query_one("SELECT sum(next_offset)::int8 FROM _wharf_offsets", &[]).await.unwrap();
        row.get(0)
    };
    while stored().await < 60 {
        assert!(Instant::now() < deadline, "{} of 60", stored().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for running in [first, second] {
        let ended = running.drain().await;
        assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
        assert!(ended.snapshot.adds_up());
    }
    let rows = db.raw.query("SELECT value FROM ledger", &[]).await.unwrap();
    let mut arrived: Vec<_> = rows.iter().map(|row| row.get::<_, String>(0)).collect();
    arrived.sort();
    let mut expected = keys.clone();
    expected.sort();
    assert_eq!(arrived, expected);
    assert_eq!(stored().await, 60);
}

/// A target that is away until it is opened, and what it has accepted since.
type Gate = Arc<Mutex<(bool, Vec<String>)>>;

async fn pass(State(gate): State<Gate>, body: String) -> StatusCode {
    let mut gate = gate.lock().unwrap();
    if !gate.0 {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    gate.1.extend(body.lines().map(ToOwned::to_owned));
    StatusCode::OK
}

#[tokio::test]
async fn a_batch_that_waited_for_its_target_while_its_partition_went_is_not_written_by_its_old_owner() {
    let Some(deployment) = Deployment::kafka("flow_lost_while_waiting") else { return };
    let gate = Gate::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().fallback(pass).with_state(Arc::clone(&gate));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let keys: Vec<_> = (0..20).map(|n| format!("key{n}")).collect();
    let values: Vec<_> = (0..20).map(|n| n.to_string()).collect();
    let records: Vec<_> = keys.iter().zip(&values).map(|(key, value)| (Some(key.as_str()), Some(value.as_bytes()))).collect();
    deployment.produce("orders", 2, &records).await;
    // A wait of fifteen seconds at the least, while the group waits for three and a half.
    let body = format!(
        "\n[[sink]]\nname = \"events\"\ncomponent = \"http\"\ntopics = [\"{{t}}orders\"]\nallow.http = [\"http://127.0.0.1:{port}\"]\n\
         config = {{ url = \"http://127.0.0.1:{port}/\", body = \"record\" }}\n\
         retry = {{ initial = \"30s\", max = \"30s\" }}\n{MAX_POLL}heartbeat.interval.ms = 500\n"
    );
    let first = deployment.start(&body).await;
    first
        .when("all of it waits", |snapshot| {
            let events = task(snapshot, "events");
            events.in_flight == 20 && events.retried == 1 && !reason(snapshot, "events").contains("only")
        })
        .await;
    gate.lock().unwrap().0 = true;
    let accepted = || gate.lock().unwrap().1.clone();
    let other = deployment.beside();
    let second = other.start(&body).await;
    second.when("it has what went to it", |snapshot| row(snapshot, "events").delivered > 0).await;
    let snapshot = first.when("the first waits still", |snapshot| task(snapshot, "events").in_flight > 0).await;
    assert_eq!(row(&snapshot, "events").delivered, 0);
    let went = accepted();
    assert!(!went.is_empty() && went.len() < 20, "one of two partitions went: {went:?}");
    first.when("what stayed is delivered", |snapshot| row(snapshot, "events").delivered > 0).await;
    let deadline = Instant::now() + deployment::PATIENCE;
    while accepted().len() < 20 {
        assert!(Instant::now() < deadline, "{:?}", accepted());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for running in [first, second] {
        let ended = running.drain().await;
        assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
    }
    let (mut arrived, mut expected) = (accepted(), values);
    arrived.sort();
    expected.sort();
    assert_eq!(arrived, expected, "each once, by the owner of its partition");
    assert_eq!(counts(&deployment.until_done(&body).await.snapshot, "events"), [0; 5]);
}
