//! Counters add up, states and health follow their rules, metric names stay.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Kind, Snapshot, Tally, TaskRow, TaskState, Telemetry};
use crate::topic_log::{End, TopicPartition};

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition }
}

fn only_task(telemetry: &Telemetry) -> TaskRow {
    let mut tasks = telemetry.snapshot().tasks;
    assert_eq!(tasks.len(), 1);
    tasks.remove(0)
}

#[test]
fn a_task_keeps_its_figures_when_it_is_built_again() {
    let telemetry = Telemetry::default();
    telemetry.connector("orders", Kind::Sink, 0).restarted();
    telemetry.connector("orders", Kind::Sink, 0).restarted();
    telemetry.connector("orders", Kind::Sink, 1);
    assert!(Arc::ptr_eq(&telemetry.connector("orders", Kind::Sink, 0), &telemetry.connector("orders", Kind::Sink, 0)));
    let rows: Vec<_> = telemetry.snapshot().tasks.into_iter().map(|t| (t.connector, t.task, t.restarts)).collect();
    assert_eq!(rows, [("orders".to_owned(), 0, 2), ("orders".to_owned(), 1, 0)]);
}

#[test]
fn counters_add_up_while_records_are_in_flight_and_after() {
    let telemetry = Telemetry::default();
    let metrics = telemetry.connector("orders", Kind::Sink, 0);
    metrics.in_flight(10);
    Tally { read: 6, split: 1, delivered: 5, filtered: 1, dead_lettered: 1 }.settle(&metrics);
    let row = telemetry.snapshot().connectors().remove(0);
    assert_eq!((row.read, row.in_flight, row.delivered), (10, 4, 5));
    assert!(row.adds_up());
    Tally { read: 4, delivered: 4, ..Tally::default() }.settle(&metrics);
    let row = telemetry.snapshot().connectors().remove(0);
    assert_eq!((row.read, row.in_flight, row.delivered), (10, 0, 9));
    assert!(row.adds_up());
    assert_eq!(metrics.settled(), 11);
}

#[test]
fn a_tally_that_loses_a_record_does_not_add_up() {
    let telemetry = Telemetry::default();
    Tally { read: 2, delivered: 1, ..Tally::default() }.settle(&telemetry.connector("orders", Kind::Source, 0));
    assert!(!telemetry.snapshot().adds_up());
}

#[test]
fn what_was_in_flight_is_given_up_when_a_task_starts_anew() {
    let telemetry = Telemetry::default();
    let metrics = telemetry.connector("orders", Kind::Sink, 0);
    metrics.state(TaskState::Running, None);
    metrics.in_flight(10);
    metrics.state(TaskState::Starting, None);
    let row = only_task(&telemetry);
    assert_eq!((row.read, row.in_flight), (0, 0));
}

#[test]
fn a_connectors_row_sums_its_tasks() {
    let telemetry = Telemetry::default();
    for task in 0..3 {
        let metrics = telemetry.connector("orders", Kind::Sink, task);
        Tally { read: 2, delivered: 2, ..Tally::default() }.settle(&metrics);
        metrics.state(TaskState::Failed, Some("no such table".to_owned()));
    }
    let row = telemetry.snapshot().connectors().remove(0);
    assert_eq!((row.tasks, row.read, row.delivered), (3, 6, 6));
    assert_eq!(row.failures, ["no such table"]);
}

#[test]
fn ready_needs_the_log_and_every_task_up() {
    let telemetry = Telemetry::default();
    let (source, sink) = (telemetry.connector("in", Kind::Source, 0), telemetry.connector("out", Kind::Sink, 0));
    telemetry.log_awaited("connection refused");
    let health = telemetry.snapshot().health;
    assert!(health.healthy && !health.ready);
    assert_eq!(
        health.reasons,
        ["the topic log is not reached yet: connection refused", "source in task 0 is STARTING", "sink out task 0 is STARTING"]
    );
    telemetry.log_reached();
    source.state(TaskState::Running, None);
    sink.state(TaskState::Retrying, Some("warehouse: connection refused".to_owned()));
    let health = telemetry.snapshot().health;
    assert_eq!(health.reasons, ["sink out task 0 is RETRYING: warehouse: connection refused"]);
    sink.state(TaskState::Running, None);
    assert!(telemetry.snapshot().health.ready);
    source.state(TaskState::Finished, None);
    assert!(telemetry.snapshot().health.ready);
    source.state(TaskState::Standby, None);
    assert!(telemetry.snapshot().health.ready);
    telemetry.draining();
    assert_eq!(telemetry.snapshot().health.reasons, ["asked to stop, draining"]);
}

