//! Offsets that are no records: markers of transactions, aborted records, what compaction and deletion took, an end that came
//! nearer. A sink on Kafka passes over them, and tells what it lost.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use wharf_runtime::supervisor::Outcome;

use super::*;

const WAIT: Duration = Duration::from_secs(20);

fn client(deployment: &Deployment) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", deployment.bootstrap());
    config
}

/// Partition 0 of `orders`, or of another topic.
fn partition(deployment: &Deployment, topic: &str, partition: i32, offset: i64) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&deployment.topic(topic), partition, Offset::Offset(offset)).unwrap();
    list
}

/// What the group of a sink has committed for partition 0 of `orders`.
fn committed(deployment: &Deployment, sink: &str) -> Option<i64> {
    let group = format!("wharf.{}.{sink}", deployment.name());
    let consumer: BaseConsumer = client(deployment).set("group.id", group).create().unwrap();
    let answer = consumer.committed_offsets(partition(deployment, "orders", 0, 0), WAIT).unwrap();
    answer.elements()[0].offset().to_raw().filter(|offset| *offset >= 0)
}

/// Transactions of somebody else, one after the other: whether each is committed, and its records by partition.
fn transactions(deployment: &Deployment, all: &[(bool, &[(i32, &str)])]) {
    let producer: BaseProducer = client(deployment).set("transactional.id", deployment.topic("other")).create().unwrap();
    producer.init_transactions(WAIT).unwrap();
    for (commits, records) in all {
        producer.begin_transaction().unwrap();
        for (partition, value) in *records {
            let topic = deployment.topic("orders");
            producer.send(BaseRecord::<(), _>::to(&topic).partition(*partition).payload(*value)).unwrap();
        }
        producer.flush(WAIT).unwrap();
        if *commits { producer.commit_transaction(WAIT).unwrap() } else { producer.abort_transaction(WAIT).unwrap() }
    }
}

#[tokio::test]
async fn markers_and_aborted_records_are_passed_over_in_the_middle_and_at_the_end() {
    let Some(deployment) = Deployment::kafka("flow_gaps") else { return };
    deployment.produce("orders", 3, &[]).await;
    let both = |more: &str| {
        let neighbour = NEIGHBOUR.replace("allow.sql", "exactly-once = false\nallow.sql");
        format!("{}{neighbour}", ledger("", more))
    };
    // Partition 1 has a gap in the middle and one at its end, partition 2 nothing but an aborted record.
    let first: &[(bool, &[(i32, &str)])] = &[
        (true, &[(1, "a"), (1, "b")]),
        (false, &[(1, "never"), (1, "never"), (2, "never")]),
        (true, &[(1, "c")]),
        (false, &[(1, "never")]),
    ];
    transactions(&deployment, first);
    // Each batch has one record: its offsets are not those that come next.
    let ended = deployment.until_done(&both("batch = { records = 1 }")).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    for table in ["ledger", "neighbour"] {
        assert_eq!(entered(&deployment, table), ["a", "b", "c"]);
        assert_eq!(counts(&ended.snapshot, table), [3, 0, 3, 0, 0]);
        assert_eq!(task(&ended.snapshot, table).lag, Some(0), "{table}");
    }
    // From offsets that stand before markers and aborted records, with and without something new behind them.
    let ended = deployment.until_done(&both("")).await;
    assert_eq!((counts(&ended.snapshot, "ledger"), counts(&ended.snapshot, "neighbour")), ([0; 5], [0; 5]));
    transactions(&deployment, &[(false, &[(1, "never"), (2, "never")]), (true, &[(1, "d"), (2, "e")]), (false, &[(2, "never")])]);
    let running = deployment.start(&both("")).await;
    for table in ["ledger", "neighbour"] {
        running.when_settled(table, 2).await;
        running.when("lag 0", |snapshot| task(snapshot, table).lag == Some(0)).await;
    }
    assert_eq!(running.drain().await.outcome, Outcome::Clean);
    for table in ["ledger", "neighbour"] {
        let mut all = entered(&deployment, table);
        all.sort();
        assert_eq!(all, ["a", "b", "c", "d", "e"], "{table}");
    }
}

#[tokio::test]
async fn what_compaction_took_is_no_gap_for_offsets() {
    let Some(deployment) = Deployment::kafka("flow_compacted") else { return };
    let topic = deployment.topic("orders");
    // A segment ends with each record, and the cleaner takes whatever it may.
    let section = format!(
        "\n[topic.\"{topic}\"]\nconfig = {{ \"cleanup.policy\" = \"compact\", \"segment.ms\" = \"100\", \
         \"min.cleanable.dirty.ratio\" = \"0.0\", \"delete.retention.ms\" = \"0\" }}\n"
    );
    let body = |more: &str| format!("{section}{}", ledger("", more));
    // Makes the topic.
    assert_eq!(deployment.until_done(&body("")).await.outcome, Outcome::Clean);
    let values: Vec<_> = (0..9).map(|n| format!("v{n}")).collect();
    let deadline = Instant::now() + deployment::PATIENCE;
    // Segments end by the records' own time.
    let producer: BaseProducer = client(&deployment).create().unwrap();
    for (minute, value) in (0i64..).zip(&values) {
        let record = BaseRecord::to(&topic).key("k").payload(value).timestamp(1_700_000_000_000 + minute * 60_000);
        producer.send(record).unwrap();
        producer.flush(WAIT).unwrap();
    }
    let left = loop {
        let left = deployment.read("orders").await;
        if left.len() < values.len() - 2 {
            break left;
        }
        assert!(Instant::now() < deadline, "nothing is ever compacted");
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    let ended = deployment.until_done(&body("batch = { records = 1 }")).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    let arrived = entered(&deployment, "ledger");
    assert!(arrived.len() <= left.len() && arrived.last().map(String::as_str) == Some("v8"), "{arrived:?} of {left:?}");
    assert_eq!(task(&ended.snapshot, "ledger").lag, Some(0));
    deployment.produce("orders", 1, &[(Some("k"), Some(b"new"))]).await;
    let ended = deployment.until_done(&body("")).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "ledger")), (Outcome::Clean, [1, 0, 1, 0, 0]));
    assert_eq!(deployment.query("SELECT next_offset FROM _wharf_offsets"), ["10"]);
}

