//! The source against recorded answers of Odoo 19.0: what is asked, what each answer leads to, what a restart goes on from.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use serde_json::Value;
use wharf_sdk::http::{Request, Response};
use wharf_sdk::testing;

use super::*;

const FIELDS: &str = include_str!("../tests/fields.json");
const PARTNERS: &str = include_str!("../tests/partners.json");
const LIMITS: Limits = Limits { records: 100, bytes: 1 << 20, wait: Duration::ZERO };

type Sent = Rc<RefCell<Vec<Request>>>;

fn answer(body: impl Into<Vec<u8>>) -> Response {
    Response::new(200, body).with_header("Date", "Wed, 01 May 2024 10:05:00 GMT")
}

fn open(more: &str, positions: Vec<Position>) -> Odoo {
    let config = format!(r#"{{"url": "https://erp.example.com", "database": "erp", "model": "res.partner"{more}}}"#);
    Odoo::open(&Context::new("erp", config), positions).unwrap()
}

/// Answers in their order, after the fields.
fn answers(answers: impl IntoIterator<Item = Response>) -> Sent {
    counted(answers, [])
}

/// The same, and what is left above a page of ids: nothing where it is not said.
fn counted(answers: impl IntoIterator<Item = Response>, counts: impl IntoIterator<Item = &'static str>) -> Sent {
    let mut counts: VecDeque<&str> = counts.into_iter().collect();
    let sent = Sent::default();
    let requests = Rc::clone(&sent);
    let mut answers: VecDeque<Response> = answers.into_iter().collect();
    testing::http(move |request| {
        requests.borrow_mut().push(request.clone());
        if request.url.ends_with("/fields_get") {
            return Ok(answer(FIELDS));
        }
        if request.url.ends_with("/search_count") {
            return Ok(answer(counts.pop_front().unwrap_or("0")));
        }
        Ok(answers.pop_front().expect("no answer is left"))
    });
    sent
}

/// Polls through the requests for fields, undated records and the rest, and what follows until a wait.
fn until_idle(source: &mut Odoo, stored: &mut BTreeMap<String, Position>) -> Vec<String> {
    let mut records = Vec::new();
    for _ in 0..50 {
        let polled = source.poll(LIMITS).unwrap();
        for position in polled.positions {
            stored.insert(position.slice.clone(), position);
        }
        for record in &polled.records.into_batch() {
            let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
            records.push(if record.value.is_some() { key } else { format!("-{key}") });
        }
        if !polled.idle.is_zero() {
            assert_eq!(polled.idle, Duration::from_secs(30));
            return records;
        }
    }
    panic!("the source does not come to rest");
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

#[test]
fn a_model_is_asked_for_what_the_configuration_says() {
    let sent = answers([answer("[]"), answer(PARTNERS)]);
    let more = r#", "fields": ["name", "country_id"], "domain": ["|", ["a", "=", 1], ["b", "=", false]], "archived": true, "page-size": 7"#;
    let records = until_idle(&mut open(more, Vec::new()), &mut BTreeMap::new());
    assert_eq!(records, [r#"{"id":11}"#, r#"{"id":12}"#]);
    let sent = sent.borrow();
    let urls: Vec<_> = sent.iter().map(|request| request.url.rsplit_once('/').unwrap().1).collect();
    assert_eq!(urls, ["fields_get", "search_read", "search_read"]);
    let expected = serde_json::json!({
        "domain": [["write_date", "!=", false], "|", ["a", "=", 1], ["b", "=", false]],
        "fields": ["country_id", "id", "name", "write_date"], "order": "write_date, id", "limit": 7,
        "context": {"active_test": false}, "load": ""
    });
    assert_eq!(body(&sent[2]), expected);
}

#[test]
fn a_record_has_its_key_its_time_and_its_value() {
    answers([answer("[]"), answer(PARTNERS)]);
    let mut source = open("", Vec::new());
    source.poll(LIMITS).unwrap();
    source.poll(LIMITS).unwrap();
    let polled = source.poll(LIMITS).unwrap();
    let batch = polled.records.into_batch();
    let record = batch.records().next().unwrap();
    assert_eq!((record.key, record.timestamp), (Some(br#"{"id":11}"#.as_slice()), Some(1_714_557_600_000)));
    let expected: Vec<Value> = serde_json::from_slice(include_bytes!("../tests/partners-expected.json")).unwrap();
    assert_eq!(record.json::<Value>().unwrap(), expected[0]);
    assert_eq!(polled.positions.iter().map(|p| p.slice.as_str()).collect::<Vec<_>>(), ["res.partner"]);
}

#[test]
fn limits_of_a_poll_cut_a_page_and_a_restart_goes_on_behind_the_last_record() {
    let sent = answers([answer("[]"), answer(PARTNERS), answer(r#"[]"#), answer(PARTNERS)]);
    let mut source = open("", Vec::new());
    source.poll(LIMITS).unwrap();
    source.poll(LIMITS).unwrap();
    let one = Limits { records: 1, ..LIMITS };
    let first = source.poll(one).unwrap();
    assert_eq!((first.records.len(), first.idle), (1, Duration::ZERO));
    let mut restarted = open("", first.positions);
    assert_eq!(until_idle(&mut restarted, &mut BTreeMap::new()), [r#"{"id":12}"#]);
    let conditions = body(&sent.borrow()[4])["domain"].to_string();
    assert_eq!(
        conditions,
        r#"[["write_date",">=","2024-05-01 10:00:00"],["write_date","<","2024-05-01 10:00:01"],["id",">",11]]"#
    );
}

#[test]
fn an_unchanged_record_within_the_overlap_is_not_repeated_over_a_restart() {
    let sent = answers([answer("[]"), answer(PARTNERS), answer(PARTNERS), answer(PARTNERS.replace("Bob", "Rob"))]);
    let mut stored = BTreeMap::new();
    let mut source = open("", Vec::new());
    until_idle(&mut source, &mut stored);
    assert_eq!(until_idle(&mut source, &mut stored), [] as [&str; 0]);
    let from = body(sent.borrow().last().unwrap())["domain"].to_string();
    assert_eq!(from, r#"[["write_date",">=","2024-05-01 09:54:59"]]"#, "ten minutes before the read, and a second for its way");
    let mut restarted = open("", stored.into_values().collect());
    assert_eq!(until_idle(&mut restarted, &mut BTreeMap::new()), [r#"{"id":12}"#]);
}

#[test]
fn what_a_sweep_does_not_find_becomes_a_tombstone_and_what_it_finds_besides_is_read() {
    let sweep = r#", "deletions": "sweep""#;
    let other = PARTNERS.replace("\"id\": 11", "\"id\": 9").replace("\"id\": 12", "\"id\": 13");
    let sent = answers([answer("[]"), answer(PARTNERS), answer("[11, 12]"), answer("[]"), answer("[9, 12, 13]"), answer(other)]);
    let mut stored = BTreeMap::new();
    assert_eq!(until_idle(&mut open(sweep, Vec::new()), &mut stored), [r#"{"id":11}"#, r#"{"id":12}"#]);
    assert_eq!(stored.keys().collect::<Vec<_>>(), ["res.partner", "res.partner#ids"]);
    let mut restarted = open(sweep, stored.into_values().collect());
    let records = until_idle(&mut restarted, &mut BTreeMap::new());
    assert_eq!(records, [r#"-{"id":11}"#, r#"{"id":9}"#, r#"{"id":13}"#]);
    let sent = sent.borrow();
    let read = sent.iter().rfind(|request| request.url.ends_with("/search_read")).unwrap();
    assert_eq!(body(read)["domain"].to_string(), r#"[["id","in",[9,13]]]"#);
}

#[test]
fn a_page_of_ids_that_odoo_has_cut_makes_no_tombstones_of_what_is_above_it() {
    let sent = counted([answer("[]"), answer(PARTNERS), answer("[11]"), answer("[12]")], ["1", "0"]);
    let records = until_idle(&mut open(r#", "deletions": "sweep""#, Vec::new()), &mut BTreeMap::new());
    assert_eq!(records, [r#"{"id":11}"#, r#"{"id":12}"#]);
    let sent = sent.borrow();
    let methods: Vec<_> = sent.iter().skip(3).map(|request| request.url.rsplit_once('/').unwrap().1).collect();
    assert_eq!(methods, ["search", "search_count", "search", "search_count"]);
    assert_eq!(body(&sent[4])["domain"].to_string(), r#"[["id",">",11]]"#);
}

#[test]
fn after_a_restart_with_no_record_handed_over_a_sweep_reads_what_has_come_into_the_domain() {
    let sweep = r#", "deletions": "sweep""#;
    answers([answer("[]"), answer(PARTNERS), answer("[]"), answer("[]"), answer("[11, 12]"), answer(PARTNERS)]);
    let mut stored = BTreeMap::new();
    let first = until_idle(&mut open(sweep, Vec::new()), &mut stored);
    assert_eq!(first, [r#"{"id":11}"#, r#"{"id":12}"#, r#"-{"id":11}"#, r#"-{"id":12}"#]);
    stored.retain(|_, position| !position.place.is_empty());
    let mut restarted = open(sweep, stored.into_values().collect());
    assert_eq!(until_idle(&mut restarted, &mut BTreeMap::new()), [r#"{"id":11}"#, r#"{"id":12}"#]);
}

#[test]
fn what_was_a_tombstone_and_is_back_as_it_was_is_read_again() {
    answers([answer("[]"), answer(PARTNERS), answer("[12]"), answer(PARTNERS)]);
    let mut source = open(r#", "deletions": "sweep""#, Vec::new());
    let first = until_idle(&mut source, &mut BTreeMap::new());
    assert_eq!(first, [r#"{"id":11}"#, r#"{"id":12}"#, r#"-{"id":11}"#]);
    assert_eq!(until_idle(&mut source, &mut BTreeMap::new()), [r#"{"id":11}"#]);
}

#[test]
fn a_position_of_another_domain_is_not_gone_on_from() {
    let sent = answers([answer("[]"), answer(PARTNERS), answer("[]"), answer(PARTNERS)]);
    let mut stored = BTreeMap::new();
    until_idle(&mut open("", Vec::new()), &mut stored);
    let mut other = open(r#", "domain": [["active", "=", true]]"#, stored.into_values().collect());
    assert_eq!(until_idle(&mut other, &mut BTreeMap::new()).len(), 2);
    assert_eq!(body(&sent.borrow()[4])["domain"][0].to_string(), r#"["write_date","=",false]"#);
}

#[test]
fn more_changes_within_the_overlap_than_a_position_holds_stop_the_source_and_name_the_setting() {
    let rows: Vec<Value> =
        (0..40_000).map(|n| serde_json::json!({"id": n * 1000, "write_date": "2024-05-01 10:00:00"})).collect();
    answers([answer("[]"), answer(serde_json::to_vec(&rows).unwrap())]);
    let mut source = open(r#", "fields": ["name"], "page-size": 50000"#, Vec::new());
    source.poll(LIMITS).unwrap();
    source.poll(LIMITS).unwrap();
    let Err(Error::Fatal(text)) = source.poll(Limits { records: 50_000, bytes: 1 << 30, ..LIMITS }) else { panic!("fatal") };
    assert!(text.contains("config.overlap") && text.contains("40000"), "{text}");
}

/// A source that has its fields, before these answers.
fn asking(first: impl IntoIterator<Item = Response>) -> Odoo {
    answers(first);
    let mut source = open("", Vec::new());
    source.poll(LIMITS).unwrap();
    source
}

#[test]
fn a_busy_server_is_asked_again_after_the_pause_it_wants() {
    let mut source = asking([Response::new(429, "").with_header("Retry-After", "7"), answer("[]")]);
    let Error::Retry { after, .. } = source.poll(LIMITS).unwrap_err() else { panic!("retry") };
    assert_eq!(after, Some(Duration::from_secs(7)));
    source.poll(LIMITS).unwrap();
}

#[test]
fn refused_credentials_are_tried_twice_and_then_stop_the_source() {
    let refused = || Response::new(401, include_str!("../../shared/odoo-api/tests/wrong-key.json"));
    let mut source = asking([refused(), refused(), refused()]);
    assert!(matches!(source.poll(LIMITS), Err(Error::Retry { .. })));
    assert!(matches!(source.poll(LIMITS), Err(Error::Retry { .. })));
    let Err(Error::Fatal(text)) = source.poll(LIMITS) else { panic!("fatal") };
    assert!(text.contains(r#"[source.auth."erp.example.com"]"#) && text.contains("Invalid apikey"), "{text}");
}

#[test]
fn a_request_that_odoo_fails_over_is_tried_five_times_and_then_stops_the_source() {
    let failed = || Response::new(500, include_str!("../../shared/odoo-api/tests/bad-value.json"));
    let mut source = asking((0..6).map(|_| failed()));
    for _ in 0..5 {
        assert!(matches!(source.poll(LIMITS), Err(Error::Retry { .. })));
    }
    let Err(Error::Fatal(text)) = source.poll(LIMITS) else { panic!("fatal") };
    assert!(text.contains("psycopg2.errors.InvalidTextRepresentation"), "{text}");
}

#[test]
fn what_cannot_work_stops_the_source_at_once_and_says_what_to_look_at() {
    for (response, expected) in [
        (Response::new(404, include_str!("../../shared/odoo-api/tests/unknown-model.json")), "config.model"),
        (Response::new(404, include_str!("../../shared/odoo-api/tests/no-database.html")), "config.database"),
        (Response::new(422, include_str!("../../shared/odoo-api/tests/wrong-argument.json")), "unexpected keyword"),
        (Response::new(303, "").with_header("Location", "https://login.example.net/x"), "login.example.net"),
    ] {
        let mut source = asking([response]);
        let Err(Error::Fatal(text)) = source.poll(LIMITS) else { panic!("fatal") };
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn broken_answers_are_asked_for_again() {
    for body in ["<html>Sign in</html>", r#"[{"id": 7"#, "", r#"[{"name": "x"}]"#] {
        let mut source = asking([answer(body), answer("[]")]);
        assert!(matches!(source.poll(LIMITS), Err(Error::Retry { .. })), "{body}");
        source.poll(LIMITS).unwrap();
    }
}

#[test]
fn a_second_task_has_nothing_to_read() {
    let context = Context::new("erp", r#"{"url": "https://erp.example.com", "model": "res.partner"}"#).as_task(1, 2);
    assert!(Odoo::open(&context, Vec::new()).unwrap().poll(LIMITS).unwrap().finished);
}