#[test]
fn a_task_that_has_come_up_stays_ready_whatever_becomes_of_it() {
    let telemetry = Telemetry::default();
    telemetry.log_reached();
    let metrics = telemetry.connector("out", Kind::Sink, 0);
    metrics.state(TaskState::Running, None);
    metrics.state(TaskState::Retrying, Some("down".to_owned()));
    assert!(telemetry.snapshot().health.ready);
    metrics.state(TaskState::Starting, None);
    assert!(telemetry.snapshot().health.ready);
    metrics.state(TaskState::Failed, Some("no such table".to_owned()));
    let health = telemetry.snapshot().health;
    assert!(!health.healthy && health.ready, "webhooks and the others stay in service");
    assert_eq!(health.reasons, ["sink out task 0 is FAILED: no such table"]);
}

#[test]
fn a_retry_before_the_task_has_come_up_does_not_make_it_running() {
    let telemetry = Telemetry::default();
    telemetry.log_reached();
    let metrics = telemetry.connector("out", Kind::Sink, 0);
    metrics.state(TaskState::Retrying, Some("database down".to_owned()));
    metrics.recovered();
    assert_eq!(metrics.task_state(), TaskState::Starting);
    assert!(!telemetry.snapshot().health.ready);
    metrics.state(TaskState::Running, None);
    metrics.state(TaskState::Retrying, Some("database down".to_owned()));
    metrics.committed_now();
    assert_eq!(metrics.task_state(), TaskState::Running);
    assert_eq!(only_task(&telemetry).reason, None);
}

#[test]
fn what_is_held_keeps_its_task_retrying_whatever_else_recovers() {
    let telemetry = Telemetry::default();
    let metrics = telemetry.connector("out", Kind::Sink, 0);
    metrics.state(TaskState::Running, None);
    metrics.held(Some("orders/3 waits".to_owned()));
    metrics.state(TaskState::Retrying, Some("database down".to_owned()));
    assert_eq!(only_task(&telemetry).reason.unwrap(), "database down");
    metrics.committed_now();
    assert_eq!((metrics.task_state(), only_task(&telemetry).reason.unwrap()), (TaskState::Retrying, "orders/3 waits".to_owned()));
    metrics.held(None);
    assert_eq!((metrics.task_state(), only_task(&telemetry).reason), (TaskState::Running, None));
    // A task that starts anew holds nothing.
    metrics.held(Some("orders/3 waits".to_owned()));
    metrics.state(TaskState::Starting, None);
    metrics.state(TaskState::Retrying, Some("database down".to_owned()));
    metrics.recovered();
    assert_eq!(metrics.task_state(), TaskState::Starting);
}

#[test]
fn one_failed_task_makes_the_deployment_unhealthy_and_says_why() {
    let telemetry = Telemetry::default();
    telemetry.log_reached();
    telemetry.connector("in", Kind::Source, 0).state(TaskState::Running, None);
    telemetry.connector("out", Kind::Sink, 1).state(TaskState::Failed, Some("no such table".to_owned()));
    let health = telemetry.snapshot().health;
    assert!(!health.healthy && !health.ready);
    assert_eq!(health.reasons, ["sink out task 1 is FAILED: no such table"]);
}

#[test]
fn a_stopped_partition_shows_until_it_goes_whatever_the_task_does_meanwhile() {
    let telemetry = Telemetry::default();
    let metrics = telemetry.connector("out", Kind::Sink, 0);
    metrics.state(TaskState::Running, None);
    metrics.partition_stopped("orders/3", "offset 9 is past the end".to_owned());
    metrics.state(TaskState::Retrying, Some("down".to_owned()));
    metrics.recovered();
    assert_eq!(only_task(&telemetry).stopped_partitions["orders/3"], "offset 9 is past the end");
    assert!(telemetry.exposition().contains("wharf_partitions_stopped{connector=\"out\",kind=\"sink\",task=\"0\"} 1\n"));
    let health = telemetry.snapshot().health;
    assert!(!health.healthy);
    assert_eq!(health.reasons.last().unwrap(), "sink out task 0: offset 9 is past the end");
    metrics.partitions_gone(&[at("orders", 3)]);
    assert!(only_task(&telemetry).stopped_partitions.is_empty());
}

#[test]
fn a_repeated_state_keeps_the_time_it_began() {
    let telemetry = Telemetry::default();
    let metrics = telemetry.connector("out", Kind::Sink, 0);
    metrics.state(TaskState::Retrying, Some("first".to_owned()));
    let since = only_task(&telemetry).since;
    metrics.state(TaskState::Retrying, Some("second".to_owned()));
    let row = only_task(&telemetry);
    assert_eq!((row.since, row.reason.as_deref()), (since.clone(), Some("second")));
    metrics.state(TaskState::Running, None);
    assert_ne!(only_task(&telemetry).since, since);
}

