//! What a 403 is about: its record, or the account.

use super::*;

const SAID: &str = r#"{"error":{"code":"V1/849","message":{"value":"No authorization for plant 1010"}}}"#;

fn of(numbers: std::ops::Range<u32>) -> Batch {
    let records: Vec<String> = numbers.map(|number| format!(r#"{{"OrderID": "{number}"}}"#)).collect();
    values(&records.iter().map(String::as_str).collect::<Vec<_>>())
}

fn forbidden(count: usize) -> Response {
    answered(&vec![(403, SAID); count])
}

fn fatal(written: Result<Outcomes>) -> String {
    match written {
        Err(Error::Fatal(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn waits(sink: &mut Odata, records: &Batch, times: usize) {
    for _ in 0..times {
        assert!(matches!(sink.write(records), Err(Error::Retry { .. })));
    }
}

#[test]
fn a_403_beside_a_write_that_was_done_is_of_that_record() {
    let (mut sink, _) = orders("", vec![answered(&[(403, SAID), (204, ""), (403, "")])]);
    let outcomes = sink.write(&of(1..4)).unwrap();
    assert_eq!(told(&outcomes, 3), ["odata.403", "ok", "odata.403"]);
    assert_eq!(rejection(&outcomes, 0).message, "`OrderSet` answers 403: V1/849: No authorization for plant 1010");
}

#[test]
fn without_a_batch_too_and_whatever_comes_first() {
    let alone = |status: u16| Response::new(status, if status == 403 { SAID } else { "" });
    let (mut sink, arrived) = orders(r#", "batch": 1"#, [403, 204, 403, 204].map(alone).into());
    assert_eq!(told(&sink.write(&of(1..5)).unwrap(), 4), ["odata.403", "ok", "odata.403", "ok"]);
    assert_eq!(asked(&arrived).len(), 5, "a token, and each record once");
}

#[test]
fn a_record_that_is_alone_comes_twice_more_and_is_rejected_where_the_account_may_read() {
    for (config, refused) in [("", forbidden as fn(usize) -> Response), (r#", "batch": 1"#, |_| Response::new(403, SAID))] {
        let answers = vec![refused(1), refused(1), refused(1), Response::new(200, "{}"), Response::new(204, "")];
        let (mut sink, arrived) = orders(config, answers);
        waits(&mut sink, &of(1..2), 2);
        assert_eq!(told(&sink.write(&of(1..2)).unwrap(), 1), ["odata.403"]);
        assert_eq!(asked(&arrived).last().unwrap(), "GET OrderSet?$top=1");
        assert_eq!(asked(&arrived).iter().filter(|request| *request == "token").count(), 3, "a session may have expired");
    }
}

#[test]
fn what_is_not_there_and_may_not_be_created_does_not_come_for_ever() {
    let once = || [Response::new(404, ""), Response::new(403, SAID)];
    let answers = [once(), once(), once()].into_iter().flatten().chain([Response::new(200, "{}")]).collect();
    let (mut sink, _) = orders(r#", "batch": 1"#, answers);
    waits(&mut sink, &of(1..2), 2);
    assert_eq!(told(&sink.write(&of(1..2)).unwrap(), 1), ["odata.403"]);
}

#[test]
fn an_account_that_may_not_read_the_set_either_stops_the_sink_and_no_record_is_rejected() {
    let (mut sink, _) = orders("", vec![forbidden(2), forbidden(2), forbidden(2), Response::new(403, SAID)]);
    waits(&mut sink, &of(1..3), 2);
    let text = fatal(sink.write(&of(1..3)));
    assert!(text.contains(r#"[sink.auth."erp.example.com"]"#) && text.contains("403"), "{text}");
}

#[test]
fn several_and_nothing_else_are_the_account_s_and_no_record_is_rejected() {
    let (mut sink, _) = orders("", vec![forbidden(20), forbidden(20), forbidden(20)]);
    waits(&mut sink, &of(0..20), 2);
    let text = fatal(sink.write(&of(0..20)));
    assert!(text.contains("that the account may write it"), "{text}");
    // One by one: what comes after the twentieth is not tried.
    let (mut sink, arrived) = orders(r#", "batch": 1"#, (0..20).map(|_| Response::new(403, SAID)).collect());
    waits(&mut sink, &of(0..30), 1);
    assert_eq!(asked(&arrived).len(), 21);
}

#[test]
fn what_is_newer_of_a_forbidden_entity_is_written_after_it_was_judged() {
    let answers = vec![answered(&[(403, SAID), (204, "")]), answered(&[(204, "")])];
    let (mut sink, arrived) = orders("", answers);
    let records = [r#"{"OrderID": "1", "Lines": 1}"#, r#"{"OrderID": "1", "Lines": 2}"#, r#"{"OrderID": "2", "Lines": 3}"#];
    assert_eq!(told(&sink.write(&values(&records)).unwrap(), 3), ["odata.403", "ok", "ok"]);
    assert_eq!(bodies(&arrived, 2), [r#"{"Lines":2}"#]);
}
