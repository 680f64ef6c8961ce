//! Partitions whose offset is not in the log, that another owner moved on, or that several tasks share.

use std::collections::BTreeMap;

use wharf_runtime::supervisor::Outcome;
use wharf_runtime::telemetry::TaskState;

use super::*;

/// Two keys that go to partitions 0 and 1 of two, as the partitioner tells.
async fn two_partitions(deployment: &Deployment, from: usize, to: usize) {
    let keys: Vec<_> = (from..to).map(|n| format!("{}", n % 2)).collect();
    let values: Vec<_> = (from..to).map(|n| format!("v{n}")).collect();
    let records: Vec<_> = keys.iter().zip(&values).map(|(key, value)| (Some(key.as_str()), Some(value.as_bytes()))).collect();
    deployment.produce("orders", 2, &records).await;
}

/// Values of a partition of `orders` from an offset on.
async fn values(deployment: &Deployment, partition: i32, from: i64) -> Vec<String> {
    let rows = deployment.read("orders").await;
    rows.iter().filter(|row| row.partition == partition && row.offset >= from).map(deployment::Row::text).collect()
}

fn entered_of(deployment: &Deployment, partition: i32) -> Vec<String> {
    deployment.query(&format!("SELECT value FROM ledger WHERE \"partition\" = {partition} ORDER BY rowid"))
}

const LISTEN: &str = "\n[listen]\naddress = \"127.0.0.1:{port}\"\n";

#[tokio::test]
async fn a_partition_whose_offset_is_past_the_end_stops_and_the_others_flow_on() {
    let deployment = Deployment::embedded();
    two_partitions(&deployment, 0, 10).await;
    let ended = deployment.until_done(&ledger("", "")).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "ledger")), (Outcome::Clean, [10, 0, 10, 0, 0]));
    // As if the log were an older copy of itself.
    deployment.execute("UPDATE _wharf_offsets SET next_offset = 900 WHERE partition = 0");
    two_partitions(&deployment, 10, 20).await;

    let port = free_port();
    let body = format!("{}{}", LISTEN.replace("{port}", &port.to_string()), ledger("", ""));
    let running = deployment.start(&body).await;
    let other = values(&deployment, 1, 0).await;
    assert!((5..15).contains(&other.len()), "both keys fell into one partition");
    let snapshot = running.when("partition 0 stopped", |s| !task(s, "ledger").stopped_partitions.is_empty()).await;
    running.when("partition 1 read", |s| task(s, "ledger").delivered >= u64::try_from(other.len()).unwrap() - 5).await;
    let why = &task(&snapshot, "ledger").stopped_partitions["orders/0"];
    assert!(why.contains("offset 900") && why.contains("ends at 10"), "{why}");
    let (status, health) = get(&format!("http://127.0.0.1:{port}/health")).await;
    assert!(status == 503 && health.contains("offset 900"), "{status} {health}");
    let ended = running.drain().await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(entered_of(&deployment, 1), other);
    assert_eq!(entered_of(&deployment, 0), values(&deployment, 0, 0).await[..5]);
    assert_eq!(deployment.query("SELECT next_offset FROM _wharf_offsets WHERE partition = 0"), ["900"], "it is left to people");
}

#[tokio::test]
async fn until_done_ends_as_failed_when_a_partition_stays_stopped() {
    let deployment = Deployment::embedded();
    two_partitions(&deployment, 0, 10).await;
    deployment.until_done(&ledger("", "")).await;
    deployment.execute("UPDATE _wharf_offsets SET next_offset = 900 WHERE partition = 0");
    two_partitions(&deployment, 10, 500).await;
    // The task of partition 0 has nothing to do; that must not end the one of partition 1 early.
    let ended = deployment.until_done(&ledger("", "tasks = 2\nbatch = { records = 1 }")).await;
    assert_eq!(ended.outcome, Outcome::AllFailed);
    let states: Vec<_> = ended.snapshot.tasks.iter().map(|task| task.state).collect();
    assert_eq!(states, [TaskState::Failed, TaskState::Finished]);
    let why = reason(&ended.snapshot, "ledger");
    assert!(why.contains("all else is delivered") && why.contains("offset 900"), "{why}");
    assert_eq!(entered_of(&deployment, 1), values(&deployment, 1, 0).await);
    assert!(ended.snapshot.adds_up());
}

#[tokio::test]
async fn what_another_owner_delivered_of_two_partitions_is_not_delivered_again() {
    let deployment = Deployment::embedded();
    deployment.write("in/a.jsonl", keyed_lines(0, 20));
    let body = format!("{KEYED_FILES}{}", ledger("", ""));
    let running = deployment.start(&body).await;
    running.when_settled("ledger", 20).await;
    // Another owner of the same offsets was there: it delivered 3 more of partition 0 and 7 of partition 1.
    let before: BTreeMap<_, _> = [(0, values(&deployment, 0, 0).await.len()), (1, values(&deployment, 1, 0).await.len())].into();
    assert!(before.values().all(|count| *count > 0), "both keys fell into one partition");
    deployment.execute(
        "UPDATE _wharf_offsets SET next_offset = next_offset + 3 WHERE partition = 0; \
         UPDATE _wharf_offsets SET next_offset = next_offset + 7 WHERE partition = 1",
    );
    deployment.append("in/a.jsonl", &keyed_lines(20, 60));
    running.when_settled("ledger", 20 + 40 - 10).await;
    let ended = running.drain().await;
    assert_eq!(ended.outcome, Outcome::Clean);
    for (partition, skipped) in [(0, 3), (1, 7)] {
        let mut expected = values(&deployment, partition, 0).await;
        expected.drain(before[&partition]..before[&partition] + skipped);
        assert_eq!(entered_of(&deployment, partition), expected, "partition {partition}");
    }
    assert!(ended.snapshot.adds_up());
    assert_eq!(deployment.query("SELECT sum(next_offset) FROM _wharf_offsets"), ["60"]);
}

#[tokio::test]
async fn three_tasks_over_six_partitions_keep_the_order_of_each_key() {
    three_tasks_keep_the_order_of_each_key(&Deployment::embedded()).await;
}

pub async fn three_tasks_keep_the_order_of_each_key(deployment: &Deployment) {
    let keys: Vec<_> = (0..300).map(|n| format!("key{}", n % 17)).collect();
    let values: Vec<_> = (0..300).map(|n| format!("key{} {n}", n % 17)).collect();
    let records: Vec<_> = keys.iter().zip(&values).map(|(key, value)| (Some(key.as_str()), Some(value.as_bytes()))).collect();
    deployment.produce("orders", 6, &records).await;
    let ended = deployment.until_done(&ledger("", "tasks = 3\nbatch = { records = 7 }")).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    let arrived = entered(deployment, "ledger");
    assert_eq!(arrived.len(), 300);
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    for line in &arrived {
        let (key, number) = line.split_once(' ').unwrap();
        let number = number.parse().unwrap();
        assert!(last.insert(key, number).is_none_or(|before| before < number), "{key}: {number} came late");
    }
    assert_eq!(last.len(), 17);
    let working = ended.snapshot.tasks.iter().filter(|task| task.delivered > 0).count();
    assert_eq!(working, 3);
    assert_eq!(counts(&ended.snapshot, "ledger"), [300, 0, 300, 0, 0]);
}
