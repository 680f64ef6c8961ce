//! Each record once, whatever comes again.

use std::time::Duration;

use wharf_sdk::Error;

use super::*;

#[test]
fn what_the_table_holds_is_not_written_again_and_what_it_lacks_is() {
    let fake = server();
    // Offset 1 was refused, and the worker killed before its dead letter was written.
    fake.borrow_mut().held = vec![(0, -1, 1), (2, -1, 1)];
    let outcomes = sink("").write(&batch(&[r#"{"id": 1}"#, r#"{"id": -2}"#, r#"{"id": 3}"#, r#"{"id": 4}"#])).unwrap();
    assert_eq!(codes(&outcomes, 4), ["", "clickhouse.type", "", ""], "its dead letter is written now");
    assert_eq!(sent(&fake), [vec![(4, 3)]]);
    let fake = server();
    fake.borrow_mut().held = vec![(0, -1, 1), (2, -1, 1)];
    assert!(sink("").write(&orders(&[1, 2, 3, 4])).unwrap().is_empty());
    assert_eq!(sent(&fake), [vec![(2, 1), (4, 3)]], "also of one that fits by now");
}

#[test]
fn the_table_is_asked_only_about_what_may_be_in_it() {
    let fake = server();
    let mut sink = sink("");
    for first in [0, 2, 4] {
        assert!(sink.write(&at(first, orders(&[1, 2]))).unwrap().is_empty());
    }
    let asked = |fake: &Shared| fake.borrow().queries.iter().filter(|query| query.contains("count()")).count();
    assert_eq!((sent(&fake).len(), asked(&fake)), (3, 0));
    // The same once more, from the log of a host that went back.
    fake.borrow_mut().held = (0..6).map(|offset| (offset, -1, 1)).collect();
    assert!(sink.write(&at(3, orders(&[1, 2]))).unwrap().is_empty());
    assert_eq!((sent(&fake).len(), asked(&fake)), (3, 1));
}

#[test]
fn after_an_unclear_answer_the_table_is_asked_before_anything_is_repeated() {
    let fake = server();
    fake.borrow_mut().refuse = Box::new(|_| Some(Err(Error::retry("connection reset"))));
    let mut sink = sink("");
    assert!(matches!(sink.write(&orders(&[1, 2])), Err(Error::Retry { .. })));
    // It had taken both.
    fake.borrow_mut().held = vec![(0, -1, 1), (1, -1, 1)];
    fake.borrow_mut().refuse = Box::new(|_| None);
    assert!(sink.write(&orders(&[1, 2, 3])).unwrap().is_empty());
    assert_eq!(sent(&fake), [vec![(1, 0), (2, 1)], vec![(3, 2)]]);
}

#[test]
fn an_insert_that_is_still_under_way_is_waited_for_before_the_table_is_asked() {
    let fake = server();
    fake.borrow_mut().under_way = vec!["wharf:events:1:7".to_owned()];
    let mut sink = sink("");
    for _ in 0..2 {
        let Err(Error::Retry { message, after }) = sink.write(&orders(&[1])) else { panic!("retry") };
        assert!(message.contains("(1, by `query_id`: wharf:events:1:7)") && after.is_some(), "{message}");
    }
    assert!(!fake.borrow().queries.iter().any(|query| query.contains("max(")), "it was asked too early");
    // Also by a comment, where a proxy gives them other ids: all of them are waited for before any table is asked.
    let asked = fake.borrow().queries.iter().find(|query| query.contains("system.processes")).cloned().unwrap();
    let comment = "(substring(query, 1, 12) = 'INSERT INTO ' AND position(query, '/* wharf:events */') > 0)";
    assert!(asked.contains("substring(query_id, 1, 13) = 'wharf:events:' OR ") && asked.contains(comment), "{asked}");
    // It has ended, and another task, which has other partitions, has begun one.
    fake.borrow_mut().under_way = vec!["wharf:events:2:1".to_owned()];
    fake.borrow_mut().held = vec![(0, -1, 1)];
    assert!(sink.write(&orders(&[1])).unwrap().is_empty());
    assert!(sent(&fake).is_empty());
}

#[test]
fn an_insert_whose_answer_did_not_come_is_waited_for_also_while_earlier_ones_are() {
    let fake = server();
    let mut sink = sink(r#", "tables": {"u": "others"}"#);
    let partition = |topic: &str| Partition { topic: topic.to_owned(), number: 0 };
    assert_eq!(sink.assign(&[partition("t"), partition("u")]), Ok(vec![None; 2]));
    assert!(sink.write(&orders(&[1])).unwrap().is_empty());
    fake.borrow_mut().under_way = vec!["wharf:events:1:7".to_owned()];
    // Something is decided, so that what is known of other partitions holds.
    let other = testing::batch("u", [(None, Some(r#"{"id": 1}"#)), (None, Some(r#"{"id": -1}"#))]);
    assert_eq!(codes(&sink.write(&other).unwrap(), 2), ["retry", "clickhouse.type"]);
    fake.borrow_mut().refuse = Box::new(|_| Some(Err(Error::retry("timed out"))));
    assert!(sink.write(&at(1, orders(&[2]))).is_err());
    // That one is under way now, the other has ended.
    fake.borrow_mut().under_way = vec!["wharf:events:2:2".to_owned()];
    fake.borrow_mut().refuse = Box::new(|_| None);
    assert!(matches!(sink.write(&at(1, orders(&[2]))), Err(Error::Retry { message, .. }) if message.contains("(1, by")));
    fake.borrow_mut().under_way.clear();
    fake.borrow_mut().held = vec![(0, -1, 1), (1, -1, 1)];
    assert!(sink.write(&at(1, orders(&[2]))).unwrap().is_empty());
    assert_eq!(sent(&fake), [vec![(1, 0)], vec![(2, 1)]]);
}

#[test]
fn inserts_that_may_not_be_seen_are_not_waited_for() {
    let fake = server();
    let denied =
        "Code: 497. DB::Exception: wharf: Not enough privileges. To execute this query it's necessary to have grant SELECT";
    fake.borrow_mut().failing = Some(("system.processes", 403, denied));
    assert!(sink("").write(&orders(&[1])).unwrap().is_empty());
    assert_eq!(sent(&fake), [vec![(1, 0)]]);
}

#[test]
fn what_another_worker_has_written_meanwhile_is_not_written_again_when_its_partition_comes() {
    let fake = server();
    let mut sink = sink("");
    assert!(sink.write(&orders(&[1])).unwrap().is_empty());
    assert_eq!(sink.assign(&[]), Ok(vec![]));
    fake.borrow_mut().held = (0..4).map(|offset| (offset, -1, 1)).collect();
    assert_eq!(sink.assign(&[Partition { topic: "t".to_owned(), number: 0 }]), Ok(vec![None]));
    assert!(sink.write(&at(1, orders(&[2, 3, 4, 5]))).unwrap().is_empty());
    assert_eq!(sent(&fake), [vec![(1, 0)], vec![(5, 4)]]);
}

/// Longer than `LIMITED` allows.
const PAUSE: Duration = Duration::from_millis(600);
const LIMITED: Duration = Duration::from_millis(500);

fn limited() -> ClickHouse {
    let mut sink = sink("");
    (sink.places.limit, sink.server.limit) = (LIMITED, LIMITED);
    sink
}

/// Why the call as a whole comes again.
fn again(written: Result<Outcomes>) -> String {
    match written {
        Err(Error::Retry { message, .. }) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_worker_that_stood_still_before_an_insert_asks_what_another_has_written_meanwhile() {
    // While it asks, and before it asks, where it knows from an earlier call.
    for words in ["max(", "DESCRIBE"] {
        let fake = server();
        let mut sink = limited();
        if words == "DESCRIBE" {
            assert!(sink.write(&orders(&[1])).unwrap().is_empty());
        } else {
            fake.borrow_mut().inserts.push(Insert { url: String::new(), statement: String::new(), body: row(1, 0) });
        }
        fake.borrow_mut().slow = vec![(words, PAUSE)];
        fake.borrow_mut().meanwhile = Some(vec![(0, -1, 1), (1, -1, 1)]);
        again(sink.write(&at(1, orders(&[2, 3]))));
        assert!(sink.write(&at(1, orders(&[2, 3]))).unwrap().is_empty());
        assert_eq!(sent(&fake), [vec![(1, 0)], vec![(3, 2)]], "{words}");
    }
}

#[test]
fn a_worker_that_stood_still_between_two_calls_asks_what_another_has_written_meanwhile() {
    let fake = server();
    let mut sink = limited();
    assert!(sink.write(&orders(&[1])).unwrap().is_empty());
    std::thread::sleep(PAUSE);
    fake.borrow_mut().held = vec![(0, -1, 1), (1, -1, 1)];
    assert!(sink.write(&at(1, orders(&[2, 3]))).unwrap().is_empty());
    assert_eq!(sent(&fake), [vec![(1, 0)], vec![(3, 2)]]);
}

#[test]
fn after_a_call_that_failed_before_it_asked_the_table_is_asked() {
    let fake = server();
    let mut sink = sink("");
    assert!(sink.write(&orders(&[1])).unwrap().is_empty());
    fake.borrow_mut().failing = Some(("DESCRIBE", 503, "busy"));
    assert!(matches!(sink.write(&at(1, orders(&[2]))), Err(Error::Retry { .. })));
    fake.borrow_mut().failing = None;
    fake.borrow_mut().held = vec![(0, -1, 1), (1, -1, 1)];
    assert!(sink.write(&at(1, orders(&[2, 3]))).unwrap().is_empty());
    assert_eq!(sent(&fake), [vec![(1, 0)], vec![(3, 2)]]);
}

#[test]
fn a_call_whose_insert_took_long_sends_no_other_and_one_that_was_refused_is_asked_for() {
    let fake = server();
    let mut sink = limited();
    fake.borrow_mut().slow = vec![("RowBinary", PAUSE)];
    let values = batch(&[r#"{"id": 1}"#, r#"{"id": 2, "noted": 5}"#, r#"{"id": 3, "noted": 5}"#]);
    assert_eq!(codes(&sink.write(&values).unwrap(), 3), ["", "retry", "retry"]);
    assert_eq!(sent(&fake).len(), 1);
    // Refused as slowly: halves of it come next, else no call would come to an end.
    fake.borrow_mut().slow = vec![("RowBinary", PAUSE)];
    fake.borrow_mut().refuse = Box::new(|body| (body.len() > row(0, 0).len()).then(|| Ok(Response::new(500, SIZES))));
    assert!(again(sink.write(&at(1, orders(&[4, 5])))).contains("ch:8123 is slow"));
    assert!(sink.write(&at(1, orders(&[4, 5]))).unwrap().is_empty());
    assert_eq!(sent(&fake)[1..], [vec![(4, 1), (5, 2)], vec![(4, 1)], vec![(5, 2)]]);
    // Once that is done, they are as large as before.
    fake.borrow_mut().refuse = Box::new(|_| None);
    assert!(sink.write(&at(3, orders(&[6, 7]))).unwrap().is_empty());
    assert_eq!(sent(&fake)[4..], [vec![(6, 3), (7, 4)]]);
}

#[test]
fn what_a_table_took_long_to_tell_after_a_refusal_is_asked_again_before_anything_is_sent() {
    let fake = server();
    let mut sink = limited();
    fake.borrow_mut().refuse = Box::new(|body| (body.len() > row(0, 0).len()).then(|| Ok(Response::new(500, SIZES))));
    fake.borrow_mut().slow = vec![("count()", PAUSE)];
    fake.borrow_mut().meanwhile = Some(vec![(0, -1, 1)]);
    assert!(again(sink.write(&orders(&[1, 2]))).contains("is slow"));
    assert!(sink.write(&orders(&[1, 2])).unwrap().is_empty());
    assert_eq!(sent(&fake), [vec![(1, 0), (2, 1)], vec![(2, 1)]]);
}

#[test]
fn before_a_refused_insert_that_took_long_is_sent_in_parts_those_of_another_worker_are_waited_for() {
    let fake = server();
    let mut sink = limited();
    assert!(sink.write(&orders(&[1])).unwrap().is_empty());
    fake.borrow_mut().slow = vec![("RowBinary", PAUSE)];
    fake.borrow_mut().refuse = Box::new(|body| (body.len() > row(0, 0).len()).then(|| Ok(Response::new(500, SIZES))));
    fake.borrow_mut().under_way = vec!["wharf:events:1:7".to_owned()];
    assert!(again(sink.write(&at(1, orders(&[2, 3])))).contains("is slow"));
    assert!(again(sink.write(&at(1, orders(&[2, 3])))).contains("still under way"));
    fake.borrow_mut().under_way.clear();
    fake.borrow_mut().held = vec![(0, -1, 1), (1, -1, 1), (2, -1, 1)];
    assert!(sink.write(&at(1, orders(&[2, 3]))).unwrap().is_empty());
    assert_eq!(sent(&fake), [vec![(1, 0)], vec![(2, 1), (3, 2)]]);
}

#[test]
fn a_table_that_is_slow_to_tell_its_highest_offsets_is_asked_for_the_records_and_where_that_is_slow_too_it_says_what_helps() {
    let fake = server();
    let mut sink = limited();
    fake.borrow_mut().slow = vec![("max(", PAUSE); 2];
    assert!(again(sink.write(&orders(&[1, 2]))).contains("ADD INDEX places `_offset`"));
    for first in [0, 2] {
        assert!(sink.write(&at(first, orders(&[1, 2]))).unwrap().is_empty());
        std::thread::sleep(PAUSE);
    }
    assert_eq!(sent(&fake), [vec![(1, 0), (2, 1)], vec![(1, 2), (2, 3)]]);
    fake.borrow_mut().slow.push(("count()", PAUSE));
    let message = again(sink.write(&at(4, orders(&[1, 2]))));
    assert!(message.contains("`default`.`orders` took") && message.contains("ADD INDEX places `_offset`"), "{message}");
    assert_eq!((sent(&fake).len(), fake.borrow().slow.len()), (2, 1), "the highest offsets were asked for once");
}

#[test]
fn a_call_that_finds_bad_records_ends_in_time_and_what_is_left_comes_again() {
    let fake = server();
    let mut sink = limited();
    fake.borrow_mut().slow = vec![("RowBinary", PAUSE / 2); 4];
    let bad = |body: &[u8]| body.chunks(row(0, 0).len()).any(|row| row[..4] == 2_u32.to_le_bytes());
    fake.borrow_mut().refuse = Box::new(move |body| bad(body).then(|| Ok(Response::new(500, SIZES))));
    // All of them and the first half are refused; the halves of that come next.
    again(sink.write(&orders(&[1, 2, 3, 4])));
    assert_eq!(codes(&sink.write(&orders(&[1, 2, 3, 4])).unwrap(), 4), ["", "retry", "retry", "retry"]);
    assert_eq!(codes(&sink.write(&at(1, orders(&[2, 3, 4]))).unwrap(), 3), ["clickhouse.190", "", ""]);
    let ids: Vec<Vec<u32>> = sent(&fake).iter().map(|insert| insert.iter().map(|(id, _)| *id).collect()).collect();
    assert_eq!(ids, [vec![1, 2, 3, 4], vec![1, 2], vec![1], vec![2], vec![2], vec![3], vec![4]]);
}

#[test]
fn smaller_inserts_leave_together_what_a_record_was_split_to() {
    let fake = server();
    let mut sink = sink("");
    sink.most = 1;
    let mut raw: wharf_sdk::__private::types::Batch = orders(&[1, 2, 3, 4]).into();
    raw.offsets = vec![0, 1, 1, 2];
    assert!(sink.write(&raw.into()).unwrap().is_empty());
    assert_eq!(sent(&fake), [vec![(1, 0)], vec![(2, 1), (3, 1)], vec![(4, 2)]]);
}

#[test]
fn a_server_that_is_slow_with_each_answer_gets_no_insert_late_in_a_call() {
    let fake = server();
    let mut sink = limited();
    fake.borrow_mut().slow = vec![("DESCRIBE", PAUSE / 2), ("max(", PAUSE / 2)];
    assert!(again(sink.write(&orders(&[1]))).contains("ch:8123 is slow: after 0 s of a call nothing more is sent"));
    assert!(sent(&fake).is_empty());
    assert!(sink.write(&orders(&[1])).unwrap().is_empty());
    assert_eq!(sent(&fake), [vec![(1, 0)]]);
}

#[test]
fn after_a_pause_the_inserts_of_then_are_waited_for() {
    let fake = server();
    let mut sink = limited();
    fake.borrow_mut().under_way = vec!["wharf:events:1:7".to_owned()];
    again(sink.write(&orders(&[1])));
    std::thread::sleep(PAUSE);
    // Another worker has had the partition meanwhile.
    fake.borrow_mut().under_way = vec!["wharf:events:2:1".to_owned()];
    assert!(again(sink.write(&orders(&[1]))).contains("wharf:events:2:1"));
    fake.borrow_mut().under_way.clear();
    fake.borrow_mut().held = vec![(0, -1, 1)];
    assert!(sink.write(&orders(&[1])).unwrap().is_empty());
    assert!(sent(&fake).is_empty());
}

#[test]
fn more_records_than_one_query_asks_for_are_all_found() {
    let fake = server();
    fake.borrow_mut().held = (0..12_000).filter(|offset| *offset != 7_000).map(|offset| (offset, -1, 1)).collect();
    let ids: Vec<u32> = (0..12_001).collect();
    assert!(sink("").write(&orders(&ids)).unwrap().is_empty());
    assert_eq!(sent(&fake), [vec![(7_000, 7_000), (12_000, 12_000)]]);
}

#[test]
fn rows_of_another_topic_of_that_name_are_not_taken_for_these() {
    let fake = server();
    fake.borrow_mut().held = vec![(0, 1_700_000_000_000, 1)];
    let Err(Error::Fatal(text)) = sink("").write(&orders(&[1])) else { panic!("fatal") };
    assert!(text.contains("another topic of that name") && text.contains("`orders`"), "{text}");
    assert!(sent(&fake).is_empty());
}

#[test]
fn what_a_refused_insert_may_have_left_is_asked_for_when_it_comes_again() {
    let fake = server();
    let mut sink = sink("");
    assert!(sink.write(&orders(&[1])).unwrap().is_empty());
    fake.borrow_mut().refuse = Box::new(|_| Some(Ok(Response::new(500, SIZES))));
    assert_eq!(codes(&sink.write(&at(1, orders(&[2]))).unwrap(), 1), ["clickhouse.190"]);
    // Taken all the same, after it was asked for; then it comes once more without a new assignment.
    fake.borrow_mut().held = vec![(0, -1, 1), (1, -1, 1)];
    fake.borrow_mut().refuse = Box::new(|_| None);
    assert!(sink.write(&at(1, orders(&[2, 3]))).unwrap().is_empty());
    assert_eq!(sent(&fake), [vec![(1, 0)], vec![(2, 1)], vec![(3, 2)]]);
}

#[test]
fn offsets_of_a_topic_that_was_routed_to_another_name_are_not_taken_for_those_of_that_name() {
    let fake = server();
    let routed = testing::batch("elsewhere", [(None, Some(r#"{"id": 1}"#))]);
    let Err(Error::Fatal(text)) = sink("").write(&routed) else { panic!("fatal") };
    assert!(text.contains("`elsewhere`") && text.contains("deduplicate = \"none\""), "{text}");
    assert!(sent(&fake).is_empty());
    assert!(sink(r#", "deduplicate": "none""#).write(&routed).unwrap().is_empty());
}

/// Orders of these numbers that one record, at offset 0, was split to.
fn split(ids: &[u32]) -> Batch {
    let mut raw: wharf_sdk::__private::types::Batch = orders(ids).into();
    raw.offsets = vec![0; ids.len()];
    raw.into()
}

#[test]
fn what_a_record_was_split_to_is_written_together_or_not_at_all() {
    let fake = server();
    fake.borrow_mut().refuse = Box::new(|body| (body.len() > row(0, 0).len()).then(|| Ok(Response::new(500, SIZES))));
    assert_eq!(codes(&sink("").write(&split(&[1, 2])).unwrap(), 2), ["clickhouse.190"; 2]);
    assert_eq!(sent(&fake).len(), 1, "no part of it was tried alone");

    let fake = server();
    fake.borrow_mut().held = vec![(0, -1, 2)];
    assert!(sink("").write(&split(&[1, 2])).unwrap().is_empty());
    assert!(sent(&fake).is_empty());

    fake.borrow_mut().held = vec![(0, -1, 1)];
    let Err(Error::Fatal(text)) = sink("").write(&split(&[1, 2])) else { panic!("fatal") };
    assert!(text.contains("1 of the 2 rows") && text.contains("t/0/0"), "{text}");
}

#[test]
fn parts_of_a_record_that_cannot_be_written_together_are_rejected() {
    let fake = server();
    let mut raw: wharf_sdk::__private::types::Batch = batch(&[r#"{"id": 1}"#, r#"{"id": 2, "noted": 5}"#]).into();
    raw.offsets = vec![0; 2];
    assert_eq!(codes(&sink("").write(&raw.into()).unwrap(), 2), ["", "clickhouse.split"]);
    assert_eq!(sent(&fake), [vec![(1, 0)]]);
}
