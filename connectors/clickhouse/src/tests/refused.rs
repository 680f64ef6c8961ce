//! What the server refuses, and what it does not answer.

use std::time::Duration;

use wharf_sdk::Error;

use super::*;

/// Refuses an insert that holds the order of this number.
fn refuse(fake: &Shared, bad: u32) {
    fake.borrow_mut().refuse = Box::new(move |body| {
        let has = body.chunks(row(0, 0).len()).any(|row| row[..4] == bad.to_le_bytes());
        has.then(|| Ok(Response::new(500, SIZES)))
    });
}

#[test]
fn only_the_bad_record_of_a_refused_insert_is_rejected_and_the_others_keep_their_order() {
    let fake = server();
    refuse(&fake, 6);
    let outcomes = sink("").write(&orders(&[1, 2, 3, 4, 5, 6, 7, 8])).unwrap();
    assert_eq!(outcomes.len(), 1);
    let Some(Verdict::Reject(rejection)) = outcomes.get(5) else { panic!("{outcomes:?}") };
    assert_eq!(rejection.code, "clickhouse.190");
    assert!(rejection.message.starts_with("ch:8123 answers error 190: "), "{}", rejection.message);
    let taken: Vec<_> = sent(&fake).into_iter().filter(|insert| insert.iter().all(|(id, _)| *id != 6)).flatten().collect();
    assert_eq!(taken.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 7, 8]);
    assert_eq!(sent(&fake)[1], [(1, 0), (2, 1), (3, 2), (4, 3)], "the first half is sent as one");
}

#[test]
fn what_a_refused_insert_has_left_in_the_table_is_not_sent_again() {
    let fake = server();
    let mut sink = sink("");
    assert!(sink.write(&orders(&[9])).unwrap().is_empty());
    refuse(&fake, 2);
    // A table of several partitions has taken the first row before it refused the second.
    fake.borrow_mut().held = vec![(1, -1, 1)];
    let outcomes = sink.write(&at(1, orders(&[1, 2, 3]))).unwrap();
    assert_eq!(codes(&outcomes, 3), ["", "clickhouse.190", ""]);
    assert_eq!(sent(&fake).iter().flatten().filter(|(id, _)| *id == 1).count(), 1, "{:?}", sent(&fake));
}

#[test]
fn after_an_answer_that_means_later_nothing_more_is_sent_and_what_was_decided_holds() {
    let fake = server();
    let mut calls = 0;
    fake.borrow_mut().refuse = Box::new(move |_| {
        calls += 1;
        match calls {
            1 => Some(Ok(Response::new(500, SIZES))),
            2 => None,
            _ => Some(Ok(Response::new(503, "").with_header("Retry-After", "9"))),
        }
    });
    let outcomes = sink("").write(&orders(&[1, 2, 3, 4])).unwrap();
    let later = Some(&Verdict::Retry(Some(Duration::from_secs(9))));
    assert_eq!((outcomes.get(0), outcomes.get(1), outcomes.get(2), outcomes.get(3)), (None, None, later, later));
    assert_eq!(fake.borrow().inserts.len(), 3);
}

