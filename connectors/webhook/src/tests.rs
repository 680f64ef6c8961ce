//! Polls over requests of a test's inbox: what reaches the log, what is refused.

use wharf_sdk::testing;

use super::*;

const LIMITS: Limits = Limits { records: 1_000, bytes: 1 << 20, wait: Duration::ZERO };

fn request(id: u64, headers: &[(&str, &str)], body: &str) -> Request {
    Request {
        id,
        received: 1_700_000_000_000,
        method: "POST".to_owned(),
        path: "/hooks/shop".to_owned(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: body.as_bytes().to_vec(),
    }
}

fn open(config: &str) -> Webhook {
    Webhook::open(&Context::new("shop", config), Vec::new()).unwrap()
}

/// (key, value, timestamp) of each record.
fn records(polled: Polled) -> Vec<(String, String, i64)> {
    let text = |bytes: Option<&[u8]>| bytes.map_or("null".to_owned(), |b| String::from_utf8(b.to_vec()).unwrap());
    let batch = polled.records.into_batch();
    batch.records().map(|r| (text(r.key), text(r.value), r.timestamp.unwrap())).collect()
}

#[test]
fn without_configuration_a_record_is_the_body_at_the_time_it_came() {
    testing::requests([request(1, &[], "{\"id\": 1}")]);
    let polled = open("{}").poll(LIMITS).unwrap();
    assert_eq!(polled.idle, NONE_LEFT);
    assert!(polled.positions.is_empty() && !polled.finished);
    assert_eq!(records(polled), [("null".to_owned(), "{\"id\": 1}".to_owned(), 1_700_000_000_000)]);
}

/// Index, code and field of what could not be read.
fn unreadable(polled: &Polled) -> Vec<(u32, String, Option<String>)> {
    polled.records.unreadable().map(|(index, why)| (index, why.code, why.field)).collect()
}

#[test]
fn key_and_time_come_from_the_object_and_headers_from_the_request() {
    let headers = [("x-shopify-topic", "orders/create"), ("x-other", "o")];
    testing::requests([request(1, &headers, r#"{"at":"2024-03-10T06:05:00Z","id":7}"#)]);
    let polled = open(r#"{"key":["id"],"event-time":"at","headers":["X-Shopify-Topic","x-absent"]}"#).poll(LIMITS).unwrap();
    let batch = polled.records.into_batch();
    let record = batch.records().next().unwrap();
    assert_eq!(record.key, Some(br#"{"id":7}"#.as_slice()));
    assert_eq!(record.timestamp, Some(1_710_050_700_000));
    let headers: Vec<_> = record.headers().collect();
    assert_eq!(headers, [(b"x-shopify-topic".as_slice(), Some(b"orders/create".as_slice()))]);
}

#[test]
fn object_without_its_key_is_rejected_and_the_others_of_its_request_go_on() {
    testing::requests([request(1, &[], r#"[{"id":1},{"no":2},{"id":3}]"#)]);
    let polled = open(r#"{"key":["id"]}"#).poll(LIMITS).unwrap();
    assert_eq!(unreadable(&polled), [(1, "key.missing".to_owned(), Some("/id".to_owned()))]);
    let records = records(polled);
    assert_eq!(records.iter().map(|r| r.0.as_str()).collect::<Vec<_>>(), [r#"{"id":1}"#, "null", r#"{"id":3}"#]);
    assert_eq!(records[1].1, r#"{"no":2}"#);
    assert_eq!(testing::refused(), []);
}

#[test]
fn event_id_of_the_sender_is_the_key_and_stays_unique_within_a_request() {
    let id = [("x-event-id", "e\"1")];
    testing::requests([request(1, &id, "{}"), request(2, &id, "[{},{}]"), request(3, &[], "{}")]);
    let polled = open(r#"{"key-header":"X-Event-Id"}"#).poll(LIMITS).unwrap();
    assert_eq!(unreadable(&polled), [(3, "key.missing".to_owned(), None)]);
    let keys: Vec<String> = records(polled).into_iter().map(|r| r.0).collect();
    assert_eq!(keys, [r#""e\"1""#, r#""e\"1/0""#, r#""e\"1/1""#, "null"]);
}

#[test]
fn bad_request_is_refused_and_the_next_one_is_taken() {
    testing::requests([request(5, &[], "{\"a\":1}{"), request(6, &[], "{\"a\":2}")]);
    let polled = open("{}").poll(LIMITS).unwrap();
    assert_eq!(testing::refused().iter().map(|r| (r.0, r.1)).collect::<Vec<_>>(), [(5, 400)]);
    assert_eq!(records(polled).iter().map(|r| r.1.as_str()).collect::<Vec<_>>(), ["{\"a\":2}"]);
}

#[test]
fn request_is_never_cut_in_two_polls_and_one_that_does_not_fit_stays_in_the_inbox() {
    testing::requests([request(1, &[], "[{},{},{}]"), request(2, &[], "{}")]);
    let mut source = open("{}");
    let limits = Limits { records: 2, ..LIMITS };
    let polled = source.poll(limits).unwrap();
    assert_eq!((polled.records.len(), polled.idle), (3, Duration::ZERO));
    assert_eq!(source.poll(limits).unwrap().records.len(), 1);
}

#[test]
fn time_that_cannot_be_read_leaves_the_time_of_arrival() {
    testing::requests([request(1, &[], r#"{"at":"soon"}"#), request(2, &[], "{}")]);
    let polled = open(r#"{"event-time":"at"}"#).poll(LIMITS).unwrap();
    assert_eq!(records(polled).iter().map(|r| r.2).collect::<Vec<_>>(), [1_700_000_000_000; 2]);
}
