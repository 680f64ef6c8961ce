//! The source without Wharf, against answers that the test gives.

use std::time::Duration;

use wharf_sdk::http::Response;
use wharf_sdk::{Batch, testing};

use super::*;

const LIMITS: Limits = Limits {
    records: 1000,
    bytes: 1 << 20,
    wait: Duration::ZERO,
};
const URL: &str = "https://api.example.com/v1/items";

fn config() -> String {
    format!(r#"{{"url": "{URL}", "page-size": 2, "interval": "1m"}}"#)
}

fn open(positions: Vec<Position>) -> Items {
    Items::open(&Context::new("items", config()), positions).unwrap()
}

/// An API with items of these ids.
fn serve(ids: &'static [u64]) {
    testing::http(move |request| {
        let after = request
            .url
            .split("after=")
            .nth(1)
            .map_or(0, |after| after.parse().unwrap());
        let page: Vec<String> = ids
            .iter()
            .filter(|id| **id > after)
            .take(2)
            .map(|id| format!(r#"{{"id":{id}}}"#))
            .collect();
        Ok(Response::new(200, format!("[{}]", page.join(","))))
    });
}

fn keys(batch: &Batch) -> Vec<String> {
    batch
        .records()
        .map(|record| String::from_utf8(record.key.unwrap_or(b"none").to_vec()).unwrap())
        .collect()
}

#[test]
fn every_item_is_read_once_over_a_restart() {
    serve(&[1, 2, 5]);
    let first = open(Vec::new()).poll(LIMITS).unwrap();
    assert_eq!(first.idle, Duration::ZERO, "there may be more");
    let mut restarted = open(first.positions.clone());
    let second = restarted.poll(LIMITS).unwrap();
    assert_eq!(
        keys(&first.records.into_batch()),
        [r#"{"id":1}"#, r#"{"id":2}"#]
    );
    assert_eq!(keys(&second.records.into_batch()), [r#"{"id":5}"#]);
    assert_eq!(
        restarted.poll(LIMITS).unwrap().idle,
        Duration::from_secs(60)
    );
}

#[test]
fn an_item_without_an_id_goes_to_the_dead_letters_and_the_others_go_on() {
    testing::http(|_| Ok(Response::new(200, r#"[{"name": "x"}, {"id": 2}]"#)));
    let polled = open(Vec::new()).poll(LIMITS).unwrap();
    let (index, why) = polled.records.unreadable().next().unwrap();
    assert_eq!(
        (index, why.code.as_str(), why.field.as_deref()),
        (0, "item.id", Some("/id"))
    );
    assert_eq!((polled.records.len(), polled.positions.len()), (2, 1));
}

#[test]
fn a_page_that_leads_nowhere_stops_the_source_instead_of_being_read_for_ever() {
    testing::http(|_| Ok(Response::new(200, r#"[{"id": 1}, {"id": 2}]"#)));
    let mut source = open(Vec::new());
    source.poll(LIMITS).unwrap();
    assert!(matches!(source.poll(LIMITS), Err(Error::Fatal(why)) if why.contains("cannot go on")));
}

#[test]
fn each_status_says_what_is_to_be_done() {
    for (status, expected) in [
        (401, "look at `auth`"),
        (404, "look at `url`"),
        (422, "does not take the request"),
    ] {
        testing::http(move |_| Ok(Response::new(status, "no")));
        let answer = open(Vec::new()).poll(LIMITS);
        assert!(
            matches!(&answer, Err(Error::Fatal(why)) if why.contains(expected)),
            "{answer:?}"
        );
    }
    for status in [429, 503] {
        testing::http(move |_| Ok(Response::new(status, "").with_header("retry-after", "7")));
        let answer = open(Vec::new()).poll(LIMITS);
        let wait = Some(Duration::from_secs(7));
        assert!(matches!(answer, Err(Error::Retry { after, .. }) if after == wait));
    }
}

#[test]
fn the_manifest_says_what_the_configuration_is() {
    let least = format!(r#"{{"url": "{URL}"}}"#);
    let said = testing::configuration::<Config>(include_str!("../connector.toml"), &least);
    assert_eq!(said, Ok(()));
}
