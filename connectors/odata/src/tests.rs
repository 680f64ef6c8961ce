//! The source against recorded answers: what each status and each broken answer leads to.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use wharf_sdk::http::{Request, Response};
use wharf_sdk::testing;

use super::*;

mod recorded;

const METADATA: &str = include_str!("../../shared/odata/tests/sales-v4.xml");
const LIMITS: Limits = Limits { records: 100, bytes: 1 << 20, wait: Duration::ZERO };

type Sent = Rc<RefCell<Vec<Request>>>;

/// A source whose service gives these answers in their order, after `$metadata`.
fn source(config: &str, answers: Vec<Response>) -> (Odata, Sent) {
    let sent = Sent::default();
    let requests = Rc::clone(&sent);
    let mut answers = VecDeque::from(answers);
    testing::http(move |request| {
        requests.borrow_mut().push(request.clone());
        if request.url.ends_with("/$metadata") {
            return Ok(Response::new(200, METADATA));
        }
        Ok(answers.pop_front().expect("no answer is left"))
    });
    let config = format!(r#"{{"service": "https://erp.example.com/s", "entity": "Orders", {config}}}"#);
    let mut source = Odata::open(&Context::new("erp", config), Vec::new()).unwrap();
    assert_eq!(source.poll(LIMITS).unwrap().records.len(), 0, "the first call reads $metadata");
    (source, sent)
}

const CURSOR: &str = r#""cursor": "modifiedAt""#;
const ONE: &str = r#"{"value": [{"ID": "a", "modifiedAt": "2024-05-01T10:00:00Z"}]}"#;

fn header(request: &Request, name: &str) -> Option<String> {
    request.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
}

#[test]
fn a_page_becomes_records_and_a_position() {
    let (mut source, sent) = source(CURSOR, vec![Response::new(200, ONE)]);
    let polled = source.poll(LIMITS).unwrap();
    assert_eq!((polled.records.len(), polled.idle), (1, Duration::from_secs(30)));
    assert_eq!(polled.positions[0].slice, "Orders");
    let request = sent.borrow()[1].clone();
    assert_eq!(header(&request, "prefer").as_deref(), Some("odata.maxpagesize=1000"));
    assert_eq!(header(&request, "accept").as_deref(), Some("application/json;odata.metadata=minimal;IEEE754Compatible=true"));
}

#[test]
fn limits_of_a_poll_cut_a_page_and_the_rest_comes_next() {
    let page =
        r#"{"value": [{"ID": "a", "modifiedAt": "2024-05-01T10:00:00Z"}, {"ID": "b", "modifiedAt": "2024-05-01T10:00:01Z"}]}"#;
    let (mut source, sent) = source(CURSOR, vec![Response::new(200, page)]);
    let one = Limits { records: 1, ..LIMITS };
    let first = source.poll(one).unwrap();
    assert_eq!((first.records.len(), first.positions.len(), first.idle), (1, 1, Duration::ZERO));
    let second = source.poll(one).unwrap();
    assert_eq!((second.records.len(), second.positions.len()), (1, 1));
    assert_eq!(sent.borrow().len(), 2, "one request for the page");
}

#[test]
fn a_busy_service_is_asked_again_after_the_pause_it_wants() {
    for status in [429, 503] {
        let busy = Response::new(status, "").with_header("Retry-After", "7");
        let (mut source, _) = source(CURSOR, vec![busy, Response::new(200, ONE)]);
        let Error::Retry { after, .. } = source.poll(LIMITS).unwrap_err() else { panic!("retry") };
        assert_eq!(after, Some(Duration::from_secs(7)));
        assert_eq!(source.poll(LIMITS).unwrap().records.len(), 1);
    }
}

#[test]
fn refused_credentials_are_tried_twice_and_then_stop_the_source() {
    let refused = || Response::new(401, r#"{"error": {"code": "x", "message": "no"}}"#);
    let (mut source, _) = source(CURSOR, vec![refused(), refused(), refused()]);
    assert!(matches!(source.poll(LIMITS), Err(Error::Retry { .. })));
    assert!(matches!(source.poll(LIMITS), Err(Error::Retry { .. })));
    let Err(Error::Fatal(text)) = source.poll(LIMITS) else { panic!("fatal") };
    assert!(text.contains("https://erp.example.com/s") && text.contains(r#"[source.auth."erp.example.com"]"#), "{text}");
}

#[test]
fn broken_answers_are_asked_for_again() {
    for body in ["<html>Sign in</html>", r#"{"value": [{"ID": "a""#, "", r#"{"error": {"message": "lost the database"}}"#] {
        let (mut source, _) = source(CURSOR, vec![Response::new(200, body), Response::new(200, ONE)]);
        assert!(matches!(source.poll(LIMITS), Err(Error::Retry { .. })), "{body}");
        assert_eq!(source.poll(LIMITS).unwrap().records.len(), 1);
    }
}

#[test]
fn a_missing_set_and_a_wrong_query_stop_with_what_the_service_says() {
    let sets = Response::new(200, r#"{"value": [{"name": "Order"}, {"name": "Items"}]}"#);
    let (mut missing, _) = source(CURSOR, vec![Response::new(404, ""), sets]);
    let Err(Error::Fatal(text)) = missing.poll(LIMITS) else { panic!("fatal") };
    assert!(text.contains("did you mean `Order`?") && text.contains("Order, Items"), "{text}");
    let wrong = Response::new(400, r#"{"error": {"code": "E7", "message": "unknown function"}}"#);
    let (mut wrong, _) = source(CURSOR, vec![wrong]);
    let Err(Error::Fatal(text)) = wrong.poll(LIMITS) else { panic!("fatal") };
    assert!(text.contains("400") && text.contains("E7: unknown function"), "{text}");
}

#[test]
fn redirects_are_not_followed() {
    let redirect = Response::new(302, "").with_header("Location", "https://login.example.net/start?x=1");
    let (mut source, sent) = source(CURSOR, vec![redirect]);
    let Err(Error::Fatal(text)) = source.poll(LIMITS) else { panic!("fatal") };
    assert!(text.contains("login.example.net (302)") && !text.contains("x=1"), "{text}");
    assert_eq!(sent.borrow().len(), 2);
}

#[test]
fn a_lost_page_link_begins_the_read_again_and_stops_in_the_end() {
    let first = || Response::new(200, r#"{"value": [], "@odata.nextLink": "Orders?$skiptoken=1"}"#);
    let gone = || Response::new(410, "");
    let (mut source, sent) = source(CURSOR, vec![first(), gone(), first(), gone(), first(), gone()]);
    for _ in 0..5 {
        assert_eq!(source.poll(LIMITS).unwrap().idle, Duration::ZERO);
    }
    assert!(matches!(source.poll(LIMITS), Err(Error::Fatal(_))));
    let urls: Vec<_> = sent.borrow().iter().skip(1).map(|r| r.url.contains("skiptoken")).collect();
    assert_eq!(urls, [false, true, false, true, false, true]);
}

#[test]
fn a_service_that_does_not_know_the_json_parameters_is_asked_for_plain_json() {
    let (mut source, sent) = source(CURSOR, vec![Response::new(406, ""), Response::new(200, ONE)]);
    assert_eq!(source.poll(LIMITS).unwrap().records.len(), 1);
    assert_eq!(header(&sent.borrow()[2], "accept").as_deref(), Some("application/json"));
}

#[test]
fn a_fresh_delta_link_alone_is_not_stored_each_time() {
    let page = |entities: &str, token: &str| {
        Response::new(200, format!(r#"{{"value": [{entities}], "@odata.deltaLink": "Orders?$deltatoken={token}"}}"#))
    };
    let (mut source, sent) = source(r#""interval": "1s""#, vec![page("", "1"), page("", "2"), page(r#"{"ID": "a"}"#, "3")]);
    assert_eq!(source.poll(LIMITS).unwrap().positions.len(), 1, "from now on the link leads");
    assert!(source.poll(LIMITS).unwrap().positions.is_empty());
    let polled = source.poll(LIMITS).unwrap();
    let place = String::from_utf8(polled.positions[0].place.clone()).unwrap();
    assert!(place.contains("deltatoken=3"), "{place}");
    assert_eq!(header(&sent.borrow()[1], "prefer").as_deref(), Some("odata.maxpagesize=1000,odata.track-changes"));
    assert_eq!(header(&sent.borrow()[2], "prefer").as_deref(), Some("odata.maxpagesize=1000"));
}

#[test]
fn a_service_that_refuses_to_track_changes_is_read_in_full_and_another_error_is_still_told() {
    let refused = || Response::new(400, r#"{"error": {"code": "E9", "message": "no"}}"#);
    let page = || Response::new(200, r#"{"value": [{"ID": "a"}]}"#);
    let (mut tracked, sent) = source(r#""interval": "1s""#, vec![refused(), page(), page()]);
    assert_eq!(tracked.poll(LIMITS).unwrap().idle, Duration::ZERO);
    assert_eq!(tracked.poll(LIMITS).unwrap().records.len(), 1);
    assert_eq!(tracked.poll(LIMITS).unwrap().records.len(), 0, "it did not change");
    let prefer: Vec<_> = sent.borrow()[1..].iter().filter_map(|request| header(request, "prefer")).collect();
    let plain = "odata.maxpagesize=1000";
    assert_eq!(prefer, [&format!("{plain},odata.track-changes"), plain, plain]);
    let (mut wrong, _) = source(r#""interval": "1s""#, vec![refused(), refused()]);
    assert!(wrong.poll(LIMITS).is_ok());
    let Err(Error::Fatal(text)) = wrong.poll(LIMITS) else { panic!("fatal") };
    assert!(text.contains("400") && text.contains("E9"), "{text}");
}

#[test]
fn a_service_without_metadata_is_read_by_the_configured_key() {
    testing::http(|request| {
        let status = if request.url.ends_with("/$metadata") { 404 } else { 200 };
        Ok(Response::new(status, ONE))
    });
    let config = r#"{"service": "https://erp.example.com/s", "entity": "Orders", "cursor": "modifiedAt", "key": ["ID"]}"#;
    let mut source = Odata::open(&Context::new("erp", config), Vec::new()).unwrap();
    source.poll(LIMITS).unwrap();
    let polled = source.poll(LIMITS).unwrap();
    let batch = polled.records.into_batch();
    let record = batch.records().next().unwrap();
    assert_eq!(record.value, Some(br#"{"ID":"a","modifiedAt":"2024-05-01T10:00:00Z"}"#.as_slice()));
    assert_eq!(record.timestamp, Some(1_714_557_600_000));
}

#[test]
fn a_second_task_has_nothing_to_read() {
    let context = Context::new("erp", r#"{"service": "https://erp.example.com/s", "entity": "Orders"}"#).as_task(1, 2);
    let mut source = Odata::open(&context, Vec::new()).unwrap();
    assert!(source.poll(LIMITS).unwrap().finished);
}
