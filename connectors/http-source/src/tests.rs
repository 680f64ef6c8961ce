//! The source against answers by hand: what is asked for, what comes out, and from where a restart goes on.

use std::cell::RefCell;
use std::rc::Rc;

use wharf_sdk::http::{Request, Response};
use wharf_sdk::testing;

use super::*;

mod again;
mod changing;
mod late;
mod pages;
mod rounds;
mod templates;

/// Method, URL and body of each request.
type Asked = Rc<RefCell<Vec<Request>>>;

/// A source under test, with what it has handed over.
struct Reading {
    source: Http,
    positions: Vec<Position>,
    /// Value of each record, and codes of what could not be read in parentheses.
    values: Vec<String>,
    keys: Vec<Option<String>>,
}

/// From now on these answer, by the URL's part behind the host.
fn answers(answer: impl Fn(&str) -> Response + 'static) -> Asked {
    let asked = Asked::default();
    let requests = Rc::clone(&asked);
    testing::http(move |request| {
        requests.borrow_mut().push(request.clone());
        Ok(answer(request.url.strip_prefix("https://api.example.com").unwrap_or(&request.url)))
    });
    asked
}

fn json(body: impl Into<String>) -> Response {
    Response::new(200, body.into())
}

fn open(config: &str, positions: &[Position]) -> Result<Reading> {
    let config = format!(r#"{{"url": "https://api.example.com/orders"{config}}}"#);
    let source = Http::open(&Context::new("orders", config), positions.to_vec())?;
    Ok(Reading { source, positions: positions.to_vec(), values: Vec::new(), keys: Vec::new() })
}

impl Reading {
    /// One poll of at most so many records; answers whether the round is at its end.
    fn poll(&mut self, records: usize) -> Result<bool> {
        let limits = Limits { records, bytes: 4 << 20, wait: Duration::from_millis(10) };
        let polled = self.source.poll(limits)?;
        let unreadable: Vec<_> = polled.records.unreadable().map(|(index, why)| (index, why.code)).collect();
        if !polled.positions.is_empty() {
            self.positions.clone_from(&polled.positions);
        }
        let batch = polled.records.into_batch();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        for record in &batch {
            let code = unreadable.iter().find(|(index, _)| *index == record.index).map(|(_, code)| format!("({code})"));
            self.values.push(code.unwrap_or_else(|| text(record.value.unwrap())));
            self.keys.push(record.key.map(text));
        }
        Ok(!polled.idle.is_zero())
    }

    /// A round; answers what it brought.
    fn round(&mut self) -> Vec<String> {
        for _ in 0..100 {
            if self.poll(3).unwrap() {
                return std::mem::take(&mut self.values);
            }
        }
        panic!("the round does not come to an end: {:?}", self.values);
    }
}

/// What of the URLs follows the host, and the bodies.
fn urls(asked: &Asked) -> Vec<String> {
    asked.borrow().iter().map(|request| request.url.replace("https://api.example.com", "")).collect()
}

fn fatal(result: Result<impl std::fmt::Debug>) -> String {
    let Err(Error::Fatal(text)) = result else { panic!("fatal, not {result:?}") };
    text
}

#[test]
fn the_records_of_an_answer_come_out_as_they_stood_with_their_key() {
    answers(|_| json(r#"{"data": [{"id": 1, "n" : 1.0e2 }, {"id": "\u00e9", "at": {"day": 2}}]}"#));
    let mut reading = open(r#", "records": "$.data", "key": ["id"]"#, &[]).unwrap();
    assert_eq!(reading.round(), [r#"{"id": 1, "n" : 1.0e2 }"#, r#"{"id": "\u00e9", "at": {"day": 2}}"#]);
    assert_eq!(reading.keys, [Some(r#"{"id":1}"#.to_owned()), Some(r#"{"id":"é"}"#.to_owned())]);
    answers(|_| json(r#"[{"order": {"id": 7}, "line": 2}]"#));
    let mut reading = open(r#", "key": ["$.order.id", "line"]"#, &[]).unwrap();
    reading.round();
    assert_eq!(reading.keys, [Some(r#"{"id":7,"line":2}"#.to_owned())]);
}

#[test]
fn a_record_without_key_or_cursor_is_rejected_alone_and_told_of_once() {
    answers(|_| json(r#"[{"id": 1, "at": 5}, {"at": 6}, {"id": 3}, {"id": 4, "at": []}, 5, {"id": 6, "at": 7}]"#));
    let config = r#", "key": ["id"], "cursor": "at""#;
    let mut reading = open(config, &[]).unwrap();
    let expected = [
        "{\"id\": 1, \"at\": 5}",
        "(key.missing)",
        "(cursor.missing)",
        "(cursor.type)",
        "(cursor.missing)",
        "{\"id\": 6, \"at\": 7}",
    ];
    assert_eq!(reading.round(), expected);
    assert_eq!(reading.round(), [""; 0]);
    let mut restarted = open(config, &reading.positions).unwrap();
    assert_eq!(restarted.round(), [""; 0]);
}

#[test]
fn a_line_that_is_no_json_is_rejected_alone() {
    answers(|_| json("{\"id\": 1}\n{\"id\": \n{\"id\": 3}\n"));
    let mut reading = open(r#", "format": "json-lines", "key": ["id"]"#, &[]).unwrap();
    assert_eq!(reading.round(), ["{\"id\": 1}", "(value.json)", "{\"id\": 3}"]);
}

#[test]
fn answers_that_are_none_are_asked_for_again_and_bring_nothing() {
    for (answer, expected) in [
        (("<html>", 200), "no JSON"),
        ((r#"{"error": "busy"}"#, 200), "nothing at `$.data`"),
        ((r#"{"data": [], "errors": ["busy"]}"#, 200), "an error by `$.errors`"),
        (("try later", 503), "answers 503: try later"),
    ] {
        let (body, status) = answer;
        let once = RefCell::new(true);
        answers(move |_| {
            if once.replace(false) {
                Response::new(status, body).with_header("Retry-After", "7")
            } else {
                json(r#"{"data": [1]}"#)
            }
        });
        let mut reading = open(r#", "records": "$.data", "fail-if": "$.errors""#, &[]).unwrap();
        let Err(Error::Retry { message, after }) = reading.poll(3) else { panic!("{body}: retry") };
        assert!(message.contains(expected), "{message}");
        assert_eq!(after, (status == 503).then(|| Duration::from_secs(7)));
        assert_eq!(reading.round(), ["1"]);
    }
}

#[test]
fn refused_credentials_are_tried_twice_more_and_other_statuses_stop_the_source_at_once() {
    answers(|_| Response::new(403, ""));
    let mut reading = open("", &[]).unwrap();
    assert!(matches!(reading.poll(3), Err(Error::Retry { .. })));
    assert!(matches!(reading.poll(3), Err(Error::Retry { .. })));
    assert!(fatal(reading.poll(3)).contains(r#"[source.auth."api.example.com"]"#));
    answers(|_| Response::new(404, "no such list"));
    assert!(fatal(open("", &[]).unwrap().poll(3)).contains("api.example.com answers 404: no such list"));
    answers(|_| Response::new(302, "").with_header("Location", "https://new.example.com/x"));
    assert!(fatal(open("", &[]).unwrap().poll(3)).contains("redirects to new.example.com (302)"));
    answers(|_| Response::new(404, ""));
    assert_eq!(open(r#", "end": [404]"#, &[]).unwrap().round(), [""; 0]);
}

#[test]
fn of_several_tasks_the_first_reads() {
    let context = Context::new("orders", r#"{"url": "https://api.example.com/orders"}"#).as_task(1, 2);
    let mut source = Http::open(&context, Vec::new()).unwrap();
    assert!(source.poll(Limits { records: 1, bytes: 1, wait: Duration::ZERO }).unwrap().finished);
}
