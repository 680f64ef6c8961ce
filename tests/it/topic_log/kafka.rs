//! What only Kafka can get wrong: predecessors that are still there, a cluster that is not.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use wharf_runtime::capability::secret::Secret;
use wharf_runtime::topic_log::kafka::KafkaLog;
use wharf_runtime::topic_log::{LogError, Position, SourceLog, SourceOwner, TopicLog, TopicSpec};

use super::bench::{Bench, PATIENCE, assigned, batch, catch_up, read_rows, record, texts, write_numbers};

fn position(slice: &str, place: &str) -> Position {
    Position { slice: slice.to_owned(), place: place.as_bytes().to_vec() }
}

/// A transaction of somebody else, open, with one record in it.
fn open_transaction(bench: &Bench, id: &str, topic: &str) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bench.bootstrap()).set("transactional.id", id);
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(Duration::from_secs(20)).unwrap();
    producer.begin_transaction().unwrap();
    producer.send(BaseRecord::to(topic).partition(0).key("{}").payload("left open")).unwrap();
    producer.flush(Duration::from_secs(20)).unwrap();
    producer
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_predecessor_left_open_is_never_seen() {
    let Some(bench) = Bench::kafka("what_a_predecessor_left_open_is_never_seen") else { return };
    let topic = bench.topic("orders", 1).await;
    let zombie = open_transaction(&bench, &format!("wharf.{}.erp.0", bench.tag), &topic);
    let mut log = bench.source(&bench.owner(0, 1)).await.unwrap();
    log.append(&batch(&[record(&topic, None, "good")]), &[]).await.unwrap();
    assert!(zombie.commit_transaction(Duration::from_secs(20)).is_err(), "the zombie is fenced");
    assert_eq!(texts(&bench.contents(&topic).await), ["good"]);
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    assert_eq!(texts(&read_rows(&mut *lane, 1).await), ["good"]);
    catch_up(&mut *lane).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_behind_another_sources_open_transaction_is_waited_for() {
    let Some(bench) = Bench::kafka("a_position_behind_another_sources_open_transaction_is_waited_for") else { return };
    let mut log = bench.source(&bench.owner(0, 1)).await.unwrap();
    log.append(&batch(&[]), &[position("s", "old")]).await.unwrap();
    let other = open_transaction(&bench, &format!("{}.other", bench.tag), &format!("wharf.{}.positions", bench.tag));
    log.append(&batch(&[]), &[position("s", "new")]).await.unwrap();
    drop(log);
    let end_later = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_secs(3));
        other.abort_transaction(Duration::from_secs(20)).unwrap();
    });
    let log = bench.source(&bench.owner(0, 1)).await.unwrap();
    assert_eq!(log.positions(), [position("s", "new")]);
    end_later.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_that_was_fenced_by_a_newer_one_stands_by() {
    let Some(bench) = Bench::kafka("the_owner_that_was_fenced_by_a_newer_one_stands_by") else { return };
    let owner = bench.owner(0, 1);
    let mut old = bench.source(&owner).await.unwrap();
    old.append(&batch(&[]), &[position("s", "1")]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let newer = bench.another();
    let mut new = newer.source(&owner).await.unwrap();
    assert!(matches!(old.append(&batch(&[]), &[position("s", "late")]).await, Err(LogError::Fenced(_))));
    for _ in 0..2 {
        match bench.source(&owner).await {
            Err(LogError::Standby(text)) => {
                assert!(text.contains("taken over") && text.contains("erp"), "{text}");
                let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
                let worker = format!("worker {}-{}-", host.trim(), std::process::id());
                assert!(
                    text.contains(&worker) && text.contains("last sign of life came "),
                    "who owns it, and is it alive: {text}"
                );
            }
            other => panic!("{:?}", other.err()),
        }
    }
    // It was not disturbed.
    new.append(&batch(&[]), &[position("s", "2")]).await.unwrap();
    // A restart of the old worker is newer still.
    let restarted = bench.another();
    let again = restarted.source(&owner).await.unwrap();
    assert_eq!(again.positions(), [position("s", "2")]);
    assert!(matches!(newer.source(&owner).await, Err(LogError::Standby(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_does_not_start_where_its_positions_would_expire() {
    for policy in ["delete", "compact,delete"] {
        let Some(bench) = Bench::kafka("a_source_does_not_start_where_its_positions_would_expire") else { return };
        let name = format!("wharf.{}.positions", bench.tag);
        let config = [("cleanup.policy".to_owned(), policy.to_owned())].into();
        bench.create_topics(&[TopicSpec { name: name.clone(), partitions: 1, replication: -1, config }]).await.unwrap();
        match bench.source(&bench.owner(0, 1)).await {
            Err(LogError::Fatal(text)) => {
                assert!(text.contains(&name) && text.contains(&format!("cleanup.policy={policy}:")), "{text}");
                assert!(text.contains("Set cleanup.policy=compact"), "{text}");
            }
            other => panic!("{policy}: {:?}", other.err()),
        }
    }
}

/// Two workers of one source, of which the newer has just taken over, with a session of two seconds.
async fn two_workers(bench: &Bench, exactly_once: bool) -> (SourceOwner, Box<dyn SourceLog>, Box<dyn SourceLog>) {
    let mut owner = bench.owner(0, 1);
    owner.exactly_once = exactly_once;
    owner.properties.insert("session.timeout.ms".to_owned(), "2000".to_owned());
    let old = bench.source(&owner).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut new = bench.another().source(&owner).await.unwrap();
    new.append(&batch(&[]), &[position("s", "1")]).await.unwrap();
    (owner, old, new)
}

/// Two workers that start at once: one of them may be fenced in its very first claim, and has never owned the source.
#[tokio::test(flavor = "multi_thread")]
async fn who_only_ever_stood_by_does_not_begin_anew_in_a_topic_of_positions_that_was_deleted() {
    let name = "who_only_ever_stood_by_does_not_begin_anew_in_a_topic_of_positions_that_was_deleted";
    for round in 0..40 {
        let Some(mut bench) = Bench::kafka(name) else { return };
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut owner = bench.owner(0, 1);
        owner.properties.insert("session.timeout.ms".to_owned(), "1000".to_owned());
        let earlier = bench.worker(one.path());
        tokio::time::sleep(Duration::from_millis(5)).await;
        let later = bench.worker(two.path());
        // Where the later one is fenced it takes the source back, as it should: that is another case.
        let (Err(_), Ok(mut owns)) = tokio::join!(earlier.source(&owner), later.source(&owner)) else { continue };
        owns.append(&batch(&[]), &[position("s", "1")]).await.unwrap();
        let stands_by = earlier.source(&owner).await.map(|source| source.positions().to_vec());
        assert!(matches!(stands_by, Err(LogError::Standby(_))), "round {round}: {stands_by:?}");
        let topic = format!("wharf.{}.positions", bench.tag);
        bench.delete_topic(&topic).await;
        drop(owns);
        tokio::time::sleep(Duration::from_secs(2)).await;
        match earlier.source(&owner).await.map(|source| source.positions().to_vec()) {
            Err(LogError::Fatal(text)) => assert!(text.contains(&topic) && text.contains("was deleted"), "{text}"),
            other => panic!("round {round}: {other:?}"),
        }
        return;
    }
    panic!("no worker was fenced in its first claim");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stands_by_takes_over_from_a_silent_owner_and_never_from_an_idle_one() {
    let Some(bench) = Bench::kafka("who_stands_by_takes_over_from_a_silent_owner_and_never_from_an_idle_one") else { return };
    for exactly_once in [true, false] {
        let (owner, mut old, mut new) = two_workers(&bench, exactly_once).await;
        // Idle owners hear that they were taken over.
        assert!(matches!(old.lost().await, LogError::Fenced(_)));
        drop(old);
        let look = async || bench.source(&owner).await;
        let idle = tokio::time::Instant::now();
        while idle.elapsed() < Duration::from_secs(5) {
            assert!(matches!(look().await, Err(LogError::Standby(_))), "it lives and has nothing to write");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        new.append(&batch(&[]), &[position("s", "2")]).await.unwrap();
        drop(new);
        let silent = tokio::time::Instant::now();
        let taken = loop {
            match look().await {
                Ok(taken) => break taken,
                Err(error) => assert!(matches!(error, LogError::Standby(_)), "{error}"),
            }
            assert!(silent.elapsed() < PATIENCE, "it never took over");
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        assert_eq!(taken.positions(), [position("s", "2")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_stops_in_good_order_leaves_no_one_waiting() {
    let Some(bench) = Bench::kafka("an_owner_that_stops_in_good_order_leaves_no_one_waiting") else { return };
    let (owner, old, mut new) = two_workers(&bench, true).await;
    drop(old);
    assert!(matches!(bench.source(&owner).await, Err(LogError::Standby(_))));
    new.release().await.unwrap();
    let taken = bench.source(&owner).await.unwrap();
    assert_eq!(taken.positions(), [position("s", "1")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_are_no_more_are_fenced_too() {
    let Some(bench) = Bench::kafka("tasks_that_are_no_more_are_fenced_too") else { return };
    let mut zero = bench.source(&bench.owner(0, 3)).await.unwrap();
    let mut two = bench.source(&bench.owner(2, 3)).await.unwrap();
    two.append(&batch(&[]), &[position("c", "2")]).await.unwrap();
    zero.append(&batch(&[]), &[position("a", "0")]).await.unwrap();
    let newer = bench.another();
    let mut only = newer.source(&bench.owner(0, 1)).await.unwrap();
    assert_eq!(only.positions(), [position("a", "0"), position("c", "2")]);
    let late = two.append(&batch(&[]), &[position("c", "late")]).await;
    assert!(matches!(late, Err(LogError::Fenced(_))), "{late:?}");
    only.append(&batch(&[]), &[position("c", "3")]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_above_the_producers_own_limit_is_refused() {
    let Some(bench) = Bench::kafka("a_record_above_the_producers_own_limit_is_refused") else { return };
    let topic = bench.topic("orders", 1).await;
    let huge = "x".repeat(1_010_000);
    let records = [record(&topic, None, "1"), record(&topic, None, &huge), record(&topic, None, "3")];
    let refused = bench.append(&batch(&records)).await.unwrap();
    assert_eq!(refused.iter().map(|r| r.index).collect::<Vec<_>>(), [1]);
    assert!(refused[0].reason.contains("message.max.bytes"), "{}", refused[0].reason);
    assert_eq!(texts(&bench.contents(&topic).await), ["1", "3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_of_another_cluster_is_not_used() {
    let Some(bench) = Bench::kafka("a_position_of_another_cluster_is_not_used") else { return };
    drop(bench.source(&bench.owner(0, 1)).await.unwrap());
    let topic = format!("wharf.{}.positions", bench.tag);
    let log = bench.id().await.unwrap();
    for (slice, log) in [("copied", "another-cluster"), ("own", &log)] {
        let key = format!(r#"{{"source":"erp","slice":"{slice}"}}"#);
        let value = format!(r#"{{"place":"eA==","log":"{log}","worker":"w","epoch":1}}"#);
        assert_eq!(bench.append(&batch(&[record(&topic, Some(&key), &value)])).await.unwrap(), []);
    }
    let owner = bench.source(&bench.owner(0, 1)).await.unwrap();
    assert_eq!(owner.positions(), [position("own", "x")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_that_was_committed_for_another_topic_id_is_not_used() {
    let Some(bench) = Bench::kafka("an_offset_that_was_committed_for_another_topic_id_is_not_used") else { return };
    let topic = bench.topic("orders", 2).await;
    write_numbers(&*bench, &topic, 0..40).await;
    let spec = bench.sink_of(&topic);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bench.bootstrap()).set("group.id", spec.group());
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Offset(3)).unwrap();
    let mut other = list.add_partition(&topic, 1);
    other.set_offset(Offset::Offset(3)).unwrap();
    other.set_metadata("AAAAAAAAAAAAAAAAAAAAAA");
    consumer.commit(&list, CommitMode::Sync).unwrap();
    let mut lane = bench.lane(&spec).await;
    let list = assigned(&mut *lane, 2).await;
    // One that an operator set by Kafka's own tool carries no id, and counts.
    assert_eq!((list[0].committed, list[1].committed), (Some(3), None));
}

fn log_with(properties: &[(&str, &str)]) -> Result<KafkaLog, LogError> {
    KafkaLog::new(&properties.iter().map(|(k, v)| ((*k).to_owned(), Secret::new((*v).to_owned()))).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kafka_that_is_down_asks_for_patience() {
    // Nothing listens there.
    let log = log_with(&[("bootstrap.servers", "127.0.0.1:9"), ("message.timeout.ms", "2000")]).unwrap();
    assert!(matches!(log.id().await, Err(LogError::Retry(_))));
    assert!(matches!(log.topics().await, Err(LogError::Retry(_))));
    assert!(matches!(log.append(&batch(&[record("orders", None, "v")])).await, Err(LogError::Retry(_))));
}

#[test]
fn a_property_that_is_unknown_is_named_and_its_value_is_not() {
    let Err(LogError::Fatal(text)) = log_with(&[("sasl.pasword", "s3cret")]) else { panic!("it is taken") };
    assert!(text.contains("sasl.pasword") && !text.contains("s3cret"), "{text}");
    let Err(LogError::Fatal(text)) = log_with(&[("socket.timeout.ms", "s3cret")]) else { panic!("it is taken") };
    assert!(text.contains("socket.timeout.ms") && !text.contains("s3cret"), "{text}");
}
