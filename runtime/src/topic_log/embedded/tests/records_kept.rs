//! What a record is after it was written: byte for byte, in the partition of its key.
use super::*;
use crate::topic_log::partitioner::partition_of_key;

async fn all(log: &EmbeddedLog, topic: &str, start: Start) -> Vec<(i32, i64, Option<Vec<u8>>)> {
    let mut reader = log.read(topic, start).await.unwrap();
    let mut all = Vec::new();
    loop {
        let batch = reader.next(Duration::ZERO).await.unwrap();
        if batch.is_empty() {
            return all;
        }
        all.extend(batch.records().map(|r| (r.partition, r.offset, r.key.map(<[u8]>::to_vec))));
    }
}

#[tokio::test]
async fn a_record_comes_back_byte_for_byte() {
    let folder = folder();
    let log = with_topic(&folder).await;
    let headers = vec![(b"h\xff".as_slice(), None), (b"h", Some(b"".as_slice())), (b"", Some(b"v"))];
    let full = Record { headers, timestamp: 5, attempt: 9, ..record("t", Some(b"\x00\xff"), b"\xfe") };
    let tombstone = Record { value: None, timestamp: 6, ..record("t", Some(b""), b"") };
    let mut written = Batch::default();
    written.push(&full);
    written.push(&tombstone);
    log.append(&written).await.unwrap();
    let batch = log.read("t", Start::Earliest).await.unwrap().next(WAIT).await.unwrap();
    let expected = [Record { partition: 0, offset: 0, attempt: 1, ..full }, Record { partition: 0, offset: 1, ..tombstone }];
    assert_eq!(batch.records().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_record_without_a_time_has_that_of_its_append() {
    let folder = folder();
    let log = with_topic(&folder).await;
    let before = writer::now_ms();
    log.append(&batch("t", &["a"])).await.unwrap();
    let batch = log.read("t", Start::Earliest).await.unwrap().next(WAIT).await.unwrap();
    let time = batch.records().next().unwrap().timestamp;
    assert!((before..=writer::now_ms()).contains(&time));
}

#[tokio::test]
async fn a_key_decides_on_its_partition_whatever_place_it_came_from() {
    let folder = folder();
    let log = open(&folder);
    log.create_topics(&[spec("t", 7, &[])]).await.unwrap();
    let keys: Vec<String> = (0..100).map(|n| format!("key-{n}")).collect();
    let mut batch = Batch::default();
    for key in &keys {
        batch.push(&Record { partition: 3, offset: 99, ..record("t", Some(key.as_bytes()), b"v") });
    }
    log.append(&batch).await.unwrap();
    let got = all(&log, "t", Start::Earliest).await;
    assert_eq!(got.len(), 100);
    for (partition, _, key) in got {
        assert_eq!(partition, partition_of_key(&key.unwrap(), 7));
    }
}

#[tokio::test]
async fn records_without_a_key_reach_every_partition() {
    let folder = folder();
    let log = open(&folder);
    log.create_topics(&[spec("t", 4, &[])]).await.unwrap();
    for _ in 0..16 {
        log.append(&batch("t", &["v"; 20])).await.unwrap();
    }
    assert_eq!(ends(&log, "t").await, [(0, 80); 4]);
}

#[tokio::test]
async fn offsets_of_a_partition_have_no_gaps() {
    let folder = folder();
    let log = open(&folder);
    log.create_topics(&[spec("t", 3, &[])]).await.unwrap();
    for n in 0..50 {
        log.append(&batch("t", &vec!["v"; n % 7])).await.unwrap();
    }
    let got = all(&log, "t", Start::Earliest).await;
    for partition in 0..3 {
        let mut offsets: Vec<_> = got.iter().filter(|(p, ..)| *p == partition).map(|(_, offset, _)| *offset).collect();
        offsets.sort_unstable();
        assert_eq!(offsets, (0..i64::try_from(offsets.len()).unwrap()).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn reading_begins_at_the_first_record_of_a_time() {
    let folder = folder();
    let log = with_topic(&folder).await;
    for (value, timestamp) in [("a", 100), ("b", 300), ("c", 200), ("d", 400)] {
        let mut one = Batch::default();
        one.push(&Record { timestamp, ..record("t", None, value.as_bytes()) });
        log.append(&one).await.unwrap();
    }
    let offsets = |start| {
        let log = &log;
        async move { all(log, "t", start).await.into_iter().map(|(_, offset, _)| offset).collect::<Vec<_>>() }
    };
    assert_eq!(offsets(Start::At(0)).await, [0, 1, 2, 3]);
    assert_eq!(offsets(Start::At(150)).await, [1, 2, 3]);
    assert_eq!(offsets(Start::At(400)).await, [3]);
    assert_eq!(offsets(Start::At(401)).await, [0; 0], "nothing is that late: what comes next");
    assert_eq!(offsets(Start::Latest).await, [0; 0]);
}