#[test]
fn records_of_a_refused_insert_come_again_where_the_table_does_not_tell_what_it_has_of_them() {
    let fake = server();
    let mut sink = sink("");
    assert!(sink.write(&orders(&[9])).unwrap().is_empty());
    refuse(&fake, 2);
    fake.borrow_mut().failing = Some(("count()", 503, "busy"));
    let outcomes = sink.write(&at(1, batch(&[r#"{"id": 1}"#, r#"{"id": 2}"#, r#"{"id": -3}"#]))).unwrap();
    assert_eq!(codes(&outcomes, 3), ["retry", "retry", "clickhouse.type"]);
    assert_eq!(sent(&fake).len(), 2);
}

#[test]
fn an_insert_that_no_record_is_at_fault_for_rejects_none_and_stops_the_sink() {
    let fake = server();
    let mut sink = sink("");
    fake.borrow_mut().refuse = Box::new(|_| Some(Ok(Response::new(401, WRONG_PASSWORD))));
    assert!(matches!(sink.write(&orders(&[1, 2])), Err(Error::Fatal(text)) if text.contains("[sink.auth.\"ch:8123\"]")));
    assert_eq!(sent(&fake).len(), 1);
}

#[test]
fn a_call_of_which_nothing_was_decided_comes_again_as_a_whole() {
    let fake = server();
    fake.borrow_mut().refuse = Box::new(|_| Some(Ok(Response::new(503, "busy").with_header("Retry-After", "3"))));
    let error = sink("").write(&orders(&[1, 2])).unwrap_err();
    assert_eq!(error, Error::retry("ch:8123 answers status 503: busy").after(Duration::from_secs(3)));
}

#[test]
fn refused_credentials_and_missing_tables_reject_no_record_and_stop_the_sink() {
    for (status, text, expected) in [(404, NO_TABLE, "create it"), (401, WRONG_PASSWORD, "[sink.auth.\"ch:8123\"]")] {
        let fake = server();
        fake.borrow_mut().described = (status, text.to_owned());
        let Err(Error::Fatal(told)) = sink("").write(&orders(&[1])) else { panic!("fatal") };
        assert!(told.contains(expected), "{told}");
        assert!(fake.borrow().inserts.is_empty());
    }
}

#[test]
fn an_answer_that_breaks_off_into_an_error_is_an_error() {
    let fake = server();
    fake.borrow_mut().described = (200, format!("{{\"meta\":\n{NO_TABLE}"));
    assert!(matches!(sink("").write(&orders(&[1])), Err(Error::Fatal(text)) if text.contains("error 60")));
}

#[test]
fn a_success_with_an_exception_in_its_headers_or_its_body_is_none_and_the_table_is_asked() {
    let answers: [fn() -> Response; 3] = [
        || Response::new(200, "").with_header("X-ClickHouse-Exception-Code", "209"),
        || Response::new(200, "Code: 209. DB::Exception: Timeout exceeded while reading from socket"),
        || Response::new(200, "<html>come back</html>"),
    ];
    for answer in answers {
        let fake = server();
        fake.borrow_mut().refuse = Box::new(move |_| Some(Ok(answer())));
        let mut sink = sink("");
        assert!(matches!(sink.write(&orders(&[1, 2])), Err(Error::Retry { message, .. }) if message.contains("ch:8123 answers")));
        // One of them is there.
        fake.borrow_mut().held = vec![(0, -1, 1)];
        fake.borrow_mut().refuse = Box::new(|_| None);
        assert!(sink.write(&orders(&[1, 2])).unwrap().is_empty());
        assert_eq!(sent(&fake), [vec![(1, 0), (2, 1)], vec![(2, 1)]]);
    }
}

#[test]
fn a_code_of_a_value_after_a_success_finds_its_record() {
    let fake = server();
    fake.borrow_mut().refuse =
        Box::new(|body| (body[..4] == 2_u32.to_le_bytes()).then(|| Ok(Response::new(200, SIZES.to_owned()))));
    let mut sink = sink("");
    assert_eq!(codes(&sink.write(&orders(&[2])).unwrap(), 1), ["clickhouse.190"]);
}

#[test]
fn an_answer_to_a_query_that_is_not_whole_does_not_pass_for_a_table_that_holds_nothing() {
    let whole = r#"{"meta":[],"data":[],"rows":0}"#;
    for text in [
        "",
        &whole[..20],
        r#"{"meta":[],"data":[],"rows":1}"#,
        r#"{"meta":[],"data":[],"rows":0,"exception":"Code: 241. DB::Exception: Memory limit (total) exceeded"}"#,
    ] {
        for words in ["max(", "count()", "DESCRIBE", "system.processes", "system.settings"] {
            let fake = server();
            let mut sink = sink("");
            fake.borrow_mut().held = vec![(0, -1, 1)];
            fake.borrow_mut().failing = Some((words, 200, text));
            assert!(matches!(sink.write(&orders(&[1])), Err(Error::Retry { .. })), "{words}: {text}");
            assert!(sent(&fake).is_empty());
        }
    }
    let fake = server();
    fake.borrow_mut().failing = Some(("max(", 200, "<html>log in</html>"));
    assert!(matches!(sink("").write(&orders(&[1])), Err(Error::Fatal(text)) if text.contains("`config.url`")));
}

#[test]
fn a_table_that_takes_none_of_many_records_stops_the_sink_and_a_few_bad_records_do_not() {
    let many: Vec<u32> = (0..20).collect();
    let fake = server();
    fake.borrow_mut().refuse = Box::new(|_| Some(Ok(Response::new(500, SIZES))));
    let Err(Error::Fatal(text)) = sink("").write(&orders(&many)) else { panic!("fatal") };
    assert!(text.contains("error 190") && text.contains("each of 20 records") && text.contains("batch = { records ="), "{text}");
    assert_eq!(codes(&sink("").write(&orders(&many[1..])).unwrap(), 19), ["clickhouse.190"; 19]);
    // One that is taken shows that it is the others.
    fake.borrow_mut().refuse = Box::new(|body| (body != row(20, 20)).then(|| Ok(Response::new(500, SIZES))));
    let outcomes = sink("").write(&orders(&(0..21).collect::<Vec<_>>())).unwrap();
    assert_eq!((outcomes.len(), outcomes.get(20)), (20, None));
    // So does one that is there from before a kill, after which the dead letters were not written.
    fake.borrow_mut().held = vec![(20, -1, 1)];
    fake.borrow_mut().refuse = Box::new(|_| Some(Ok(Response::new(500, SIZES))));
    assert_eq!(sink("").write(&orders(&(0..21).collect::<Vec<_>>())).unwrap().len(), 20);
    fake.borrow_mut().held.clear();
    // Two reasons are two kinds of records.
    fake.borrow_mut().refuse = Box::new(|body| {
        let text = if body.ends_with(&row(20, 20)) { "Code: 469. DB::Exception: Constraint `c` is violated" } else { SIZES };
        Some(Ok(Response::new(500, text)))
    });
    assert_eq!(sink("").write(&orders(&(0..21).collect::<Vec<_>>())).unwrap().len(), 21);
    // What a refused insert has left in the table it has taken.
    fake.borrow_mut().refuse = Box::new(|_| Some(Ok(Response::new(500, SIZES))));
    fake.borrow_mut().slow = vec![("RowBinary", Duration::ZERO)];
    fake.borrow_mut().meanwhile = Some(vec![(0, -1, 1)]);
    let outcomes = sink("").write(&orders(&(0..21).collect::<Vec<_>>())).unwrap();
    assert_eq!((outcomes.len(), outcomes.get(0)), (20, None));
}

#[test]
fn what_is_too_much_for_one_query_is_sent_in_parts_and_a_record_that_alone_is_comes_later() {
    let fake = server();
    let memory = "Code: 241. DB::Exception: Memory limit (for query) exceeded: would use 9.32 GiB";
    fake.borrow_mut().refuse = Box::new(move |body| (body.len() > row(0, 0).len()).then(|| Ok(Response::new(500, memory))));
    assert!(sink("").write(&orders(&[1, 2])).unwrap().is_empty());
    assert_eq!(sent(&fake), [vec![(1, 0), (2, 1)], vec![(1, 0)], vec![(2, 1)]]);
    fake.borrow_mut().refuse = Box::new(move |_| Some(Ok(Response::new(500, memory))));
    assert!(matches!(sink("").write(&orders(&[1, 2])), Err(Error::Retry { message, .. }) if message.contains("error 241")));
}

#[test]
fn a_body_that_is_too_long_on_the_way_is_sent_in_parts_and_a_record_that_alone_is_rejected() {
    let fake = server();
    let long = |body: &[u8]| body.len() > row(0, 0).len() || body[..4] == 2_u32.to_le_bytes();
    fake.borrow_mut().refuse = Box::new(move |body| long(body).then(|| Ok(Response::new(413, "<html>too large</html>"))));
    assert_eq!(codes(&sink("").write(&orders(&[1, 2])).unwrap(), 2), ["", "clickhouse.refused"]);
}
