//! Rules over the body of an answer, and records of a batch that failed by themselves.

use super::*;

#[test]
fn an_error_in_the_body_means_later_or_never_as_the_operator_says() {
    for (rule, body) in [
        (r#""fail-if": "$.errors""#, r#"{"errors": ["busy"]}"#),
        (r#""success-if": "$[?@.ok == true]""#, r#"[{"ok": false}]"#),
        (r#""success-if": "$.ok""#, "<html>busy</html>"),
    ] {
        let (mut later, _) = sink(&format!(", {rule}"), move |_| Response::new(200, body).with_header("Retry-After", "4"));
        let Err(Error::Retry { message, after }) = later.write(&batch(&["1"])) else { panic!("{rule}: retry") };
        assert!(message.contains(body) && after == Some(Duration::from_secs(4)), "{message}");
        let (mut never, arrived) = sink(&format!(r#", {rule}, "on-fail": "reject""#), move |sent| {
            Response::new(200, if sent.contains('2') { body } else { r#"[{"ok": true}]"# })
        });
        let outcomes = never.write(&batch(&["2", "2"])).unwrap();
        assert_eq!((code(&outcomes, 0), code(&outcomes, 1)), (Some("http.answer"), Some("http.answer")));
        assert_eq!(bodies(&arrived), ["2\n2\n", "2\n", "2\n"], "each by itself");
    }
    let (mut well, _) =
        sink(r#", "fail-if": "$.errors", "success-if": "$.ok""#, |_| Response::new(200, r#"{"ok": 1, "errors": []}"#));
    assert!(well.write(&batch(&["1"])).unwrap().is_empty());
}

#[test]
fn an_answer_without_a_body_is_no_error_but_where_it_has_to_say_that_all_is_well() {
    let (mut quiet, _) = sink(r#", "fail-if": "$.errors""#, |_| Response::new(200, ""));
    assert!(quiet.write(&batch(&["1"])).unwrap().is_empty());
    let (mut no_content, _) = sink(r#", "success-if": "$.ok""#, |_| Response::new(204, ""));
    assert!(no_content.write(&batch(&["1"])).unwrap().is_empty());
    let (mut silent, _) = sink(r#", "success-if": "$.ok""#, |_| Response::new(200, ""));
    assert!(matches!(silent.write(&batch(&["1"])), Err(Error::Retry { .. })));
}

#[test]
fn only_the_records_that_an_answer_names_are_rejected_and_nothing_is_sent_again() {
    let by_index = r#", "body": "json-array", "failures": "$.failed[*]", "failure-index": "at""#;
    let (mut first, arrived) =
        sink(by_index, |_| Response::new(200, r#"{"failed": [{"at": 1, "why": "no such sku"}, {"at": "3"}]}"#));
    let outcomes = first.write(&batch(&["1", "2", "3", "4"])).unwrap();
    let codes: Vec<_> = (0..4).map(|index| code(&outcomes, index)).collect();
    assert_eq!(codes, [None, Some("http.failure"), None, Some("http.failure")]);
    let Some(Verdict::Reject(rejection)) = outcomes.get(1) else { panic!("{outcomes:?}") };
    assert!(rejection.message.contains("no such sku"), "{}", rejection.message);
    assert_eq!(arrived.borrow().len(), 1);

    let by_id = r#", "body": "json-array", "id-field": "ref", "failures": "$.failed", "failure-id": "$.item.ref""#;
    let (mut second, arrived) =
        sink(by_id, |_| Response::new(207, r#"{"failed": [{"item": {"ref": "t/0/2"}}]}"#).with_header("x", ""));
    let outcomes = second.write(&batch(&["{}", "{}", "{}"])).unwrap();
    let codes: Vec<_> = (0..3).map(|index| code(&outcomes, index)).collect();
    assert_eq!((codes, arrived.borrow().len()), (vec![None, None, Some("http.failure")], 1));
}

#[test]
fn a_failure_of_a_record_that_cannot_be_found_has_each_sent_by_itself() {
    let config = r#", "body": "json-array", "failures": "$.failed", "failure-index": "at""#;
    let (mut sink, arrived) =
        sink(config, |sent| Response::new(200, if sent.contains('2') { r#"{"failed": [{"at": 9}]}"# } else { "" }));
    let outcomes = sink.write(&batch(&["1", "2", "3"])).unwrap();
    let codes: Vec<_> = (0..3).map(|index| code(&outcomes, index)).collect();
    assert_eq!(codes, [None, Some("http.failure"), None]);
    assert_eq!(bodies(&arrived), ["[1,2,3]", "[1]", "[2]", "[3]"]);
}

#[test]
fn a_list_of_failed_places_names_the_first_record_as_any_other() {
    for (path, body, expected) in [
        ("$.failed", r#"{"failed": [0, 2]}"#, [true, false, true]),
        ("$.failed[*]", r#"{"failed": [0]}"#, [true, false, false]),
        ("$.failed", r#"{"failed": [null, false, 1]}"#, [false, true, false]),
        ("$.failed", r#"{"failed": 0}"#, [false, false, false]),
        ("$.failed", r#"{"failed": []}"#, [false, false, false]),
    ] {
        let config = format!(r#", "body": "json-array", "failures": "{path}", "failure-index": "$""#);
        let (mut sink, arrived) = sink(&config, move |_| Response::new(200, body));
        let outcomes = sink.write(&batch(&["1", "2", "3"])).unwrap();
        let rejected = [0, 1, 2].map(|index| code(&outcomes, index) == Some("http.failure"));
        assert_eq!((rejected, arrived.borrow().len()), (expected, 1), "{body}");
    }
}

#[test]
fn an_answer_in_which_no_failure_can_be_looked_for_does_not_mean_that_all_is_delivered() {
    let config = r#", "body": "json-array", "failures": "$.failed", "failure-index": "at""#;
    let (mut later, _) = sink(config, |_| Response::new(200, "<html>maintenance</html>"));
    let Err(Error::Retry { message, .. }) = later.write(&batch(&["1", "2"])) else { panic!("retry") };
    assert!(message.contains("maintenance") && message.contains("config.failures"), "{message}");
    let (mut never, _) = sink(&format!(r#"{config}, "on-fail": "reject""#), |_| Response::new(200, "<html>"));
    let outcomes = never.write(&batch(&["1", "2"])).unwrap();
    assert_eq!((code(&outcomes, 0), code(&outcomes, 1)), (Some("http.answer"), Some("http.answer")));
}

#[test]
fn an_answer_too_long_to_be_looked_into_rejects_its_record_alone_and_stops_nothing() {
    for rule in [r#""fail-if": "$.errors""#, r#""success-if": "$.ok""#, r#""failures": "$.failed", "failure-index": "at""#] {
        let answer = |sent: &str| {
            let pad = if sent.contains('2') { "x".repeat(9 << 20) } else { String::new() };
            Response::new(200, format!(r#"{{"ok": true, "pad": "{pad}"}}"#))
        };
        let (mut sink, arrived) = sink(&format!(r#", "body": "json-array", {rule}"#), answer);
        let outcomes = sink.write(&batch(&["1", "2", "3"])).unwrap();
        assert_eq!([0, 1, 2].map(|index| code(&outcomes, index)), [None, Some("http.answer"), None], "{rule}");
        let Some(Verdict::Reject(rejection)) = outcomes.get(1) else { panic!("{outcomes:?}") };
        assert!(rejection.message.contains("api.example.com answers 200 with more than 8 MiB"), "{}", rejection.message);
        assert_eq!(bodies(&arrived), ["[1,2,3]", "[1]", "[2]", "[3]"]);
    }
}
