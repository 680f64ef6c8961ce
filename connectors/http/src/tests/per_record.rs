//! Templates: what is sent for each record, and for tombstones.

use super::*;

/// A sink of templates, whose receiver answers by method and URL.
fn templated(config: &str, answer: impl Fn(&str, &str) -> u16 + 'static) -> (Http, Arrived) {
    let arrived = Arrived::default();
    let requests = Rc::clone(&arrived);
    testing::http(move |request| {
        requests.borrow_mut().push(request.clone());
        Ok(Response::new(answer(&request.method, &request.url), ""))
    });
    let config =
        format!(r#"{{"url": "https://api.example.com/items/{{{{ key.id }}}}", "body": "record", "method": "PUT"{config}}}"#);
    (Http::open(&Context::new("items", config)).unwrap(), arrived)
}

/// Method, path and body of each request.
fn sent(arrived: &Arrived) -> Vec<String> {
    let text = |r: &Request| {
        let body = String::from_utf8(r.body.clone()).unwrap();
        format!("{} {} {body}", r.method, r.url.replace("https://api.example.com", ""))
    };
    arrived.borrow().iter().map(text).collect()
}

fn records(records: &[(Option<&str>, Option<&str>)]) -> Batch {
    testing::batch("t", records.iter().copied())
}

#[test]
fn url_headers_and_body_are_made_for_each_record() {
    let config = r#", "headers": {"X-Place": "{{ topic }}/{{ partition }}/{{ offset }}", "X-Fixed": "7"},
        "body-template": "{\"sku\": {{ value.item.sku }}, \"note\": \"sku {{ value.item.sku }}\", \"left\": {{ value.left }}}""#;
    let (mut sink, arrived) = templated(config, |_, _| 200);
    let batch = records(&[
        (Some(r#"{"id": "a/b"}"#), Some(r#"{"item": {"sku": "x \"1\""}, "left": 12345678901234567890.10}"#)),
        (Some(r#"{"id": 7}"#), Some(r#"{"item": {"sku": 5}}"#)),
    ]);
    assert!(sink.write(&batch).unwrap().is_empty());
    assert_eq!(
        sent(&arrived),
        [
            r#"PUT /items/a%2Fb {"sku": "x \"1\"", "note": "sku x \"1\"", "left": 12345678901234567890.10}"#,
            r#"PUT /items/7 {"sku": 5, "note": "sku 5", "left": null}"#
        ]
    );
    let second = arrived.borrow()[1].clone();
    assert_eq!((header(&second, "x-place"), header(&second, "x-fixed")), (Some("t/0/1"), Some("7")));
    assert_eq!((header(&second, "idempotency-key"), header(&second, "content-type")), (Some("t/0/1"), Some("application/json")));
}

#[test]
fn a_record_without_what_a_template_names_is_rejected_alone() {
    let (mut sink, arrived) = templated(r#", "headers": {"X-Sku": "{{ value.item.sku }}"}"#, |_, _| 200);
    let outcomes = sink
        .write(&records(&[
            (Some(r#"{"id": 1}"#), Some(r#"{"item": {"sku": "a"}}"#)),
            (Some(r#"{"id": 2}"#), Some(r#"{"item": {"sku": null}}"#)),
            (Some(r#"{"no": 3}"#), Some(r#"{"item": {"sku": "c"}}"#)),
            (Some(r#"{"id": ""}"#), Some(r#"{"item": {"sku": "d"}}"#)),
            (Some(r#"{"id": 5}"#), Some(r#"{"item": {"sku": "e\nX-Admin: 1"}}"#)),
            (None, Some(r#"{"item": {"sku": "f"}}"#)),
            (Some(r#"{"id": 7}"#), Some(r#"{"item": {"sku": "g"}}"#)),
        ]))
        .unwrap();
    let codes: Vec<_> = (0..7).map(|index| code(&outcomes, index)).collect();
    let bad = Some("http.template");
    assert_eq!(codes, [None, bad, bad, bad, bad, bad, None]);
    let Some(Verdict::Reject(rejection)) = outcomes.get(1) else { panic!("{outcomes:?}") };
    assert_eq!(rejection.message, "`value.item.sku` has no value (config.headers.X-Sku)");
    assert_eq!(rejection.field.as_deref(), Some("/item/sku"));
    assert_eq!(arrived.borrow().len(), 2);
}

#[test]
fn tombstones_delete_what_their_key_names_in_the_order_of_the_records() {
    let (mut sink, arrived) = templated(r#", "tombstones": "delete""#, |method, url| match (method, url.ends_with("/2")) {
        ("DELETE", true) => 404,
        _ => 204,
    });
    let batch = records(&[
        (Some(r#"{"id": 1}"#), Some("{\"n\": 1}")),
        (Some(r#"{"id": 1}"#), None),
        (Some(r#"{"id": 2}"#), None),
        (Some(r#"{"id": 1}"#), Some("{\"n\": 2}")),
        (None, None),
    ]);
    let outcomes = sink.write(&batch).unwrap();
    assert_eq!(sent(&arrived), ["PUT /items/1 {\"n\": 1}", "DELETE /items/1 ", "DELETE /items/2 ", "PUT /items/1 {\"n\": 2}"]);
    assert_eq!((outcomes.len(), code(&outcomes, 4)), (1, Some("http.template")), "what is gone already is deleted");
    assert_eq!(header(&arrived.borrow()[1], "content-type"), None);
}

#[test]
fn what_is_not_there_to_be_changed_is_rejected_still() {
    let (mut sink, _) = templated(r#", "tombstones": "delete", "success-if": "$.ok""#, |_, _| 404);
    let outcomes = sink.write(&records(&[(Some(r#"{"id": 1}"#), Some("{}")), (Some(r#"{"id": 1}"#), None)])).unwrap();
    assert_eq!((code(&outcomes, 0), code(&outcomes, 1)), (Some("http.404"), None));
}

#[test]
fn a_key_that_is_one_text_stands_as_it_is() {
    let arrived = Arrived::default();
    let requests = Rc::clone(&arrived);
    testing::http(move |request| {
        requests.borrow_mut().push(request.clone());
        Ok(Response::new(200, ""))
    });
    let config = r#"{"url": "https://api.example.com/items?key={{ key }}", "body": "record"}"#;
    let mut sink = Http::open(&Context::new("items", config)).unwrap();
    assert!(sink.write(&records(&[(Some("a b"), Some("1")), (Some("\"c\""), Some("2"))])).unwrap().is_empty());
    assert_eq!(sent(&arrived), ["POST /items?key=a%20b 1", "POST /items?key=c 2"]);
}

#[test]
fn a_url_that_is_too_long_to_be_sent_is_the_fault_of_its_record_alone() {
    let (mut sink, arrived) = templated("", |_, _| 200);
    let (fits, long) = (format!(r#"{{"id": "{}"}}"#, "x".repeat(8_000)), format!(r#"{{"id": "{}"}}"#, "x".repeat(70_000)));
    let outcomes = sink.write(&records(&[(Some(&long), Some("1")), (Some(&fits), Some("2"))])).unwrap();
    assert_eq!((code(&outcomes, 0), code(&outcomes, 1)), (Some("http.template"), None));
    assert_eq!(arrived.borrow().len(), 1);
}

#[test]
fn a_request_that_cannot_be_made_of_a_record_is_the_fault_of_that_record_alone() {
    testing::http(|request| match request.url.ends_with("/1") {
        true => Err(Error::reject("the request is not valid")),
        false => Ok(Response::new(200, "")),
    });
    let config = r#"{"url": "https://api.example.com/items/{{ key.id }}", "body": "record"}"#;
    let mut sink = Http::open(&Context::new("items", config)).unwrap();
    let outcomes = sink.write(&records(&[(Some(r#"{"id": 1}"#), Some("1")), (Some(r#"{"id": 2}"#), Some("2"))])).unwrap();
    assert_eq!((code(&outcomes, 0), code(&outcomes, 1)), (Some("http.template"), None));
}

#[test]
fn what_cannot_be_read_is_rejected_and_not_sent_as_null() {
    let config = r#", "body-template": "{\"sku\": {{ value.sku }}, \"by\": {{ key.by }}}""#;
    let mut batch = wharf_sdk::Records::new();
    for (key, value) in [
        (&br#"{"id": 1}"#[..], &br#"{"sku": 1}"#[..]),
        (br#"{"id": 2}"#, b"oops"),
        (br#"{"id": 3}"#, b"{\"sku\": \"\xff\"}"),
        (b"no json", br#"{"sku": 4}"#),
        (br#"{"id": 5}"#, b"[]"),
    ] {
        batch.push(wharf_sdk::NewRecord::new().topic("t").key(key).value(value));
    }
    let (mut sink, arrived) = templated(config, |_, _| 200);
    let outcomes = sink.write(&batch.into_batch()).unwrap();
    let codes: Vec<_> = (0..5).map(|index| code(&outcomes, index)).collect();
    assert_eq!(codes, [None, Some("value.json"), Some("value.json"), Some("key.json"), None]);
    assert_eq!(sent(&arrived), [r#"PUT /items/1 {"sku": 1, "by": null}"#, r#"PUT /items/5 {"sku": null, "by": null}"#]);
    let (mut sink, arrived) = templated(r#", "body-template": "{\"whole\": {{ value }}, \"key\": {{ key }}}""#, |_, _| 200);
    let outcomes = sink.write(&records(&[(Some(r#"{"id": 1}"#), Some("oops"))])).unwrap();
    assert_eq!((code(&outcomes, 0), arrived.borrow().len()), (Some("value.json"), 0));
}
