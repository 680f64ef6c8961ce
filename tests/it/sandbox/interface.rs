//! The interface: what well-behaved guests see and say, and answers that it does not allow.

use super::*;
use wharf_runtime::guest::{SourceGuest, TransformGuest};
use wharf_runtime::topic_log::{BatchLimits, Position, TopicPartition};
use wharf_runtime::transform::delta::apply_delta;

const LIMITS: BatchLimits = BatchLimits { records: 10, bytes: 1_000, linger: Duration::ZERO };

async fn malformed(guests: &Arc<Guests>, fault: &str) -> SourceGuest {
    let mut source = SourceGuest::start(&load(guests, "malformed").await, nothing()).await.unwrap();
    source.open(context(&format!("\"{fault}\"")), &[]).await.unwrap();
    source
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_that_the_interface_does_not_allow_ends_the_instance_and_is_named() {
    let guests = guests();
    for (fault, named) in [
        ("column", "`timestamps` has 2 entries for 1 records"),
        ("arena", "`data` holds 3"),
        ("length", "length -7"),
        ("headers", "`header-lens` has 0 entries"),
        ("topic", "topic index 4"),
        ("reject-outside", "record 9 of 1"),
        ("reject-order", "out of order"),
        ("retry", "only reject is allowed"),
    ] {
        let mut source = malformed(&guests, fault).await;
        let (death, detail) = death(source.poll(LIMITS).await);
        assert_eq!(death, Death::Malformed, "{fault}");
        assert!(detail.contains(named), "{fault}: {detail}");
        assert_eq!(super::death(source.poll(LIMITS).await).0, Death::Cancelled, "{fault}");
    }
    assert_eq!(malformed(&guests, "none").await.poll(LIMITS).await.unwrap().records.len(), 1, "without a fault it is read");
}

#[tokio::test(flavor = "multi_thread")]
async fn source_hands_over_records_rejects_and_positions_and_goes_on_from_a_stored_one() {
    let guests = guests();
    let component = load(&guests, "echo-source").await;
    let config = r#"{"values":["a","unreadable:too wide","c"]}"#;
    let mut source = SourceGuest::start(&component, nothing()).await.unwrap();
    source.open(context(config), &[]).await.unwrap();
    let first = source.poll(LIMITS).await.unwrap();
    let record = first.records.records().next().unwrap();
    assert_eq!((record.key, record.value), (Some(&b"0"[..]), Some(&b"a"[..])));
    assert_eq!(record.headers, [(&b"echo"[..], Some(&b"yes"[..]))]);
    assert_eq!(first.positions, [Position { slice: "values".to_owned(), place: b"1".to_vec() }]);
    source.ack(first.positions.clone()).await.unwrap();
    let second = source.poll(LIMITS).await.unwrap();
    assert_eq!(rejections(&second.rejects), [("echo.unreadable", "too wide")]);
    source.close().await.unwrap();

    let mut later = SourceGuest::start(&component, nothing()).await.unwrap();
    later.open(context(config), &second.positions).await.unwrap();
    assert_eq!(later.poll(LIMITS).await.unwrap().records.records().next().unwrap().value, Some(&b"c"[..]));
    assert!(later.poll(LIMITS).await.unwrap().finished);
}

#[tokio::test(flavor = "multi_thread")]
async fn configuration_at_fault_is_fatal_and_names_the_key() {
    let guests = guests();
    let mut source = SourceGuest::start(&load(&guests, "echo-source").await, nothing()).await.unwrap();
    let refused = source.open(context(r#"{"values":["a",5]}"#), &[]).await.unwrap_err();
    assert!(matches!(&refused, GuestError::Fatal(m) if m.contains("`values[1]`")), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sink_without_own_offsets_keeps_none_and_flushes_nothing() {
    let guests = guests();
    let mut echo = sink(&load(&guests, "echo-sink").await, nothing()).await;
    let partitions = [TopicPartition { topic: "t".into(), partition: 0 }, TopicPartition { topic: "t".into(), partition: 1 }];
    assert_eq!(echo.assign(&partitions).await.unwrap(), [None, None]);
    assert!(!echo.write(&mut batch(&["a"])).await.unwrap().buffered);
    echo.flush().await.unwrap();
    echo.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn transform_keeps_splits_filters_and_rejects() {
    let guests = guests();
    let mut input = batch(&["one two", "", "three"]);
    input.push(&Record { value: Some(b"\xff"), ..record(3, "") });

    let mut identity = TransformGuest::start(&load(&guests, "identity").await, nothing()).await.unwrap();
    identity.open(context("{}")).await.unwrap();
    let delta = identity.apply(&mut input).await.unwrap();
    let same = apply_delta(&mut input.clone(), delta).unwrap();
    assert_eq!(same.records, input);

    let mut split = TransformGuest::start(&load(&guests, "split").await, nothing()).await.unwrap();
    split.open(context("{}")).await.unwrap();
    let delta = split.apply(&mut input).await.unwrap();
    let applied = apply_delta(&mut input, delta).unwrap();
    let words: Vec<_> = applied.records.records().map(|r| (r.offset, r.value.unwrap())).collect();
    assert_eq!(words, [(0, &b"one"[..]), (0, b"two"), (2, b"three")]);
    assert_eq!(applied.origin, [0, 0, 2]);
    assert_eq!(applied.rejects.iter().map(|r| (r.index, r.rejection.code.as_str())).collect::<Vec<_>>(), [(3, "split.text")]);
}