#[test]
fn tasks_that_did_not_end_in_time_are_shown_as_stopped() {
    let telemetry = Telemetry::default();
    let (slow, failed) = (telemetry.connector("a", Kind::Sink, 0), telemetry.connector("b", Kind::Sink, 0));
    slow.state(TaskState::Running, None);
    failed.state(TaskState::Failed, Some("x".to_owned()));
    telemetry.abandoned("not drained in time");
    assert_eq!((slow.task_state(), failed.task_state()), (TaskState::Stopped, TaskState::Failed));
}

#[test]
fn a_snapshot_survives_json() {
    let telemetry = Telemetry::default();
    let metrics = telemetry.connector("out", Kind::Sink, 0);
    metrics.partition_placed(&at("orders", 0), 3, 10);
    metrics.guest_cpu(Duration::from_millis(1500));
    metrics.committed_now();
    let snapshot = telemetry.snapshot();
    let json = serde_json::to_string(&snapshot).unwrap();
    assert!(json.contains(r#""kind":"sink","task":0,"state":"STARTING""#), "{json}");
    assert_eq!(serde_json::from_str::<Snapshot>(&json).unwrap(), snapshot);
}

/// A stand-in for a scraper: name, labels and value of each sample.
fn samples(text: &str) -> Vec<(String, String, f64)> {
    assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1);
    let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').map_or((series, ""), |(n, l)| (n, l.strip_suffix('}').unwrap()));
        (name.to_owned(), labels.to_owned(), value.parse().unwrap())
    });
    samples.collect()
}

