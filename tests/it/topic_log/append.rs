//! Appending outside a transaction, topics and partitions.

use std::collections::{BTreeMap, BTreeSet};

use wharf_runtime::batch::Record;
use wharf_runtime::topic_log::{LogError, TopicSpec};

use super::bench::{Bench, batch, record, write_numbers};

pub async fn records_arrive_byte_for_byte(bench: Bench) {
    let topic = bench.topic("bytes", 1).await;
    let headers: Vec<(&[u8], Option<&[u8]>)> = vec![
        (b"plain", Some(b"1")),
        (b"plain", Some(b"2")),
        (b"null", None),
        (b"empty", Some(b"")),
        (b"\xff\xfe", Some(b"\x00\x80")),
    ];
    let all = |key, value, headers| Record { key, value, headers, ..record(&topic, None, "") };
    let records = [
        all(None, Some(&b"no key"[..]), vec![]),
        all(Some(&b""[..]), Some(&b"empty key"[..]), vec![]),
        all(Some(&b"tombstone"[..]), None, vec![]),
        all(Some(&b"empty value"[..]), Some(&b""[..]), vec![]),
        all(Some(&b"\x00\xff\xc3"[..]), Some(&b"\x00\x01\xfe\xff"[..]), headers.clone()),
    ];
    assert_eq!(bench.append(&batch(&records)).await.unwrap(), []);
    let rows = bench.contents(&topic).await;
    let keys: Vec<_> = rows.iter().map(|row| row.key.as_deref()).collect();
    assert_eq!(keys, records.iter().map(|r| r.key).collect::<Vec<_>>());
    let values: Vec<_> = rows.iter().map(|row| row.value.as_deref()).collect();
    assert_eq!(values, records.iter().map(|r| r.value).collect::<Vec<_>>());
    let arrived: Vec<_> = rows[4].headers.iter().map(|(name, value)| (name.as_slice(), value.as_deref())).collect();
    assert_eq!(arrived, headers);
    assert!(rows[..4].iter().all(|row| row.headers.is_empty()));
    assert!(rows.iter().all(|row| row.timestamp == 1_700_000_000_000), "{rows:?}");
    assert_eq!(rows.iter().map(|row| row.offset).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

/// Partitions of ten that Apache Kafka's own console producer 4.3.1 chose for these keys.
const JAVA: [(&str, i32); 9] = [
    ("21", 0),
    ("foobar", 6),
    ("a-little-bit-long-string", 2),
    ("order-1", 6),
    ("order-2", 3),
    ("{\"ID\":42}", 1),
    ("Küche", 2),
    ("x", 6),
    ("", 1),
];

pub async fn keys_go_where_the_java_client_puts_them(bench: Bench) {
    let topic = bench.topic("keys", 10).await;
    let records: Vec<_> = JAVA.iter().map(|(key, _)| record(&topic, Some(key), "v")).collect();
    bench.append(&batch(&records)).await.unwrap();
    let mut log = bench.source(&bench.owner(0, 1)).await.unwrap();
    log.append(&batch(&records), &[]).await.unwrap();
    let found: Vec<_> = bench.contents(&topic).await.into_iter().map(|row| (row.key.unwrap(), row.at.partition)).collect();
    assert_eq!(found.len(), 2 * JAVA.len());
    for (key, partition) in found {
        let expected = JAVA.iter().find(|(k, _)| k.as_bytes() == key).unwrap().1;
        assert_eq!(partition, expected, "{}", String::from_utf8_lossy(&key));
    }
}

pub async fn records_without_a_key_reach_every_partition(bench: Bench) {
    let topic = bench.topic("spread", 3).await;
    for _ in 0..30 {
        let records: Vec<_> = (0..16).map(|_| record(&topic, None, "v")).collect();
        bench.append(&batch(&records)).await.unwrap();
    }
    let reached: BTreeSet<_> = bench.contents(&topic).await.iter().map(|row| row.at.partition).collect();
    assert_eq!(reached, BTreeSet::from([0, 1, 2]));
}

pub async fn an_oversize_record_is_refused_and_the_others_are_written(bench: Bench) {
    let topic = bench.topic_with("small", 1, &[("max.message.bytes", "3000")]).await;
    let large = "x".repeat(5000);
    let records = [record(&topic, Some("a"), "1"), record(&topic, Some("b"), &large), record(&topic, Some("c"), "3")];
    let refused = bench.append(&batch(&records)).await.unwrap();
    assert_eq!(refused.iter().map(|r| r.index).collect::<Vec<_>>(), [1]);
    assert!(refused[0].reason.contains("3000") && refused[0].reason.contains(&topic), "{}", refused[0].reason);
    let mut keys: Vec<_> = bench.contents(&topic).await.into_iter().map(|row| row.key.unwrap()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys, [b"a", b"c"]);
}

pub async fn a_topic_that_is_not_there_is_named(bench: Bench) {
    let missing = bench.name("missing");
    match bench.append(&batch(&[record(&missing, None, "v")])).await {
        Err(LogError::Fatal(text)) => assert!(text.contains(&missing) && text.contains("create"), "{text}"),
        other => panic!("{other:?}"),
    }
}

pub async fn a_topic_that_exists_is_left_as_it_is(bench: Bench) {
    let topic = bench.topic("once", 2).await;
    write_numbers(&*bench, &topic, 0..4).await;
    let before = bench.topics().await.unwrap();
    let spec = TopicSpec { name: topic.clone(), partitions: 5, replication: -1, config: BTreeMap::new() };
    bench.create_topics(&[spec]).await.unwrap();
    let find = |all: Vec<wharf_runtime::topic_log::TopicInfo>| all.into_iter().find(|t| t.name == topic).unwrap();
    assert_eq!(find(bench.topics().await.unwrap()), find(before));
}

pub async fn of_topics_asked_for_by_name_those_that_exist_are_told(bench: Bench) {
    let (one, two) = (bench.topic("one", 1).await, bench.topic("two", 3).await);
    write_numbers(&*bench, &two, 0..4).await;
    let long = "x".repeat(250);
    let found = bench.find_topics(&[&two, "is-not-there", "cannot be", "", "..", &long]).await.unwrap();
    let all = bench.topics().await.unwrap();
    assert_eq!(found, all.into_iter().filter(|topic| topic.name == two).collect::<Vec<_>>());
    assert_eq!(found[0].partitions.len(), 3);
    assert_eq!(bench.find_topics(&[]).await.unwrap(), []);
    assert_eq!(bench.find_topics(&[&one]).await.unwrap().len(), 1);
}

pub async fn a_topic_has_an_id_of_its_own_and_tells_its_ends(bench: Bench) {
    let (one, two) = (bench.topic("one", 1).await, bench.topic("two", 1).await);
    write_numbers(&*bench, &one, 0..7).await;
    let topics = bench.topics().await.unwrap();
    let find = |name: &str| topics.iter().find(|t| t.name == name).unwrap();
    assert_ne!(find(&one).id, find(&two).id);
    assert!(find(&one).id.len() >= 20, "{:?}", find(&one));
    let ends: Vec<_> = find(&one).partitions.iter().map(|p| (p.partition, p.low, p.high)).collect();
    assert_eq!(ends, [(0, 0, 7)]);
    let names: Vec<_> = topics.iter().map(|t| &t.name).collect();
    assert!(names.is_sorted() && names.iter().all(|name| !name.starts_with("__")), "{names:?}");
    assert_eq!(bench.id().await.unwrap(), bench.another().id().await.unwrap());
}
