//! What answers lead to: of a whole request, and of each record alone.

use super::*;

const THREE: [&str; 3] = [r#"{"OrderID": "1"}"#, r#"{"OrderID": "2"}"#, r#"{"OrderID": "3"}"#];
const SAID: &str = r#"{"error": {"code": "V1/849", "message": {"lang": "en", "value": "Credit limit exceeded"}}}"#;

#[test]
fn a_refused_record_is_rejected_alone_with_what_the_service_says() {
    let (mut sink, _) = orders("", vec![answered(&[(204, ""), (422, SAID), (204, "")])]);
    let outcomes = sink.write(&values(&THREE)).unwrap();
    assert_eq!(told(&outcomes, 3), ["ok", "odata.422", "ok"]);
    assert_eq!(rejection(&outcomes, 1).message, "`OrderSet` answers 422: V1/849: Credit limit exceeded");
}

#[test]
fn what_a_cut_off_answer_does_not_tell_comes_again() {
    let (mut sink, arrived) = orders("", vec![cut_off(&[(204, ""), (400, SAID)])]);
    assert_eq!(told(&sink.write(&values(&THREE)).unwrap(), 3), ["ok", "odata.400", "retry 0"]);
    assert_eq!(arrived.borrow().len(), 2, "nothing more is sent");
}

#[test]
fn an_answer_that_tells_nothing_brings_the_whole_call_again() {
    for answer in
        [cut_off(&[]), answered(&[]), Response::new(200, "<html>Please sign in</html>").with_header("content-type", "text/html")]
    {
        let (mut sink, _) = orders("", vec![answer]);
        assert!(matches!(sink.write(&values(&THREE)), Err(Error::Retry { .. })));
    }
}

#[test]
fn after_a_service_that_stops_at_the_first_failure_the_rest_follows() {
    let answers = vec![answered(&[(204, ""), (400, SAID)]), answered(&[(204, "")])];
    let (mut sink, arrived) = orders("", answers);
    assert_eq!(told(&sink.write(&values(&THREE)).unwrap(), 3), ["ok", "odata.400", "ok"]);
    assert_eq!(asked(&arrived)[2], "MERGE OrderSet('3')");
}

#[test]
fn while_a_record_waits_nothing_newer_of_its_entity_is_sent() {
    let answers = vec![answered(&[(500, ""), (204, "")]), answered(&[(204, "")])];
    let (mut sink, arrived) = orders(r#", "batch": 2"#, answers);
    let records = [r#"{"OrderID": "a"}"#, r#"{"OrderID": "b"}"#, r#"{"OrderID": "A", "Lines": 2}"#, r#"{"OrderID": "c"}"#];
    assert_eq!(told(&sink.write(&values(&records)).unwrap(), 4), ["retry 0", "ok", "retry 0", "ok"]);
    assert_eq!(asked(&arrived)[1..], ["MERGE OrderSet('a'), MERGE OrderSet('b')", "MERGE OrderSet('c')"]);
}

#[test]
fn a_service_that_is_busy_is_left_alone_for_as_long_as_it_asks() {
    let busy = "--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 429 X\r\nRetry-After: 9\r\n\r\n\r\n";
    let ok = "--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 X\r\n\r\n\r\n";
    let answer = Response::new(202, format!("{ok}{busy}--b--\r\n")).with_header("content-type", "multipart/mixed; boundary=b");
    let (mut sink, arrived) = orders(r#", "batch": 2"#, vec![answer]);
    assert_eq!(told(&sink.write(&values(&THREE)).unwrap(), 3), ["ok", "retry 9", "retry 9"]);
    assert_eq!(arrived.borrow().len(), 2);
}

#[test]
fn a_batch_that_is_answered_with_later_comes_again_as_a_whole() {
    let (mut sink, _) = orders("", vec![Response::new(503, "").with_header("retry-after", "3")]);
    let error = sink.write(&values(&THREE)).unwrap_err();
    assert_eq!(error, Error::retry("https://erp.example.com/s answers 503 for $batch").after(Duration::from_secs(3)));
}

#[test]
fn of_a_refused_batch_only_the_bad_record_is_rejected() {
    let bad = || Response::new(400, SAID);
    let answers = vec![bad(), answered(&[(204, "")]), bad(), bad(), bad(), answered(&[(204, "")])];
    let (mut sink, arrived) = orders("", answers);
    assert_eq!(told(&sink.write(&values(&THREE)).unwrap(), 3), ["ok", "odata.400", "ok"]);
    let (two, three) = ("MERGE OrderSet('2')", "MERGE OrderSet('3')");
    let expected = ["MERGE OrderSet('1')", &format!("{two}, {three}"), two, two, three];
    assert_eq!(asked(&arrived)[2..], expected);
    assert!(arrived.borrow()[5].url.ends_with("/OrderSet('2')"), "judged by an answer of its own, outside of a batch");
}

#[test]
fn a_service_without_batch_is_sent_requests_one_by_one() {
    let ok = || Response::new(204, "");
    let answers = vec![Response::new(404, ""), Response::new(200, "{}"), ok(), Response::new(400, SAID), Response::new(503, "")];
    let (mut sink, arrived) = orders("", answers);
    assert_eq!(told(&sink.write(&values(&THREE)).unwrap(), 3), ["ok", "odata.400", "retry 0"]);
    let expected = ["MERGE OrderSet('1')", "MERGE OrderSet('2')", "MERGE OrderSet('3')"];
    assert_eq!(asked(&arrived)[3..], expected);
    assert_eq!(header(&arrived.borrow()[3], "x-csrf-token").as_deref(), Some("token-1"));
}

#[test]
fn a_page_in_place_of_an_answer_is_not_taken_for_a_write() {
    let page = || Response::new(200, "<html>Please sign in</html>").with_header("content-type", "text/html; charset=utf-8");
    let xhtml = || Response::new(200, "<?xml version='1.0'?><html/>").with_header("content-type", "application/xhtml+xml");
    for (config, page) in [("", page()), (r#", "write": "insert""#, page()), ("", xhtml()), ("", Response::new(200, "<html>"))] {
        let (mut sink, _) = orders(&format!(r#", "batch": 1{config}"#), vec![page]);
        let Err(Error::Retry { message, .. }) = sink.write(&values(&THREE[..1])) else { panic!("retry") };
        assert!(message.contains("in place of OData"), "{message}");
    }
    let (mut sink, _) = orders(r#", "batch": 1"#, vec![Response::new(204, ""), page()]);
    let records = testing::batch("t", [(None, Some(THREE[0])), (Some(r#""2""#), None)]);
    assert_eq!(told(&sink.write(&records).unwrap(), 2), ["ok", "retry 0"], "nor for a deletion");
    let entry = Response::new(201, "<entry/>").with_header("content-type", "application/atom+xml;type=entry");
    let (mut sink, _) = orders(r#", "batch": 1"#, vec![Response::new(200, ""), Response::new(404, ""), entry]);
    assert_eq!(told(&sink.write(&values(&THREE[..2])).unwrap(), 2), ["ok", "ok"], "an empty body and Atom are answers");
}

#[test]
fn a_call_ends_in_time_and_what_is_left_comes_again() {
    for (config, answers, requests) in [
        (r#", "batch": 1"#, vec![Response::new(204, "")], 2),
        (r#", "batch": 2"#, vec![answered(&[(204, "")])], 2),
        ("", vec![Response::new(404, ""), Response::new(200, "{}"), Response::new(204, "")], 4),
        ("", vec![Response::new(400, ""), answered(&[(204, "")])], 3),
    ] {
        let (mut sink, arrived) = orders(config, answers);
        sink.longest_call = Duration::ZERO;
        assert_eq!(told(&sink.write(&values(&THREE)).unwrap(), 3), ["ok", "retry 0", "retry 0"]);
        assert_eq!(arrived.borrow().len(), requests, "nothing more is sent");
    }
}

#[test]
fn half_of_a_refused_batch_is_not_sent_to_a_service_that_is_busy() {
    let (mut sink, arrived) = orders("", vec![Response::new(400, ""), answered(&[(429, "")])]);
    assert!(matches!(sink.write(&values(&THREE)), Err(Error::Retry { .. })));
    assert_eq!(arrived.borrow().len(), 3);
}

#[test]
fn a_record_whose_batch_is_refused_is_written_by_itself() {
    let (mut sink, _) = orders("", vec![Response::new(413, ""), Response::new(204, "")]);
    assert_eq!(told(&sink.write(&values(&THREE[..1])).unwrap(), 1), ["ok"]);
}

#[test]
fn a_batch_that_comes_to_nothing_is_halved_until_one_is_answered() {
    let answers = vec![Response::new(504, ""), answered(&[]), answered(&[(204, "")]), answered(&[(204, ""), (204, "")])];
    let (mut sink, arrived) = orders("", answers);
    let four = [THREE[0], THREE[1], THREE[2], r#"{"OrderID": "4"}"#];
    for _ in 0..2 {
        assert!(matches!(sink.write(&values(&four)), Err(Error::Retry { .. })));
    }
    assert_eq!(told(&sink.write(&values(&THREE)).unwrap(), 3), ["ok", "ok", "ok"]);
    let sizes: Vec<_> = (1..5).map(|number| bodies(&arrived, number).len()).collect();
    assert_eq!(sizes, [4, 2, 1, 2]);
}

#[test]
fn a_404_of_batch_while_the_service_is_away_is_waited_for() {
    let away = || [Response::new(404, ""), Response::new(404, "")];
    let answers = away().into_iter().chain([answered(&[(204, "")])]).chain(away()).chain(away()).chain(away());
    let (mut sink, arrived) = orders("", answers.collect());
    let one = values(&THREE[..1]);
    assert!(matches!(sink.write(&one), Err(Error::Retry { .. })));
    assert_eq!(told(&sink.write(&one).unwrap(), 1), ["ok"]);
    for _ in 0..3 {
        assert!(matches!(sink.write(&one), Err(Error::Retry { .. })));
    }
    assert_eq!(asked(&arrived)[1..4], ["MERGE OrderSet('1')", "GET OrderSet?$top=1", "MERGE OrderSet('1')"]);
}

#[test]
fn a_set_that_is_not_there_stops_the_sink_and_is_named() {
    let answers = vec![answered(&[(404, "")]), answered(&[(404, "")]), Response::new(404, "")];
    let (mut sink, _) = orders("", answers);
    let Err(Error::Fatal(text)) = sink.write(&values(&THREE[..1])) else { panic!("fatal") };
    assert!(text.contains("the entity set `OrderSet`") && text.contains("404"), "{text}");
}

#[test]
fn a_404_of_everything_while_the_service_is_away_decides_on_no_record() {
    let not_found = || answered(&[(404, ""), (404, "")]);
    let there = || Response::new(200, r#"{"value": []}"#);
    let page = Response::new(200, "<html>").with_header("content-type", "text/html");
    let tombstones = testing::batch("t", [(Some(r#""1""#), None), (Some(r#""2""#), None)]);
    let answers =
        vec![not_found(), there(), not_found(), Response::new(404, ""), not_found(), page, not_found(), Response::new(502, "")];
    let sign_in = Response::new(200, "<html>").with_header("content-type", "text/html");
    let (mut sink, _) = orders("", vec![not_found(), sign_in]);
    assert!(matches!(sink.write(&tombstones), Err(Error::Retry { .. })), "a page does not tell that there is no set");
    let (mut sink, _) = orders("", answers);
    assert_eq!(told(&sink.write(&tombstones).unwrap(), 2), ["ok", "ok"], "the set is there: they are gone");
    for _ in 0..3 {
        let answer = sink.write(&tombstones);
        assert!(matches!(answer, Err(Error::Retry { .. })), "{answer:?}");
    }
    let answers = vec![not_found(), there(), not_found(), Response::new(404, "")];
    let (mut sink, _) = orders(r#", "write": "update""#, answers);
    assert_eq!(told(&sink.write(&values(&THREE[..2])).unwrap(), 2), ["odata.missing", "odata.missing"]);
    assert!(matches!(sink.write(&values(&THREE[..2])), Err(Error::Retry { .. })), "asked anew");
}

#[test]
fn what_can_neither_be_created_nor_changed_is_rejected_for_the_reason_of_the_creation() {
    let answers = vec![answered(&[(404, "")]), answered(&[(409, SAID)]), answered(&[(404, "")]), Response::new(200, "{}")];
    let (mut sink, _) = orders("", answers);
    let outcomes = sink.write(&values(&THREE[..1])).unwrap();
    assert_eq!(rejection(&outcomes, 0).message, "`OrderSet` answers 409: V1/849: Credit limit exceeded");
}

#[test]
fn a_record_that_is_answered_with_404_in_a_set_that_is_there_is_rejected_alone() {
    let answers = vec![answered(&[(404, ""), (204, "")]), answered(&[(404, SAID)]), Response::new(200, "{}")];
    let (mut sink, _) = orders("", answers);
    assert_eq!(told(&sink.write(&values(&THREE[..2])).unwrap(), 2), ["odata.404", "ok"]);
}

#[test]
fn redirects_and_methods_that_are_not_taken_stop_the_sink() {
    let moved = Response::new(308, "").with_header("location", "https://new.example.com/x?y");
    for (answer, expected) in
        [(moved, "redirects to new.example.com (308)"), (answered(&[(405, "")]), "answers 405 for `OrderSet`")]
    {
        let (mut sink, _) = orders("", vec![answer]);
        let Err(Error::Fatal(text)) = sink.write(&values(&THREE[..1])) else { panic!("fatal") };
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn an_insert_that_finds_its_own_entity_was_delivered_before() {
    let found = |total: &str, lines: u32| {
        let entity = format!(
            r#"{{"d": {{"__metadata": {{"uri": "x"}}, "OrderID": "1", "Total": "{total}", "Lines": {lines}, "Paid": false}}}}"#
        );
        vec![answered(&[(400, SAID)]), answered(&[(200, &entity)])]
    };
    let record = values(&[r#"{"OrderID": "1", "Total": "1.5", "Lines": 3, "Paid": null}"#]);
    for (answers, expected) in [
        (found("1.500", 3), "ok"),
        (found("1.501", 3), "odata.exists"),
        (found("1.500", 4), "odata.exists"),
        (vec![answered(&[(400, SAID)]), answered(&[(404, "")]), Response::new(200, "{}")], "odata.400"),
    ] {
        let (mut sink, arrived) = orders(r#", "write": "insert""#, answers);
        assert_eq!(told(&sink.write(&record).unwrap(), 1), [expected]);
        assert_eq!(asked(&arrived)[1..3], ["POST OrderSet", "GET OrderSet('1')"]);
    }
}

#[test]
fn an_insert_that_comes_a_second_time_is_asked_for_before_it_is_repeated() {
    let there = r#"{"d": {"OrderID": "1", "Lines": 1}}"#;
    let answers = vec![answered(&[(200, there), (404, ""), (200, there)]), answered(&[(201, "{}")])];
    let (mut sink, arrived) = orders(r#", "write": "insert""#, answers);
    let records = values(&[r#"{"OrderID": "1", "Lines": 1}"#, r#"{"OrderID": "2"}"#, r#"{"OrderID": "3", "Lines": 2}"#]);
    let mut again: wharf_sdk::__private::types::Batch = records.into();
    again.attempts = vec![2; 3];
    assert_eq!(told(&sink.write(&again.into()).unwrap(), 3), ["ok", "ok", "odata.exists"]);
    assert_eq!(asked(&arrived)[1..], ["GET OrderSet('1'), GET OrderSet('2'), GET OrderSet('3')", "POST OrderSet"]);
}

#[test]
fn an_etag_that_no_longer_holds_is_a_conflict_of_that_record() {
    let answers = vec![answered(&[(204, ""), (412, SAID), (404, "")]), Response::new(200, "{}"), answered(&[(200, "{}")])];
    let (mut sink, arrived) = orders(r#", "etag": "match", "etag-field": "etag""#, answers);
    let of = |id: u32| format!(r#"{{"OrderID": "{id}", "etag": "W/\"{id}\""}}"#);
    let records = [of(1), of(2), of(3)];
    let outcomes = sink.write(&values(&records.each_ref().map(String::as_str))).unwrap();
    assert_eq!(told(&outcomes, 3), ["ok", "odata.conflict", "odata.conflict"]);
    let body = String::from_utf8(arrived.borrow()[1].body.clone()).unwrap();
    assert!(
        body.contains("If-Match: W/\"1\"\r\n") && body.contains("If-Match: W/\"2\"\r\n") && !body.contains("If-Match: *"),
        "{body}"
    );
    assert_eq!(bodies(&arrived, 1), ["{}"; 3], "the ETag is not written");
}

#[test]
fn a_record_without_an_etag_only_creates() {
    let answers = vec![answered(&[(201, "{}"), (409, SAID)]), answered(&[(200, "{}")])];
    let (mut sink, arrived) = orders(r#", "etag": "match""#, answers);
    let outcomes = sink.write(&values(&[r#"{"OrderID": "1"}"#, r#"{"OrderID": "2", "@odata.etag": null}"#])).unwrap();
    assert_eq!(told(&outcomes, 2), ["ok", "odata.conflict"]);
    assert_eq!(asked(&arrived)[1], "POST OrderSet, POST OrderSet");
}

#[test]
fn a_tombstone_takes_its_etag_from_a_header_and_deletes_nothing_without_one() {
    let (mut sink, arrived) = orders(r#", "etag": "match""#, vec![answered(&[(412, "")]), answered(&[(200, "{}")])]);
    let mut records = Records::new();
    records.push(NewRecord::new().topic("t").key(r#""1""#).headers(&[("@odata.etag", Some(b"\"a\""))]));
    records.push(NewRecord::new().topic("t").key(r#""2""#));
    let outcomes = sink.write(&records.into_batch()).unwrap();
    assert_eq!(told(&outcomes, 2), ["odata.conflict", "odata.etag"]);
    assert!(String::from_utf8(arrived.borrow()[1].body.clone()).unwrap().contains("If-Match: \"a\"\r\n"));
}

#[test]
fn a_service_that_refuses_conditions_is_sent_none() {
    let (mut sink, arrived) = orders(
        r#", "etag": "none""#,
        vec![answered(&[(404, ""), (404, "")]), Response::new(200, "{}"), answered(&[(201, "{}")])],
    );
    let records = testing::batch("t", [(None, Some(r#"{"OrderID": "1"}"#)), (Some(r#""2""#), None)]);
    assert_eq!(told(&sink.write(&records).unwrap(), 2), ["ok", "ok"]);
    assert!(arrived.borrow().iter().all(|request| !String::from_utf8_lossy(&request.body).contains("If-Match")));
    assert_eq!(asked(&arrived)[1..], ["MERGE OrderSet('1'), DELETE OrderSet('2')", "GET OrderSet?$top=1", "POST OrderSet"]);
}

#[test]
fn a_conflict_with_what_the_record_itself_has_written_is_none() {
    let there = |lines: u32| answered(&[(200, &format!(r#"{{"d": {{"OrderID": "1", "Lines": {lines}}}}}"#))]);
    let set = || Response::new(200, "{}");
    let (change, create) = (r#"{"OrderID": "1", "Lines": 1, "@odata.etag": "a"}"#, r#"{"OrderID": "1", "Lines": 1}"#);
    for (record, status, answers, expected) in [
        (change, 412, vec![there(1)], "ok"),
        (change, 412, vec![there(2)], "odata.conflict"),
        (change, 412, vec![answered(&[(404, "")]), set()], "odata.conflict"),
        (create, 409, vec![there(1)], "ok"),
        (create, 409, vec![there(2)], "odata.conflict"),
    ] {
        let answers = std::iter::once(answered(&[(status, SAID)])).chain(answers).collect();
        let (mut sink, arrived) = orders(r#", "etag": "match""#, answers);
        let outcomes = sink.write(&values(&[record])).unwrap();
        assert_eq!(told(&outcomes, 1), [expected], "{record}");
        assert_eq!(asked(&arrived)[2], "GET OrderSet('1')");
    }
    for (answers, expected) in [(vec![answered(&[(404, "")]), set()], "ok"), (vec![there(1)], "odata.conflict")] {
        let answers = std::iter::once(answered(&[(412, SAID)])).chain(answers).collect();
        let (mut sink, _) = orders(r#", "etag": "match""#, answers);
        let mut records = Records::new();
        records.push(NewRecord::new().topic("t").key(r#""1""#).headers(&[("@odata.etag", Some(b"a"))]));
        assert_eq!(told(&sink.write(&records.into_batch()).unwrap(), 1), [expected], "a deletion");
    }
}

#[test]
fn an_etag_cannot_add_a_header() {
    let (mut sink, arrived) = orders(r#", "etag": "match""#, Vec::new());
    let outcomes = sink.write(&values(&[r#"{"OrderID": "1", "@odata.etag": "x\r\nX-Evil: 1"}"#])).unwrap();
    assert_eq!(told(&outcomes, 1), ["odata.etag"]);
    assert!(arrived.borrow().is_empty());
}

#[test]
fn a_service_that_does_not_take_numbers_as_text_gets_them_as_numbers() {
    let answers = vec![answered(&[(415, "")]), answered(&[(204, "")])];
    let (mut sink, arrived) = sink(V4, r#", "entity": "Customers", "fields": {"Number": "n", "Country": "c"}"#, answers);
    let record = values(&[r#"{"c": "DE", "n": 9007199254740993}"#]);
    assert!(matches!(sink.write(&record), Err(Error::Retry { after: Some(Duration::ZERO), .. })));
    assert_eq!(told(&sink.write(&record).unwrap(), 1), ["ok"]);
    let content = |number: usize| {
        let body = String::from_utf8(arrived.borrow()[number].body.clone()).unwrap();
        body.lines().find(|line| line.starts_with("Content-Type: application/json")).unwrap().to_owned()
    };
    assert_eq!(content(1), "Content-Type: application/json;IEEE754Compatible=true");
    assert_eq!(content(2), "Content-Type: application/json");
}

#[test]
fn json_batches_carry_the_same_and_are_answered_by_their_ids() {
    let answer = r#"{"responses": [{"id": "2", "status": 400, "body": {"error": {"code": "E", "message": "no"}}}, {"id": "1", "status": 204}]}"#;
    let (mut sink, arrived) = sink(V4, r#", "entity": "Customers", "batch-format": "json""#, vec![Response::new(200, answer)]);
    let outcomes = sink.write(&values(&[r#"{"Country": "DE", "Number": 1}"#, r#"{"Country": "D'E/", "Number": 2}"#])).unwrap();
    assert_eq!(told(&outcomes, 2), ["ok", "odata.400"]);
    let body: serde_json::Value = serde_json::from_slice(&arrived.borrow()[1].body).unwrap();
    assert_eq!(body["requests"][0]["url"], "Customers(Country='DE',Number=1)");
    assert_eq!(body["requests"][1]["url"], "Customers(Country='D''E%2F',Number=2)");
    assert_eq!(body["requests"][0]["headers"]["if-match"], "*");
}
