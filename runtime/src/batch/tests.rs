//! Rules of the columnar layout.
use super::*;

fn record<'a>(topic: &'a str, key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Record<'a> {
    Record { topic, partition: 0, offset: 7, timestamp: 5, key, value, headers: Vec::new(), attempt: 1 }
}

#[test]
fn what_is_pushed_comes_back_byte_for_byte() {
    let mut with_headers = record("b", None, Some(b""));
    with_headers.headers = vec![(b"h\xff".as_slice(), None), (b"h", Some(b"v".as_slice()))];
    with_headers.attempt = 3;
    let records = [record("a", Some(b"k"), Some(b"v")), with_headers, record("a", Some(b""), None)];
    let mut batch = Batch::default();
    records.iter().for_each(|r| batch.push(r));
    assert_eq!(batch.check(), Ok(()));
    assert_eq!(batch.records().collect::<Vec<_>>(), records);
}

#[test]
fn null_and_empty_are_told_apart() {
    let mut batch = Batch::default();
    batch.push(&record("a", None, Some(b"")));
    let back = batch.records().next().unwrap();
    assert_eq!((back.key, back.value), (None, Some(b"".as_slice())));
}

#[test]
fn select_keeps_order_and_content() {
    let mut batch = Batch::default();
    for value in [b"1", b"2", b"3"] {
        batch.push(&record("a", None, Some(value)));
    }
    let odd = batch.select(|i| i != 1);
    assert_eq!(odd.records().map(|r| r.value.unwrap()).collect::<Vec<_>>(), [b"1", b"3"]);
}

#[test]
fn a_malformed_batch_is_refused_by_the_column_at_fault() {
    let mut batch = Batch::default();
    batch.push(&record("a", Some(b"k"), Some(b"v")));
    let broken = |change: fn(&mut Batch)| {
        let mut b = batch.clone();
        change(&mut b);
        b.check().unwrap_err()
    };
    assert_eq!(broken(|b| b.data.push(0)), Malformed::Arena { found: 2, expected: 3 });
    assert_eq!(broken(|b| b.key_lens[0] = -2), Malformed::Length(-2, "key-lens"));
    assert_eq!(broken(|b| b.key_lens.clear()), Malformed::Column { column: "key-lens", found: 0, expected: 1 });
    assert_eq!(broken(|b| b.header_counts = vec![1]), Malformed::Headers { found: 0, expected: 2 });
    assert_eq!(broken(|b| b.topic_of = vec![9]), Malformed::Topic { record: 0, index: 9, topics: 1 });
}
