//! Metrics for Prometheus: every name once. Rules: Prometheus, "Metric and label naming" (one prefix, base units, the unit as
//! suffix, `_total` for counters) and the OpenMetrics text format 1.0; `process_*` are the names that Prometheus' client
//! libraries share ("Writing client libraries", process metrics). A name, once released, stays.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};

use super::process;
use super::snapshot::{Snapshot, TaskRow};
use super::state::TaskState;

/// Media type of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;
type FloatGauge = Gauge<f64, AtomicU64>;
type FloatCounter = Counter<f64, AtomicU64>;

/// The text of one scrape.
pub(super) fn text(snapshot: &Snapshot, webhooks: &BTreeMap<(String, u16), u64>, started: SystemTime) -> String {
    let mut registry = Registry::default();
    of_process(&mut registry, started);
    let own = registry.sub_registry_with_prefix("wharf");
    records(own, &snapshot.tasks);
    tasks(own, &snapshot.tasks);
    guests(own, &snapshot.tasks);
    whole(own, snapshot);
    let answers = webhooks
        .iter()
        .map(|((connector, status), count)| (vec![("connector", connector.clone()), ("status", status.to_string())], *count));
    own.register("webhook_requests", "Answers to webhook requests, by HTTP status", counters(answers));
    let mut text = String::new();
    if let Err(error) = encode(&mut text, &registry) {
        // Writing into a String does not fail.
        tracing::error!(%error, "metrics could not be written");
    }
    text
}

fn records(registry: &mut Registry, tasks: &[TaskRow]) {
    let mut counter = |name, help, value: fn(&TaskRow) -> u64| {
        registry.register(name, help, counters(tasks.iter().map(|t| (labels(t), value(t)))));
    };
    counter("records_read", "Records read whose fate is confirmed", |t| t.read - t.in_flight);
    counter("records_split", "Records that splits added", |t| t.split);
    counter("records_delivered", "Records delivered to the target or to the topic", |t| t.delivered);
    counter("records_filtered", "Records that a filter left out", |t| t.filtered);
    counter("records_dead_lettered", "Records written to the dead-letter topic", |t| t.dead_lettered);
    counter("retries", "Calls that are tried again after a wait", |t| t.retried);
    counter("restarts", "Fresh starts of a task or of its guest's instance", |t| t.restarts);
    counter("records_lost", "Records that retention removed before they were read", |t| t.lost);
    let in_flight = tasks.iter().map(|t| (labels(t), t.in_flight));
    registry.register("records_in_flight", "Records read whose fate is not confirmed yet", gauges(in_flight));
    let lag: Family<Labels, Gauge> = Family::default();
    for (task, lag_now) in tasks.iter().filter_map(|t| Some((t, t.lag?))) {
        lag.get_or_create(&labels(task)).set(lag_now);
    }
    registry.register("lag_records", "Records between what is confirmed and the end of the owned partitions", lag);
}

fn tasks(registry: &mut Registry, tasks: &[TaskRow]) {
    let states = tasks.iter().flat_map(|t| {
        TaskState::ALL.into_iter().map(|state| {
            let mut labels = labels(t);
            labels.push(("state", state.name().to_owned()));
            (labels, u64::from(t.state == state))
        })
    });
    registry.register("task_state", "1 for the state that the task is in", gauges(states));
    let stopped = tasks.iter().map(|t| (labels(t), t.stopped_partitions.len() as u64));
    registry.register("partitions_stopped", "Partitions that stay stopped while the others flow on", gauges(stopped));
    let committed: Family<Labels, FloatGauge> = Family::default();
    for (task, time) in tasks.iter().filter_map(|t| Some((t, t.last_commit.as_deref()?.parse::<jiff::Timestamp>().ok()?))) {
        committed.get_or_create(&labels(task)).set(time.as_duration().as_secs_f64());
    }
    let help = "When positions or offsets moved last, since the Unix epoch";
    registry.register_with_unit("last_commit_timestamp", help, Unit::Seconds, committed);
}

fn guests(registry: &mut Registry, tasks: &[TaskRow]) {
    let cpu: Family<Labels, FloatCounter> = Family::default();
    for task in tasks {
        cpu.get_or_create(&labels(task)).inc_by(task.guest_cpu_seconds);
    }
    registry.register_with_unit("guest_cpu", "CPU time inside guests", Unit::Seconds, cpu);
    let memory = tasks.iter().map(|t| (labels(t), t.guest_memory_bytes));
    registry.register_with_unit("guest_memory", "Memory of the guest that answered last", Unit::Bytes, gauges(memory));
    let peak = tasks.iter().map(|t| (labels(t), t.guest_memory_peak_bytes));
    registry.register_with_unit("guest_memory_peak", "Largest memory of a guest so far", Unit::Bytes, gauges(peak));
}

fn whole(registry: &mut Registry, snapshot: &Snapshot) {
    let flag = |registry: &mut Registry, name, help, on: bool| {
        let gauge: Gauge = Gauge::default();
        gauge.set(i64::from(on));
        registry.register(name, help, gauge);
    };
    flag(registry, "log_reached", "1 while the topic log answers", snapshot.log.reached);
    flag(registry, "healthy", "1 when no task is FAILED", snapshot.health.healthy);
    flag(registry, "ready", "1 when every task has come up", snapshot.health.ready);
    registry.register("build", "What is running", Info::new(vec![("version", snapshot.version.clone())]));
}

/// Figures of the process, under names without our prefix.
fn of_process(registry: &mut Registry, started: SystemTime) {
    let cpu = FloatCounter::default();
    cpu.inc_by(process::cpu().as_secs_f64());
    registry.register_with_unit("process_cpu", "CPU time of the process", Unit::Seconds, cpu);
    if let Some(bytes) = process::resident_memory() {
        let memory: Gauge = Gauge::default();
        memory.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        registry.register_with_unit("process_resident_memory", "Resident memory", Unit::Bytes, memory);
    }
    let start = FloatGauge::default();
    start.set(started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
    registry.register_with_unit("process_start_time", "Start of the process since the Unix epoch", Unit::Seconds, start);
}

fn labels(task: &TaskRow) -> Labels {
    vec![("connector", task.connector.clone()), ("kind", task.kind.name().to_owned()), ("task", task.task.to_string())]
}

fn counters(values: impl Iterator<Item = (Labels, u64)>) -> impl Metric {
    let family: Family<Labels, Counter> = Family::default();
    for (labels, value) in values {
        family.get_or_create(&labels).inc_by(value);
    }
    family
}

fn gauges(values: impl Iterator<Item = (Labels, u64)>) -> impl Metric {
    let family: Family<Labels, Gauge> = Family::default();
    for (labels, value) in values {
        family.get_or_create(&labels).set(i64::try_from(value).unwrap_or(i64::MAX));
    }
    family
}
