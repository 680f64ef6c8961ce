//! Groups: committed offsets belong to one topic, and one member.
use super::*;

async fn assigned(lane: &mut Box<dyn SinkLog>) -> Vec<crate::topic_log::Assignment> {
    let SinkEvent::Assigned(list) = lane.next(LIMITS, WAIT).await.unwrap() else { panic!("not assigned") };
    list
}

async fn lane(log: &EmbeddedLog, name: &str) -> Box<dyn SinkLog> {
    log.sink(&sink(name, 1, Start::Earliest)).await.unwrap().remove(0)
}

#[tokio::test]
async fn an_offset_of_an_older_topic_of_the_name_is_never_used() {
    let folder = folder();
    let log = with_topic(&folder).await;
    log.append(&batch("t", &["a", "b"])).await.unwrap();
    let mut first = lane(&log, "k").await;
    let list = assigned(&mut first).await;
    first.commit(&[(list[0].partition.clone(), 2)]).await.unwrap();
    drop((first, log));
    beside(folder.path())
        .execute_batch("DELETE FROM partitions; DELETE FROM topics; DELETE FROM records; DELETE FROM chunks")
        .unwrap();
    let log = with_topic(&folder).await;
    log.append(&batch("t", &["new", "newer"])).await.unwrap();
    let mut again = lane(&log, "k").await;
    let list = assigned(&mut again).await;
    assert_eq!(list[0].committed, None);
    assert_eq!(again.resolve_start(&list[0].partition).await.unwrap(), 0);
    assert_eq!(values(&log, "t").await, ["new", "newer"], "and nothing of the old one is read");
}

#[tokio::test]
async fn offsets_outlive_the_process_and_are_of_their_group_alone() {
    let folder = folder();
    let log = with_topic(&folder).await;
    log.append(&batch("t", &["a", "b"])).await.unwrap();
    let mut first = lane(&log, "k").await;
    let list = assigned(&mut first).await;
    first.commit(&[(list[0].partition.clone(), 1)]).await.unwrap();
    drop((first, log));
    let log = open(&folder);
    assert_eq!(assigned(&mut lane(&log, "k").await).await[0].committed, Some(1));
    assert_eq!(assigned(&mut lane(&log, "other").await).await[0].committed, None);
}

#[tokio::test]
async fn a_newer_join_takes_the_partitions_and_the_older_one_can_not_commit() {
    let folder = folder();
    let log = with_topic(&folder).await;
    log.append(&batch("t", &["a", "b"])).await.unwrap();
    let mut old = lane(&log, "k").await;
    let at = assigned(&mut old).await[0].partition.clone();
    let mut new = lane(&log, "k").await;
    assert_eq!(old.commit(&[(at.clone(), 2)]).await, Err(LogError::NotOwner(vec![at.clone()])));
    assert_eq!(old.next(LIMITS, WAIT).await.unwrap(), SinkEvent::Revoked(vec![at.clone()]));
    assert_eq!(assigned(&mut new).await[0].committed, None);
    new.commit(&[(at, 2)]).await.unwrap();
}

#[tokio::test]
async fn each_partition_belongs_to_exactly_one_lane() {
    let folder = folder();
    let log = open(&folder);
    log.create_topics(&[spec("t", 7, &[])]).await.unwrap();
    let mut all = Vec::new();
    for (number, mut lane) in (0i32..).zip(log.sink(&sink("k", 3, Start::Earliest)).await.unwrap()) {
        let list = assigned(&mut lane).await;
        assert!(list.iter().all(|a| a.partition.partition % 3 == number));
        all.extend(list.into_iter().map(|a| a.partition.partition));
    }
    all.sort_unstable();
    assert_eq!(all, (0..7).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_offset_past_the_end_stops_that_partition_and_no_other() {
    let folder = folder();
    let log = open(&folder);
    log.create_topics(&[spec("t", 2, &[])]).await.unwrap();
    log.append(&batch("t", &["v"; 32])).await.unwrap();
    let mut lane = lane(&log, "k").await;
    let list = assigned(&mut lane).await;
    lane.begin(&[(list[0].partition.clone(), 99), (list[1].partition.clone(), 0)]).await.unwrap();
    let mut stopped = None;
    let mut read = 0;
    while stopped.is_none() || read < 16 {
        match lane.next(LIMITS, WAIT).await.unwrap() {
            SinkEvent::OutOfRange(at, Lost::PastTheEnd(text)) => stopped = Some((at, text)),
            SinkEvent::Records(batch) => {
                assert!(batch.records().all(|r| r.partition == 1));
                read += batch.len();
            }
            other => panic!("{other:?}"),
        }
    }
    let (at, text) = stopped.unwrap();
    assert_eq!(at, list[0].partition);
    assert!(text.contains("ends at 16"), "{text}");
    assert_eq!(lane.next(LIMITS, Duration::ZERO).await.unwrap(), SinkEvent::Idle);
    assert_eq!(lane.caught_up().await, Ok(true));
}

#[tokio::test]
async fn a_batch_keeps_its_limits_and_one_large_record_still_comes() {
    let folder = folder();
    let log = with_topic(&folder).await;
    let large = "x".repeat(5_000);
    log.append(&batch("t", &["a", "b", "c", &large, "d"])).await.unwrap();
    let mut lane = lane(&log, "k").await;
    let list = assigned(&mut lane).await;
    lane.begin(&[(list[0].partition.clone(), 0)]).await.unwrap();
    let limits = BatchLimits { records: 2, bytes: 1_000, linger: Duration::ZERO };
    let mut sizes = Vec::new();
    while let SinkEvent::Records(batch) = lane.next(limits, Duration::ZERO).await.unwrap() {
        sizes.push(batch.len());
    }
    assert_eq!(sizes, [2, 1, 1, 1]);
}

#[tokio::test]
async fn a_place_that_was_not_delivered_is_read_again_after_a_seek() {
    let folder = folder();
    let log = with_topic(&folder).await;
    log.append(&batch("t", &["a", "b", "c"])).await.unwrap();
    let mut lane = lane(&log, "k").await;
    let at = assigned(&mut lane).await[0].partition.clone();
    lane.begin(&[(at.clone(), 0)]).await.unwrap();
    lane.next(LIMITS, WAIT).await.unwrap();
    lane.seek(&[(at.clone(), 1)]).await.unwrap();
    let SinkEvent::Records(batch) = lane.next(LIMITS, WAIT).await.unwrap() else { panic!("no records") };
    assert_eq!(batch.records().map(|r| r.offset).collect::<Vec<_>>(), [1, 2]);
    let stranger = TopicPartition { topic: Arc::from("t"), partition: 9 };
    assert_eq!(lane.seek(&[(stranger.clone(), 0)]).await, Err(LogError::NotOwner(vec![stranger])));
}
