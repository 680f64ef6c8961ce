//! The sink against answers of a real server (18.16.1, recorded in `tests/`): what is sent, and what is told of each record.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use wharf_sdk::http::{Request, Response};
use wharf_sdk::{Verdict, testing};

use super::*;

mod once;
mod refused;
mod tables;
mod tombstones;

/// `id UInt32, name Nullable(String)` and the place; `noted` has a default of its own.
const ORDERS: &str = include_str!("../tests/describe-orders.json");
const SIZES: &str = include_str!("../tests/error-190.txt");
const NO_TABLE: &str = include_str!("../tests/error-60.txt");
const NO_COLUMN: &str = include_str!("../tests/error-16.txt");
const WRONG_PASSWORD: &str = include_str!("../tests/error-193.txt");

/// A server that answers from what is recorded.
struct Fake {
    /// Status and body.
    described: (u16, String),
    /// What `described` becomes with each description, and back.
    altering: Option<String>,
    /// What `described` becomes by the time that an insert comes.
    altered: Option<String>,
    engine: &'static str,
    settings: &'static str,
    /// Offsets of topic `t`, partition 0, with their times and the number of their rows.
    held: Vec<(i64, i64, usize)>,
    /// Ids of inserts that it still works on.
    under_way: Vec<String>,
    /// Queries with these words are answered so.
    failing: Option<(&'static str, u16, &'static str)>,
    /// Requests with these words are answered after so long, each time once.
    slow: Vec<(&'static str, Duration)>,
    /// What `held` becomes right after the first of them.
    meanwhile: Option<Vec<(i64, i64, usize)>>,
    /// Answers to inserts, by their body; `None`: they are taken.
    refuse: Box<Refusing>,
    /// Inserts that came.
    inserts: Vec<Insert>,
    queries: Vec<String>,
    /// Of all requests that are no inserts.
    urls: Vec<String>,
}

#[derive(Clone)]
struct Insert {
    url: String,
    statement: String,
    /// The rows.
    body: Vec<u8>,
}

impl Insert {
    /// `None`: another query.
    fn of(request: &Request) -> Option<Self> {
        let is_framed = request.url.contains("decompress=1");
        let content = request.body.get(if is_framed { frame::HEAD } else { 0 }..)?;
        let statement = content.split(|byte| *byte == b'\n').next()?;
        let body = content.get(statement.len() + 1..).unwrap_or_default().to_vec();
        let statement = String::from_utf8_lossy(statement).into_owned();
        statement.starts_with("INSERT").then(|| Self { url: request.url.clone(), statement, body })
    }
}

type Shared = Rc<RefCell<Fake>>;
type Refusing = dyn FnMut(&[u8]) -> Option<Result<Response>>;

impl Fake {
    fn answer(&mut self, request: &Request) -> Result<Response> {
        let text = String::from_utf8_lossy(&request.body).into_owned();
        let Some(slow) = self.slow.iter().position(|(words, _)| text.contains(*words)) else { return self.answer_now(request) };
        std::thread::sleep(self.slow.remove(slow).1);
        let answer = self.answer_now(request);
        self.held = self.meanwhile.take().unwrap_or_else(|| self.held.clone());
        answer
    }