#[tokio::test]
async fn where_records_were_deleted_below_its_offset_a_sink_goes_on_with_the_first_that_is_left() {
    for once in [true, false] {
        let Some(deployment) = Deployment::kafka("flow_deleted") else { return };
        // By `start` everything that is left would be skipped.
        let body = ledger("", &format!("exactly-once = {once}\nstart = \"latest\""));
        deployment.produce("orders", 1, &[]).await;
        let running = deployment.start(&body).await;
        running.when("placed", |snapshot| task(snapshot, "ledger").lag == Some(0)).await;
        deployment.produce_values("orders", &["a", "b"]).await;
        running.when_settled("ledger", 2).await;
        running.drain().await;
        deployment.produce_values("orders", &["c", "d", "e", "f"]).await;
        let admin: AdminClient<DefaultClientContext> = client(&deployment).create().unwrap();
        admin.delete_records(&partition(&deployment, "orders", 0, 4), &AdminOptions::new()).await.unwrap();
        for run in 0..2 {
            let ended = deployment.until_done(&body).await;
            assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
            assert_eq!(counts(&ended.snapshot, "ledger")[2], if run == 0 { 2 } else { 0 });
            assert_eq!(task(&ended.snapshot, "ledger").lost, if run == 0 { 2 } else { 0 }, "what retention took is counted");
            assert_eq!(entered(&deployment, "ledger"), ["a", "b", "e", "f"], "exactly-once = {once}");
        }
        assert_eq!(committed(&deployment, "ledger"), Some(6));
    }
}

#[tokio::test]
async fn a_partition_whose_group_stands_past_the_end_stops_says_so_and_keeps_its_offset() {
    let Some(deployment) = Deployment::kafka("flow_group_past_the_end") else { return };
    deployment.produce_values("orders", &["a", "b"]).await;
    let group = format!("wharf.{}.ledger", deployment.name());
    let consumer: BaseConsumer = client(&deployment).set("group.id", group).create().unwrap();
    // As after the log lost its end: the group read what is not there any more.
    consumer.commit(&partition(&deployment, "orders", 0, 7), CommitMode::Sync).unwrap();
    let body = ledger("", "exactly-once = false");
    let ended = deployment.until_done(&body).await;
    assert_eq!(ended.outcome, Outcome::AllFailed);
    let why = reason(&ended.snapshot, "ledger");
    assert!(why.contains("offset 7") && why.contains("ends at 2") && why.contains("wharf offsets set"), "{why}");
    assert_eq!(committed(&deployment, "ledger"), Some(7), "it is left to people");
    // As they decide.
    consumer.commit(&partition(&deployment, "orders", 0, 1), CommitMode::Sync).unwrap();
    assert_eq!(deployment.until_done(&body).await.outcome, Outcome::Clean);
    assert_eq!(entered(&deployment, "ledger"), ["b"]);
}

#[tokio::test]
async fn a_topic_that_is_created_anew_is_delivered_from_its_start_beside_the_offset_of_the_old_one() {
    for once in [true, false] {
        let Some(deployment) = Deployment::kafka("flow_anew") else { return };
        let body = ledger("", &format!("exactly-once = {once}"));
        deployment.produce_values("orders", &["a", "b", "c"]).await;
        assert_eq!(deployment.until_done(&body).await.outcome, Outcome::Clean);
        let admin: AdminClient<DefaultClientContext> = client(&deployment).create().unwrap();
        let topic = deployment.topic("orders");
        admin.delete_topics(&[&topic], &AdminOptions::new()).await.unwrap()[0].clone().unwrap();
        // Until the broker has seen it too: what it takes meanwhile goes into the old one.
        deployment.when_gone("orders").await;
        // More than the old one had: its offset would fit.
        deployment.produce_values("orders", &["d", "e", "f", "g", "h"]).await;
        for delivered in [5, 0] {
            let ended = deployment.until_done(&body).await;
            assert_eq!((ended.outcome, counts(&ended.snapshot, "ledger")[2]), (Outcome::Clean, delivered), "{ended:#?}");
        }
        assert_eq!(entered(&deployment, "ledger"), ["a", "b", "c", "d", "e", "f", "g", "h"], "exactly-once = {once}");
    }
}
