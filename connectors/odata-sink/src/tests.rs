//! The sink against a service by hand: what arrives there, and what is told of each record.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use wharf_sdk::http::{Request, Response};
use wharf_sdk::{NewRecord, Records, Verdict, testing};

use super::*;

mod answers;
mod forbidden;
mod recorded;
mod session;
mod types;

const V4: &str = include_str!("../../shared/odata/tests/sales-v4.xml");
const V2: &str = include_str!("../../shared/odata/tests/sales-v2.xml");

type Arrived = Rc<RefCell<Vec<Request>>>;

/// A sink whose service answers in this order what is no `$metadata` and no fetch of a token. Each token has a cookie of its number.
fn sink(xml: &'static str, config: &str, answers: Vec<Response>) -> (Odata, Arrived) {
    let arrived = Arrived::default();
    let requests = Rc::clone(&arrived);
    let (mut answers, mut tokens) = (VecDeque::from(answers), 0);
    testing::http(move |request| {
        if request.url.ends_with("/$metadata") {
            return Ok(Response::new(200, xml));
        }
        requests.borrow_mut().push(request.clone());
        if header(request, "x-csrf-token").as_deref() == Some("Fetch") {
            tokens += 1;
            let cookie = format!("SAP_SESSIONID={tokens}; path=/; HttpOnly");
            let token = format!("token-{tokens}");
            return Ok(Response::new(200, "{}").with_header("x-csrf-token", &token).with_header("set-cookie", &cookie));
        }
        Ok(answers.pop_front().unwrap_or_else(|| panic!("no answer is left for {request:?}")))
    });
    let config = format!(r#"{{"service": "https://erp.example.com/s/"{config}}}"#);
    (Odata::open(&Context::new("orders", config)).unwrap(), arrived)
}

/// A sink of `OrderSet`, V2.
fn orders(config: &str, answers: Vec<Response>) -> (Odata, Arrived) {
    sink(V2, &format!(r#", "entity": "OrderSet"{config}"#), answers)
}

fn header(request: &Request, name: &str) -> Option<String> {
    request.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

/// An answer to a `$batch`: statuses with bodies.
fn answered(parts: &[(u16, &str)]) -> Response {
    batch(parts, "--b--\r\n")
}

/// One that ends after its last part without the closing delimiter.
fn cut_off(parts: &[(u16, &str)]) -> Response {
    batch(parts, "--b\r\nContent-Type: applic")
}

fn batch(parts: &[(u16, &str)], end: &str) -> Response {
    let part = |(status, body): &(u16, &str)| {
        format!(
            "--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 {status} X\r\nContent-Type: application/json\r\n\r\n{body}\r\n"
        )
    };
    let text: String = parts.iter().map(part).collect();
    Response::new(202, text + end).with_header("content-type", "multipart/mixed; boundary=b")
}

fn values(values: &[&str]) -> Batch {
    testing::batch("t", values.iter().map(|value| (None, Some(*value))))
}

/// Every request line in the batches that arrived, a batch in one text; a token's fetch is `token`.
fn asked(arrived: &Arrived) -> Vec<String> {
    let lines = |request: &Request| {
        if header(request, "x-csrf-token").as_deref() == Some("Fetch") {
            return "token".to_owned();
        }
        let body = String::from_utf8(request.body.clone()).unwrap();
        if !request.url.ends_with("/$batch") {
            return format!("{} {}", request.method, request.url.rsplit('/').next().unwrap());
        }
        let lines = body.lines().filter_map(|line| line.strip_suffix(" HTTP/1.1"));
        lines.collect::<Vec<_>>().join(", ")
    };
    arrived.borrow().iter().map(lines).collect()
}

/// The JSON bodies in a batch that arrived.
fn bodies(arrived: &Arrived, number: usize) -> Vec<String> {
    let body = String::from_utf8(arrived.borrow()[number].body.clone()).unwrap();
    body.lines().filter(|line| line.starts_with('{')).map(ToOwned::to_owned).collect()
}

/// Per record: `ok`, `retry` with its seconds, or the code of its rejection.
fn told(outcomes: &Outcomes, count: u32) -> Vec<String> {
    let of = |index| match outcomes.get(index) {
        None => "ok".to_owned(),
        Some(Verdict::Retry(after)) => format!("retry {}", after.map_or(0, |after| after.as_secs())),
        Some(Verdict::Reject(rejection)) => rejection.code.clone(),
    };
    (0..count).map(of).collect()
}

fn rejection(outcomes: &Outcomes, index: u32) -> wharf_sdk::Rejection {
    let Some(Verdict::Reject(rejection)) = outcomes.get(index) else { panic!("{outcomes:?}") };
    rejection.clone()
}

#[test]
fn records_arrive_as_changes_of_their_entities_in_one_batch() {
    let (mut sink, arrived) = orders("", vec![answered(&[(204, ""), (204, "")])]);
    let records = values(&[r#"{"OrderID": "1", "Total": "1.50", "Paid": null}"#, r#"{"OrderID": "2", "Lines": 3}"#]);
    assert_eq!(told(&sink.write(&records).unwrap(), 2), ["ok", "ok"]);
    assert_eq!(asked(&arrived), ["token", "MERGE OrderSet('1'), MERGE OrderSet('2')"]);
    assert_eq!(bodies(&arrived, 1), [r#"{"Total":"1.50","Paid":null}"#, r#"{"Lines":3}"#], "absent properties are not written");
    let request = arrived.borrow()[1].clone();
    assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "https://erp.example.com/s/$batch"));
    assert!(String::from_utf8(request.body).unwrap().contains("If-Match: *\r\n"));
}

#[test]
fn what_is_not_there_is_created_with_its_key() {
    let answers = vec![answered(&[(404, ""), (204, ""), (412, "")]), answered(&[(201, "{}"), (201, "{}")])];
    let (mut sink, arrived) = orders("", answers);
    let records = values(&[r#"{"OrderID": "1", "Lines": 1}"#, r#"{"OrderID": "2"}"#, r#"{"OrderID": "3"}"#]);
    assert_eq!(told(&sink.write(&records).unwrap(), 3), ["ok", "ok", "ok"]);
    assert_eq!(asked(&arrived)[2], "POST OrderSet, POST OrderSet");
    assert_eq!(bodies(&arrived, 2), [r#"{"OrderID":"1","Lines":1}"#, r#"{"OrderID":"3"}"#]);
}

#[test]
fn what_comes_to_be_there_meanwhile_is_changed_after_all() {
    let answers = vec![answered(&[(404, "")]), answered(&[(409, "")]), answered(&[(204, "")])];
    let (mut sink, arrived) = orders("", answers);
    assert_eq!(told(&sink.write(&values(&[r#"{"OrderID": "1"}"#])).unwrap(), 1), ["ok"]);
    assert_eq!(asked(&arrived)[1..], ["MERGE OrderSet('1')", "POST OrderSet", "MERGE OrderSet('1')"]);
}

#[test]
fn update_creates_nothing() {
    let answers = vec![answered(&[(404, ""), (204, "")]), Response::new(200, "{}")];
    let (mut sink, _) = orders(r#", "write": "update""#, answers);
    let outcomes = sink.write(&values(&[r#"{"OrderID": "1"}"#, r#"{"OrderID": "2"}"#])).unwrap();
    assert_eq!(told(&outcomes, 2), ["odata.missing", "ok"]);
}

#[test]
fn a_tombstone_deletes_by_the_key_and_what_is_gone_counts_as_deleted() {
    let answers = vec![answered(&[(204, ""), (404, ""), (412, "")]), Response::new(200, "{}")];
    let (mut sink, arrived) = orders("", answers);
    let records = testing::batch("t", [(Some(r#"{"OrderID": "1"}"#), None), (Some(r#""2""#), None), (Some(r#""3""#), None)]);
    assert_eq!(told(&sink.write(&records).unwrap(), 3), ["ok", "ok", "ok"]);
    assert_eq!(asked(&arrived)[1], "DELETE OrderSet('1'), DELETE OrderSet('2'), DELETE OrderSet('3')");
}

#[test]
fn tombstones_are_rejected_or_skipped_where_that_is_asked_for() {
    let tombstone = testing::batch("t", [(Some(r#""1""#), None)]);
    let (mut rejecting, _) = orders(r#", "tombstones": "reject""#, Vec::new());
    assert_eq!(told(&rejecting.write(&tombstone).unwrap(), 1), ["odata.tombstone"]);
    let (mut skipping, arrived) = orders(r#", "tombstones": "skip""#, Vec::new());
    assert_eq!(told(&skipping.write(&tombstone).unwrap(), 1), ["ok"]);
    assert!(arrived.borrow().is_empty());
}

#[test]
fn several_records_of_an_entity_go_out_after_each_other() {
    let answers = vec![answered(&[(204, ""), (204, "")]), answered(&[(400, "")]), answered(&[(204, "")])];
    let (mut sink, arrived) = orders("", answers);
    let of = |id: &str, lines: u32| format!(r#"{{"OrderID": "{id}", "Lines": {lines}}}"#);
    let records = [of("1", 1), of("1", 2), of("2", 3), of("1", 4)];
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    assert_eq!(told(&sink.write(&values(&records)).unwrap(), 4), ["ok", "odata.400", "ok", "ok"]);
    let sent: Vec<_> = (1..4).map(|number| bodies(&arrived, number).join(" ")).collect();
    assert_eq!(sent, [r#"{"Lines":1} {"Lines":3}"#, r#"{"Lines":2}"#, r#"{"Lines":4}"#]);
}

#[test]
fn fields_choose_what_is_written_and_where_it_comes_from() {
    let config = r#", "fields": {"OrderID": "id", "Paid": "payment_done", "Lines": "lines"}"#;
    let (mut sink, arrived) = orders(config, vec![answered(&[(204, "")])]);
    let outcomes = sink.write(&values(&[r#"{"id": "1", "payment_done": true, "other": {"x": 1}, "Total": "7"}"#])).unwrap();
    assert_eq!(told(&outcomes, 1), ["ok"]);
    assert_eq!(asked(&arrived)[1], "MERGE OrderSet('1')");
    assert_eq!(bodies(&arrived, 1), [r#"{"Paid":true}"#], "`other` and `Total` are not chosen, `lines` is absent");
}

#[test]
fn names_that_the_service_does_not_have_stop_the_sink_with_the_nearest_one() {
    for (config, expected) in [
        (r#", "entity": "OrdersSet""#, "did you mean `OrderSet`?"),
        (r#", "entity": "OrderSet", "fields": {"Totl": "total"}"#, "did you mean `Total`?"),
        (r#", "entity": "OrderSet", "fields": {"to_Item": "items"}"#, "`to_Item`, which leads to other entities"),
        (r#", "entity": "OrderSet", "batch-format": "json""#, "the service speaks V2"),
    ] {
        let (mut sink, _) = sink(V2, config, Vec::new());
        let Err(Error::Fatal(text)) = sink.write(&values(&["{}"])) else { panic!("fatal") };
        assert!(text.contains(expected), "{text}");
    }
}