    fn answer_now(&mut self, request: &Request) -> Result<Response> {
        if let Some(insert) = Insert::of(request) {
            self.described.1 = self.altered.take().unwrap_or_else(|| self.described.1.clone());
            let answer = (self.refuse)(&insert.body);
            self.inserts.push(insert);
            return answer.unwrap_or_else(|| Ok(Response::new(200, "")));
        }
        let query = String::from_utf8(request.body.clone()).unwrap();
        self.urls.push(request.url.clone());
        if let Some((_, status, text)) = self.failing.filter(|(words, ..)| query.contains(words)) {
            self.queries.push(query);
            return Ok(Response::new(status, text));
        }
        let rows = |rows: Vec<String>| format!("{{\"meta\":[],\"data\":[{}],\"rows\":{}}}", rows.join(","), rows.len());
        let words = |words: Vec<&str>| rows(words.iter().map(|word| format!("[\"{word}\"]")).collect());
        let answer = if query.starts_with("DESCRIBE") {
            let (status, text) = self.described.clone();
            if let Some(other) = &mut self.altering {
                std::mem::swap(other, &mut self.described.1);
            }
            return Ok(Response::new(status, text));
        } else if query.contains("system.tables") {
            words(vec![self.engine])
        } else if query.contains("system.settings") {
            words(self.settings.split_whitespace().collect())
        } else if query.contains("system.processes") {
            words(self.under_way.iter().map(String::as_str).collect())
        } else if query.contains("max(") {
            // As texts, as old servers have them.
            let highest = self.held.iter().map(|(offset, ..)| *offset).max();
            rows(highest.map(|highest| format!("[\"0\",\"{highest}\"]")).into_iter().collect())
        } else {
            let asked = query.split(" IN (").nth(1).unwrap().split(')').next().unwrap();
            let asked: Vec<i64> = asked.split(',').map(|offset| offset.parse().unwrap()).collect();
            let held = self.held.iter().filter(|(offset, ..)| asked.contains(offset));
            rows(held.map(|(offset, time, count)| format!("[{offset},{time},{count}]")).collect())
        };
        self.queries.push(query);
        Ok(Response::new(200, answer))
    }
}

fn server() -> Shared {
    let fake = Rc::new(RefCell::new(Fake {
        described: (200, ORDERS.to_owned()),
        altering: None,
        altered: None,
        engine: "MergeTree",
        settings: "insert_distributed_sync http_native_compression_disable_checksumming_on_decompress",
        held: Vec::new(),
        under_way: Vec::new(),
        failing: None,
        slow: Vec::new(),
        meanwhile: None,
        refuse: Box::new(|_| None),
        inserts: Vec::new(),
        queries: Vec::new(),
        urls: Vec::new(),
    }));
    let answering = Rc::clone(&fake);
    testing::http(move |request| answering.borrow_mut().answer(request));
    fake
}

fn sink(more: &str) -> ClickHouse {
    let config = format!(r#"{{"url": "http://ch:8123", "table": "orders"{more}}}"#);
    let mut sink = ClickHouse::open(&Context::new("events", config)).unwrap();
    assert_eq!(sink.assign(&[Partition { topic: "t".to_owned(), number: 0 }]), Ok(vec![None]));
    sink
}

fn batch(values: &[&str]) -> Batch {
    testing::batch("t", values.iter().map(|value| (None, Some(*value))))
}

/// Orders of these numbers.
fn orders(ids: &[u32]) -> Batch {
    let values: Vec<String> = ids.iter().map(|id| format!(r#"{{"id": {id}}}"#)).collect();
    batch(&values.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The same records from this offset on.
fn at(first: i64, batch: Batch) -> Batch {
    let mut raw: wharf_sdk::__private::types::Batch = batch.into();
    raw.offsets = (first..).take(raw.offsets.len()).collect();
    raw.into()
}

fn code(outcomes: &Outcomes, index: u32) -> Option<&str> {
    match outcomes.get(index)? {
        Verdict::Reject(rejection) => Some(&rejection.code),
        Verdict::Retry(_) => Some("retry"),
    }
}

fn codes(outcomes: &Outcomes, of: u32) -> Vec<&str> {
    (0..of).map(|index| code(outcomes, index).unwrap_or("")).collect()
}

/// A row of `orders`: number, no name, topic `t`, partition 0, an offset, no time.
fn row(id: u32, offset: i64) -> Vec<u8> {
    [&id.to_le_bytes()[..], &[1], &[1, b't'], &0_i32.to_le_bytes(), &offset.to_le_bytes(), &(-1_i64).to_le_bytes()].concat()
}

/// The numbers and offsets of the rows that were sent, insert by insert.
fn sent(fake: &Shared) -> Vec<Vec<(u32, i64)>> {
    let of = |row: &[u8]| {
        let (id, offset) = (row[..4].try_into().unwrap(), row[11..19].try_into().unwrap());
        (u32::from_le_bytes(id), i64::from_le_bytes(offset))
    };
    fake.borrow().inserts.iter().map(|request| request.body.chunks(row(0, 0).len()).map(of).collect()).collect()
}

#[test]
fn a_batch_is_one_insert_of_rows_that_know_their_place() {
    let fake = server();
    let mut sink = sink("");
    assert!(sink.write(&orders(&[7, 8])).unwrap().is_empty());
    let inserts = fake.borrow().inserts.clone();
    assert_eq!(inserts.len(), 1);
    assert_eq!(inserts[0].body, [row(7, 0), row(8, 1)].concat());
    let columns = "(`id`, `name`, `_topic`, `_partition`, `_offset`, `_timestamp`)";
    assert_eq!(inserts[0].statement, format!("INSERT INTO `default`.`orders` /* wharf:events */ {columns} FORMAT RowBinary"));
    let url = &inserts[0].url;
    assert!(url.starts_with("http://ch:8123/?database=default&query_id=wharf%3Aevents%3A"), "{url}");
    assert!(url.contains("insert_distributed_sync=1"), "{url}");
}

#[test]
fn a_bad_value_is_rejected_alone_before_anything_is_sent() {
    let fake = server();
    let outcomes = sink("").write(&batch(&[
        r#"{"id": 1}"#,
        r#"{"id": -1}"#,
        r#"{"id": 2, "name": 3}"#,
        "oops",
        "[]",
        r#"{"id": 4, "no/such": 1}"#,
        r#"{"id": 5, "_offset": 9}"#,
        r#"{"id": 6, "id": 7}"#,
        r#"{"id": 8, "gone": null}"#,
    ]));
    let outcomes = outcomes.unwrap();
    let expected = [
        "",
        "clickhouse.type",
        "clickhouse.type",
        "value.json",
        "value.object",
        "clickhouse.column",
        "clickhouse.column",
        "clickhouse.column",
        "",
    ];
    assert_eq!(codes(&outcomes, 9), expected);
    let field = |index| match outcomes.get(index) {
        Some(Verdict::Reject(rejection)) => rejection.field.clone().unwrap_or_default(),
        other => panic!("{other:?}"),
    };
    assert_eq!([1, 2, 5, 6].map(field), ["/id", "/name", "/no~1such", "/_offset"]);
    assert_eq!(sent(&fake), [vec![(1, 0), (8, 8)]]);
}

#[test]
fn a_field_goes_to_the_column_that_the_configuration_names() {
    let fake = server();
    let outcomes = sink(r#", "columns": {"ID": "id"}"#).write(&batch(&[r#"{"ID": 7}"#, r#"{"ID": -1}"#])).unwrap();
    assert_eq!(sent(&fake), [vec![(7, 0)]]);
    let Some(Verdict::Reject(rejection)) = outcomes.get(1) else { panic!("{outcomes:?}") };
    assert_eq!(rejection.field.as_deref(), Some("/ID"));
}

#[test]
fn fields_without_a_column_are_left_out_where_the_operator_says_so() {
    let fake = server();
    let outcomes = sink(r#", "extra-fields": "ignore""#).write(&batch(&[r#"{"id": 7, "more": 1}"#])).unwrap();
    assert!(outcomes.is_empty());
    assert_eq!(sent(&fake), [vec![(7, 0)]]);
}

#[test]
fn tombstones_are_rejected_unless_the_operator_says_otherwise() {
    let nothing = || testing::batch("t", [(Some("k"), None)]);
    let fake = server();
    assert_eq!(codes(&sink("").write(&nothing()).unwrap(), 1), ["clickhouse.tombstone"]);
    assert!(sink(r#", "tombstones": "skip""#).write(&nothing()).unwrap().is_empty());
    assert!(fake.borrow().inserts.is_empty());
}

#[test]
fn a_column_with_an_expression_is_left_out_where_its_field_is_missing() {
    let fake = server();
    let values = [r#"{"id": 1}"#, r#"{"id": 2, "noted": 5}"#, r#"{"id": 3, "noted": 6}"#, r#"{"id": 4}"#];
    let plain = row(0, 0).len();
    let inserts = |fake: &Shared| -> Vec<_> {
        fake.borrow().inserts.iter().map(|r| (r.statement.contains("noted"), r.body.len())).collect()
    };
    // However the records take turns.
    assert!(sink("").write(&batch(&values)).unwrap().is_empty());
    assert_eq!(inserts(&fake), [(false, 2 * plain), (true, 2 * (plain + 1))]);
    assert_eq!(fake.borrow().inserts[0].body, [row(1, 0), row(4, 3)].concat());
    // A table of another engine may count the last row of a key.
    fake.borrow_mut().inserts.clear();
    assert!(sink(r#", "deduplicate": "none""#).write(&batch(&values)).unwrap().is_empty());
    assert_eq!(inserts(&fake), [(false, plain), (true, 2 * (plain + 1)), (false, plain)]);
}
