//! Polls that are gathered into one transaction.
use super::*;

/// As a guest may hand it over: only the columns that say something.
fn polled(values: &[&str]) -> Polled {
    let lens = values.iter().map(|v| i32::try_from(v.len()).unwrap()).collect();
    let records =
        Batch { data: values.concat().into_bytes(), key_lens: vec![-1; values.len()], value_lens: lens, ..Batch::default() };
    Polled { records, ..Polled::default() }
}

fn position(slice: &str, place: &[u8]) -> Position {
    Position { slice: slice.to_owned(), place: place.to_vec() }
}

#[test]
fn records_of_all_polls_go_to_the_configured_topic() {
    let mut open = Transaction::default();
    open.add(polled(&["a"]), "orders");
    open.add(polled(&["b", "c"]), "orders");
    assert_eq!(open.records.check(), Ok(()));
    let topics: Vec<_> = open.records.records().map(|r| (r.topic.to_owned(), r.value.unwrap().to_vec())).collect();
    assert_eq!(topics, [b"a", b"b", b"c"].map(|v| ("orders".to_owned(), v.to_vec())));
}

#[test]
fn a_time_stays_with_its_record_when_another_poll_has_none() {
    let mut open = Transaction::default();
    open.add(polled(&["a", "b"]), "orders");
    let mut timed = polled(&["c"]);
    timed.records.timestamps = vec![5];
    open.add(timed, "orders");
    let times: Vec<_> = open.records.records().map(|r| r.timestamp).collect();
    assert!(times[0] > 1_700_000_000_000 && times[1] == times[0], "{times:?}");
    assert_eq!(times[2], 5);
}

#[test]
fn topics_that_a_source_names_itself_are_kept() {
    let mut named = polled(&["a", "b"]);
    named.records.topics = vec!["x".to_owned(), "y".to_owned()];
    named.records.topic_of = vec![1, 0];
    let mut open = Transaction::default();
    open.add(named, "orders");
    open.add(polled(&["c"]), "orders");
    assert_eq!(open.records.records().map(|r| r.topic.to_owned()).collect::<Vec<_>>(), ["y", "x", "orders"]);
}

#[test]
fn what_a_source_says_of_places_in_the_log_is_not_believed() {
    let mut placed = polled(&["a"]);
    (placed.records.partitions, placed.records.offsets, placed.records.attempts) = (vec![3], vec![99], vec![7]);
    let mut open = Transaction::default();
    open.add(placed, "orders");
    let record = open.records.records().next().unwrap();
    assert_eq!((record.partition, record.offset, record.attempt), (-1, -1, 1));
}

#[test]
fn rejects_of_a_later_poll_point_at_its_records() {
    let mut open = Transaction::default();
    open.add(polled(&["a", "b"]), "orders");
    let mut bad = polled(&["c", "d"]);
    bad.rejects = vec![Outcome { index: 1, verdict: Verdict::Reject(Rejection::new("csv.width", "m")) }];
    open.add(bad, "orders");
    assert_eq!(open.rejects.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [3]);
}

#[test]
fn the_last_place_of_each_slice_counts() {
    let mut open = Transaction::default();
    for positions in [vec![position("a", b"1"), position("b", b"1")], vec![position("a", b"2")]] {
        open.add(Polled { positions, ..Polled::default() }, "orders");
    }
    assert_eq!(open.positions, [position("a", b"2"), position("b", b"1")]);
    assert!(!open.is_empty(), "a position without a record moves too");
}

#[test]
fn a_poll_is_asked_for_no_more_than_there_is_room_for() {
    let bounds = Batching { records: 3, bytes: 10, linger: Duration::from_millis(100) };
    let mut open = Transaction::default();
    assert_eq!(open.room(&bounds, None), BatchLimits { records: 3, bytes: 10, linger: POLL.linger });
    open.add(polled(&["abcd", "e"]), "orders");
    let room = open.room(&bounds, Some(Instant::now()));
    assert_eq!((room.records, room.bytes), (1, 5));
    assert!(room.linger <= bounds.linger);
    assert!(!open.is_full(&bounds, Some(Instant::now())));
    open.add(polled(&["f"]), "orders");
    assert!(open.is_full(&bounds, Some(Instant::now())));
}
