//! The sink against answers by hand: what arrives there, and what is told of each record.

use std::cell::RefCell;
use std::rc::Rc;

use wharf_sdk::{Verdict, testing};

use super::*;

mod beyond_the_status;
mod per_record;

type Arrived = Rc<RefCell<Vec<Request>>>;

/// A sink whose receiver answers as `answer` says, from the body.
fn sink(config: &str, answer: impl Fn(&str) -> Response + 'static) -> (Http, Arrived) {
    let arrived = Arrived::default();
    let requests = Rc::clone(&arrived);
    testing::http(move |request| {
        requests.borrow_mut().push(request.clone());
        Ok(answer(std::str::from_utf8(&request.body).unwrap()))
    });
    let config = format!(r#"{{"url": "https://api.example.com/events"{config}}}"#);
    (Http::open(&Context::new("events", config)).unwrap(), arrived)
}

fn batch(values: &[&str]) -> Batch {
    testing::batch("t", values.iter().map(|value| (None, Some(*value))))
}

fn bodies(arrived: &Arrived) -> Vec<String> {
    arrived.borrow().iter().map(|r| String::from_utf8(r.body.clone()).unwrap()).collect()
}

fn code(outcomes: &Outcomes, index: u32) -> Option<&str> {
    match outcomes.get(index)? {
        Verdict::Reject(rejection) => Some(&rejection.code),
        Verdict::Retry(_) => Some("retry"),
    }
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

#[test]
fn a_batch_arrives_as_lines_with_its_key_and_headers() {
    let (mut sink, arrived) = sink(r#", "headers": {"X-Tenant": "7"}, "max-batch": 2"#, |_| Response::new(202, "ok"));
    assert!(sink.write(&batch(&["1", "2", "3"])).unwrap().is_empty());
    assert_eq!(bodies(&arrived), ["1\n2\n", "3\n"]);
    let request = arrived.borrow()[0].clone();
    assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "https://api.example.com/events"));
    assert_eq!(header(&request, "content-type"), Some("application/x-ndjson"));
    assert_eq!(header(&request, "idempotency-key"), Some("t/0/0-1:2"));
    assert_eq!(header(&request, "x-tenant"), Some("7"));
    assert_eq!(header(&arrived.borrow()[1], "idempotency-key"), Some("t/0/2"));
}

#[test]
fn only_the_bad_record_of_a_refused_batch_is_rejected() {
    let long = "x".repeat(300);
    let answer = move |body: &str| if body.contains("bad") { Response::new(422, long.clone()) } else { Response::new(200, "") };
    let (mut sink, arrived) = sink(r#", "body": "json-array""#, answer);
    let outcomes = sink.write(&batch(&["1", "\"bad\"", "3"])).unwrap();
    assert_eq!(outcomes.len(), 1);
    let Some(Verdict::Reject(rejection)) = outcomes.get(1) else { panic!("{outcomes:?}") };
    assert_eq!(rejection.code, "http.422");
    assert_eq!(rejection.message, format!("api.example.com answers 422: {}", "x".repeat(200)));
    assert_eq!(bodies(&arrived), ["[1,\"bad\",3]", "[1]", "[\"bad\"]", "[3]"]);
}

#[test]
fn after_an_answer_that_means_later_nothing_more_is_sent() {
    let answer = |body: &str| {
        if body.contains('2') { Response::new(429, "").with_header("Retry-After", "9") } else { Response::new(200, "") }
    };
    let (mut sink, arrived) = sink(r#", "body": "record""#, answer);
    let outcomes = sink.write(&batch(&["1", "2", "3"])).unwrap();
    let later = Some(&Verdict::Retry(Some(Duration::from_secs(9))));
    assert_eq!((outcomes.get(0), outcomes.get(1), outcomes.get(2)), (None, later, later));
    assert_eq!(bodies(&arrived), ["1", "2"]);
}

#[test]
fn a_call_of_which_nothing_was_sent_comes_again_as_a_whole() {
    let (mut sink, _) = sink("", |_| Response::new(503, "").with_header("Retry-After", "3"));
    let error = sink.write(&batch(&["1", "2"])).unwrap_err();
    assert_eq!(error, Error::retry("api.example.com answers 503").after(Duration::from_secs(3)));
}

#[test]
fn later_in_the_middle_of_single_records_keeps_what_was_decided() {
    let answer = |body: &str| match body.trim() {
        "1" => Response::new(200, ""),
        "2" => Response::new(400, ""),
        "3" => Response::new(500, ""),
        _ => Response::new(413, ""),
    };
    let (mut sink, arrived) = sink("", answer);
    let outcomes = sink.write(&batch(&["1", "2", "3", "4"])).unwrap();
    let codes: Vec<_> = (0..4).map(|index| code(&outcomes, index)).collect();
    assert_eq!(codes, [None, Some("http.400"), Some("retry"), Some("retry")]);
    assert_eq!(bodies(&arrived), ["1\n2\n3\n4\n", "1\n", "2\n", "3\n"]);
}

#[test]
fn refused_credentials_reject_no_record_and_stop_the_sink() {
    let (mut sink, _) = sink("", |_| Response::new(401, ""));
    assert!(matches!(sink.write(&batch(&["1"])), Err(Error::Retry { .. })));
    assert!(matches!(sink.write(&batch(&["1"])), Err(Error::Retry { .. })));
    let Err(Error::Fatal(text)) = sink.write(&batch(&["1"])) else { panic!("fatal") };
    assert!(text.contains(r#"[sink.auth."api.example.com"]"#), "{text}");
}

#[test]
fn redirects_are_not_followed() {
    let (mut sink, arrived) = sink("", |_| Response::new(308, "").with_header("Location", "https://me:pw@new.example.com/x?y"));
    let Err(Error::Fatal(text)) = sink.write(&batch(&["1"])) else { panic!("fatal") };
    assert_eq!(text, "api.example.com redirects to new.example.com (308): give the address itself in `config.url`");
    assert_eq!(arrived.borrow().len(), 1);
}

#[test]
fn what_is_no_json_is_rejected_and_the_others_are_sent() {
    let (mut sink, arrived) = sink("", |_| Response::new(200, ""));
    let outcomes = sink.write(&testing::batch("t", [(None, Some("1")), (None, Some("oops")), (None, None)])).unwrap();
    let codes: Vec<_> = (0..3).map(|index| code(&outcomes, index)).collect();
    assert_eq!(codes, [None, Some("value.json"), Some("http.tombstone")]);
    assert_eq!(bodies(&arrived), ["1\n"]);
}

/// Values, each in the partition of its first character.
fn apart(values: &[&str]) -> Batch {
    let mut records = wharf_sdk::Records::new();
    for value in values {
        records.push(wharf_sdk::NewRecord::new().topic(&value[..1]).value(format!("\"{value}\"").as_bytes()));
    }
    records.into_batch()
}

#[test]
fn each_partition_waits_for_as_long_as_it_was_asked_to() {
    let answer = |body: &str| match body.trim() {
        "\"a1\"" => Response::new(500, ""),
        "\"b1\"" => Response::new(429, "").with_header("Retry-After", "9"),
        _ => Response::new(200, ""),
    };
    let (mut sink, arrived) = sink(r#", "max-batch": 1"#, answer);
    let outcomes = sink.write(&apart(&["a1", "b1", "c1", "a2", "b2", "c2"])).unwrap();
    let (soon, asked) = (Some(&Verdict::Retry(None)), Some(&Verdict::Retry(Some(Duration::from_secs(9)))));
    let told: Vec<_> = (0..6).map(|index| outcomes.get(index)).collect();
    assert_eq!(told, [soon, asked, None, soon, asked, soon]);
    assert_eq!(bodies(&arrived), ["\"a1\"\n", "\"b1\"\n", "\"c1\"\n"]);
}

#[test]
fn where_nothing_is_decided_too_a_partition_waits_no_longer_than_it_was_asked_to() {
    let answer = |body: &str| match body.trim() {
        "\"a1\"" => Response::new(500, ""),
        _ => Response::new(429, "").with_header("Retry-After", "9"),
    };
    let (mut sink, _) = sink(r#", "max-batch": 1"#, answer);
    let outcomes = sink.write(&apart(&["a1", "b1"])).unwrap();
    let asked = Duration::from_secs(9);
    assert_eq!((outcomes.get(0), outcomes.get(1)), (Some(&Verdict::Retry(None)), Some(&Verdict::Retry(Some(asked)))));
    let error = sink.write(&apart(&["b1", "c1"])).unwrap_err();
    assert_eq!(error, Error::retry("api.example.com answers 429").after(asked));
}

#[test]
fn a_call_that_asks_the_receiver_nothing_does_not_clear_its_credentials() {
    let (mut sink, _) = sink(r#", "tombstones": "skip""#, |_| Response::new(401, ""));
    let nothing = testing::batch("t", [(None, None)]);
    for _ in 0..2 {
        assert!(matches!(sink.write(&batch(&["1"])), Err(Error::Retry { .. })));
        assert!(sink.write(&nothing).unwrap().is_empty());
    }
    assert!(matches!(sink.write(&batch(&["1"])), Err(Error::Fatal(_))));
}
