//! Retention: by age since the append and by size, whole chunks, oldest first.
use super::*;

/// Makes what was appended so far older.
fn age(folder: &TempDir, by: Duration) {
    let ms = i64::try_from(by.as_millis()).unwrap();
    beside(folder.path()).execute("UPDATE chunks SET opened_at = opened_at - ?1, appended_at = appended_at - ?1", [ms]).unwrap();
}

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn records_go_when_their_append_is_older_than_the_limit() {
    let folder = folder();
    let log = with_topic(&folder).await;
    log.append(&batch("t", &["a", "b"])).await.unwrap();
    age(&folder, 2 * HOUR);
    log.append(&batch("t", &["c"])).await.unwrap();
    drop(log);
    let log = EmbeddedLog::open(folder.path(), Some(HOUR), None).unwrap();
    settled(&log).await;
    assert_eq!(values(&log, "t").await, ["c"]);
    assert_eq!(ends(&log, "t").await, [(2, 3)]);
}

#[tokio::test]
async fn a_record_of_old_date_does_not_vanish_on_arrival() {
    let folder = folder();
    let log = EmbeddedLog::open(folder.path(), Some(HOUR), None).unwrap();
    log.create_topics(&[spec("t", 1, &[])]).await.unwrap();
    let mut old = Batch::default();
    old.push(&Record { timestamp: 5, ..record("t", None, b"a") });
    log.append(&old).await.unwrap();
    drop(log);
    let log = EmbeddedLog::open(folder.path(), Some(HOUR), None).unwrap();
    settled(&log).await;
    assert_eq!(values(&log, "t").await, ["a"]);
}

#[tokio::test]
async fn what_stays_is_never_less_than_the_limit_of_size() {
    let folder = folder();
    let large = "x".repeat(700_000);
    let log = EmbeddedLog::open(folder.path(), None, Some(3_000_000)).unwrap();
    log.create_topics(&[spec("t", 1, &[]), spec("all", 1, &[("retention.bytes", "-1")])]).await.unwrap();
    for _ in 0..20 {
        log.append(&batch("t", &[&large])).await.unwrap();
        log.append(&batch("all", &[&large])).await.unwrap();
    }
    let (low, high) = ends(&log, "t").await[0];
    let kept = (high - low) * 700_000;
    // Less than another two chunks of 1 MiB and one record above it.
    assert!((3_000_000..6_600_000).contains(&kept), "{low} to {high}");
    assert_eq!(values(&log, "t").await.len(), usize::try_from(high - low).unwrap());
    assert_eq!(ends(&log, "all").await, [(0, 20)], "a topic's own setting wins");
}

#[tokio::test]
async fn a_topic_that_is_compacted_keeps_every_record() {
    let folder = folder();
    let log = open(&folder);
    log.create_topics(&[spec("t", 1, &[("cleanup.policy", "compact"), ("retention.ms", "1")])]).await.unwrap();
    log.append(&batch("t", &["a"])).await.unwrap();
    drop(log);
    age(&folder, 2 * HOUR);
    let log = EmbeddedLog::open(folder.path(), Some(HOUR), Some(1)).unwrap();
    settled(&log).await;
    assert_eq!(values(&log, "t").await, ["a"]);
}

#[tokio::test]
async fn a_sink_whose_place_was_removed_is_told_how_many_records_it_lost() {
    let folder = folder();
    let log = with_topic(&folder).await;
    log.append(&batch("t", &["a", "b", "c"])).await.unwrap();
    let mut lane = log.sink(&sink("k", 1, Start::Earliest)).await.unwrap().remove(0);
    let SinkEvent::Assigned(list) = lane.next(LIMITS, WAIT).await.unwrap() else { panic!("not assigned") };
    lane.commit(&[(list[0].partition.clone(), 1)]).await.unwrap();
    drop(lane);
    age(&folder, 2 * HOUR);
    log.append(&batch("t", &["d"])).await.unwrap();
    drop(log);
    let log = EmbeddedLog::open(folder.path(), Some(HOUR), None).unwrap();
    settled(&log).await;
    let mut lane = log.sink(&sink("k", 1, Start::Earliest)).await.unwrap().remove(0);
    let SinkEvent::Assigned(list) = lane.next(LIMITS, WAIT).await.unwrap() else { panic!("not assigned") };
    assert_eq!((list[0].committed, list[0].low, list[0].high), (Some(1), 3, 4));
    lane.begin(&[(list[0].partition.clone(), 1)]).await.unwrap();
    let SinkEvent::OutOfRange(at, Lost::Removed { low: 3, records: 2, text }) = lane.next(LIMITS, WAIT).await.unwrap() else {
        panic!("not out of range")
    };
    assert_eq!(at, list[0].partition);
    assert!(text.contains("removed 2 records"), "{text}");
    lane.begin(&[(at, 3)]).await.unwrap();
    let SinkEvent::Records(batch) = lane.next(LIMITS, WAIT).await.unwrap() else { panic!("no records") };
    assert_eq!(batch.records().map(|r| r.value.unwrap().to_vec()).collect::<Vec<_>>(), [b"d"]);
}

#[tokio::test]
async fn a_reader_passes_over_what_is_removed_under_it() {
    let folder = folder();
    let log = with_topic(&folder).await;
    log.append(&batch("t", &["a"])).await.unwrap();
    let mut reader = log.read("t", Start::Earliest).await.unwrap();
    beside(folder.path()).execute_batch("DELETE FROM records; DELETE FROM chunks; UPDATE partitions SET low = 1").unwrap();
    log.append(&batch("t", &["b"])).await.unwrap();
    let batch = reader.next(WAIT).await.unwrap();
    assert_eq!(batch.records().map(|r| r.offset).collect::<Vec<_>>(), [1]);
}
