//! Rules of the built-in transforms, by step; what they have in common stands in `records` and `counters`.
use serde_json::{Value, json};

use super::*;
use crate::batch::{Header, Record};
use crate::config::{CastTo, FieldPath, MaskHow, Predicate, Route, SetFrom};

mod casts;
mod counters;
mod deltas;
mod fields;
mod keys_and_routes;
mod masks;
mod partial;
mod predicates;
mod records;

fn path(dotted: &str) -> FieldPath {
    FieldPath(dotted.split('.').map(str::to_owned).collect())
}

fn paths(dotted: &[&str]) -> Vec<FieldPath> {
    dotted.iter().map(|d| path(d)).collect()
}

fn always(step: TransformStep) -> TransformConfig {
    TransformConfig { when: None, step }
}

fn when(predicate: Predicate, step: TransformStep) -> TransformConfig {
    TransformConfig { when: Some(predicate), step }
}

fn regex(pattern: &str) -> regex::Regex {
    regex::Regex::new(pattern).unwrap()
}

/// A record of topic `orders`, partition 2, offset 40, at 2023-11-14T22:13:20.500Z.
fn record<'a>(key: Option<&'a str>, value: Option<&'a [u8]>) -> Record<'a> {
    Record {
        topic: "orders",
        partition: 2,
        offset: 40,
        timestamp: 1_700_000_000_500,
        key: key.map(str::as_bytes),
        value,
        headers: Vec::new(),
        attempt: 1,
    }
}

fn batch(records: &[Record<'_>]) -> Batch {
    let mut batch = Batch::default();
    records.iter().for_each(|r| batch.push(r));
    batch
}

fn run(steps: Vec<TransformConfig>, records: &[Record<'_>]) -> Applied {
    BuiltIns::new(Some(Format::Json), steps, None).apply(batch(records))
}

/// The value that one record comes out with, or the rejection as `(code, field)`.
fn value(step: TransformStep, value: &str) -> Result<String, (String, String)> {
    value_through(vec![always(step)], value)
}

fn value_through(steps: Vec<TransformConfig>, value: &str) -> Result<String, (String, String)> {
    let applied = run(steps, &[record(Some("k"), Some(value.as_bytes()))]);
    if let Some(Reject { rejection, .. }) = applied.rejects.first() {
        return Err((rejection.code.clone(), rejection.field.clone().unwrap_or_default()));
    }
    let record = applied.records.records().next().expect("it was filtered");
    Ok(String::from_utf8(record.value.expect("a tombstone").to_vec()).unwrap())
}

fn changed(step: TransformStep, before: &str) -> String {
    value(step, before).unwrap()
}

fn refusal(step: TransformStep, before: &str) -> (String, String) {
    value(step, before).unwrap_err()
}

fn refused(code: &str, field: &str) -> (String, String) {
    (code.to_owned(), field.to_owned())
}