#[test]
fn metrics_tell_the_counters_with_their_labels() {
    let telemetry = Telemetry::default();
    let metrics = telemetry.connector("say \"hi\"", Kind::Source, 2);
    metrics.in_flight(9);
    Tally { read: 6, split: 1, delivered: 5, filtered: 1, dead_lettered: 1 }.settle(&metrics);
    metrics.retried(3);
    metrics.lost(4);
    metrics.guest_cpu(Duration::from_millis(2500));
    metrics.guest_memory(200);
    metrics.guest_memory(100);
    metrics.state(TaskState::Running, None);
    let samples = samples(&telemetry.exposition());
    let value = |name: &str, more: &str| {
        let labels = format!(r#"connector="say \"hi\"",kind="source",task="2"{more}"#);
        samples.iter().find(|(n, l, _)| n == name && *l == labels).unwrap_or_else(|| panic!("{name} {more}: {samples:?}")).2
    };
    assert_eq!(value("wharf_records_read_total", ""), 6.0);
    assert_eq!(value("wharf_records_split_total", ""), 1.0);
    assert_eq!(value("wharf_records_delivered_total", ""), 5.0);
    assert_eq!(value("wharf_records_filtered_total", ""), 1.0);
    assert_eq!(value("wharf_records_dead_lettered_total", ""), 1.0);
    assert_eq!(value("wharf_records_in_flight", ""), 3.0);
    assert_eq!(value("wharf_retries_total", ""), 3.0);
    assert_eq!(value("wharf_records_lost_total", ""), 4.0);
    assert_eq!(value("wharf_guest_cpu_seconds_total", ""), 2.5);
    assert_eq!(value("wharf_guest_memory_bytes", ""), 100.0);
    assert_eq!(value("wharf_guest_memory_peak_bytes", ""), 200.0);
    assert_eq!(value("wharf_task_state", ",state=\"RUNNING\""), 1.0);
    assert_eq!(value("wharf_task_state", ",state=\"FAILED\""), 0.0);
}

#[test]
fn a_released_metric_name_stays() {
    let telemetry = Telemetry::default();
    let metrics = telemetry.connector("out", Kind::Sink, 0);
    metrics.partition_placed(&at("orders", 0), 3, 10);
    metrics.committed_now();
    telemetry.webhook("in", 200);
    let names: BTreeSet<_> = samples(&telemetry.exposition()).into_iter().map(|(name, ..)| name).collect();
    let released = [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "wharf_build_info",
        "wharf_guest_cpu_seconds_total",
        "wharf_guest_memory_bytes",
        "wharf_guest_memory_peak_bytes",
        "wharf_healthy",
        "wharf_lag_records",
        "wharf_last_commit_timestamp_seconds",
        "wharf_log_reached",
        "wharf_partitions_stopped",
        "wharf_ready",
        "wharf_records_dead_lettered_total",
        "wharf_records_delivered_total",
        "wharf_records_filtered_total",
        "wharf_records_in_flight",
        "wharf_records_lost_total",
        "wharf_records_read_total",
        "wharf_records_split_total",
        "wharf_restarts_total",
        "wharf_retries_total",
        "wharf_task_state",
        "wharf_webhook_requests_total",
    ];
    assert_eq!(names, released.map(str::to_owned).into());
}

#[test]
fn lag_counts_from_what_is_confirmed_and_grows_whatever_the_task_does() {
    let telemetry = Telemetry::default();
    let metrics = telemetry.connector("out", Kind::Sink, 0);
    assert_eq!(only_task(&telemetry).lag, None);
    let lag = || only_task(&telemetry).lag.unwrap();
    metrics.state(TaskState::Running, None);
    metrics.partition_placed(&at("orders", 0), 3, 10);
    metrics.partition_placed(&at("orders", 1), 0, 5);
    assert_eq!(lag(), 12, "nothing is confirmed, whatever was handed out");
    metrics.state(TaskState::Retrying, Some("down".to_owned()));
    assert_eq!(telemetry.partitions(), [at("orders", 0), at("orders", 1)]);
    telemetry.ends(&[(at("orders", 0), 30), (at("elsewhere", 0), 99)].into());
    assert_eq!(lag(), 32);
    // The next life has no partitions yet: what is known stays.
    metrics.state(TaskState::Starting, None);
    metrics.ends(Vec::new());
    telemetry.ends(&[(at("orders", 0), 31)].into());
    assert_eq!(lag(), 33);
    metrics.confirmed([(&at("orders", 0), &31), (&at("orders", 1), &4)]);
    assert_eq!(lag(), 1);
}

#[test]
fn the_lag_of_a_partition_goes_with_it() {
    let telemetry = Telemetry::default();
    let metrics = telemetry.connector("out", Kind::Sink, 0);
    metrics.partition_placed(&at("orders", 0), 3, 10);
    metrics.partition_placed(&at("orders", 1), 0, 5);
    metrics.partitions_gone(&[at("orders", 0)]);
    assert_eq!((only_task(&telemetry).lag, telemetry.partitions()), (Some(5), vec![at("orders", 1)]));
    // It had some: that there are none now is known.
    metrics.partitions_gone(&[at("orders", 1)]);
    assert_eq!(only_task(&telemetry).lag, Some(0));
}

#[test]
fn a_marker_at_the_end_is_no_lag() {
    let telemetry = Telemetry::default();
    let metrics = telemetry.connector("out", Kind::Sink, 0);
    metrics.partition_placed(&at("orders", 0), 9, 11);
    // It has read to the end: nothing but a marker lies behind 10.
    metrics.ends(vec![(at("orders", 0), End { log: 11, records: 10 })]);
    telemetry.ends(&[(at("orders", 0), 11)].into());
    assert_eq!(only_task(&telemetry).lag, Some(1));
    metrics.confirmed([(&at("orders", 0), &10)]);
    assert_eq!(only_task(&telemetry).lag, Some(0));
    telemetry.ends(&[(at("orders", 0), 13)].into());
    assert_eq!(only_task(&telemetry).lag, Some(3));
    // What the lane knows is older.
    metrics.ends(vec![(at("orders", 0), End { log: 11, records: 10 })]);
    assert_eq!(only_task(&telemetry).lag, Some(3));
}

#[test]
fn a_log_that_goes_away_is_not_reached_and_shows_in_what_runs() {
    let telemetry = Telemetry::default();
    let (source, sink) = (telemetry.connector("in", Kind::Source, 0), telemetry.connector("out", Kind::Sink, 0));
    assert!(!telemetry.log_awaited("down"), "it was never there");
    assert_eq!(telemetry.log_reached(), None);
    source.state(TaskState::Running, None);
    sink.state(TaskState::Finished, None);
    assert!(telemetry.log_awaited("timed out"));
    assert!(!telemetry.log_awaited("timed out"), "said once");
    let snapshot = telemetry.snapshot();
    assert!(!snapshot.log.reached && snapshot.health.ready, "webhooks stay in service");
    assert!(telemetry.exposition().contains("wharf_log_reached 0\n"));
    assert_eq!(snapshot.tasks[0].state, TaskState::Running, "not at once");
    let since = SystemTime::now() - Duration::from_secs(20);
    super::lock(&telemetry.whole).log_lost = Some(since);
    let states: Vec<_> = telemetry.snapshot().tasks.into_iter().map(|t| (t.state, t.reason)).collect();
    let why = "the topic log does not answer: timed out".to_owned();
    assert_eq!(states, [(TaskState::Retrying, Some(why)), (TaskState::Finished, None)]);
    assert_eq!(telemetry.log_reached().unwrap().as_secs(), 20);
    let snapshot = telemetry.snapshot();
    assert_eq!((snapshot.tasks[0].state, snapshot.log.reached), (TaskState::Running, true));
    assert!(telemetry.exposition().contains("wharf_log_reached 1\n"));
}
