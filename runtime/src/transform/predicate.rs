//! Predicates: `when` of any step, and `filter`. Owns what each one means; changes no record.

use regex::Regex;
use serde_json::Value;

use super::decimal::Decimal;
use super::field::text;
use super::record::{Refused, Working};
use crate::batch::Batch;
use crate::config::Predicate;

impl Predicate {
    /// Whether it holds. Fields of a tombstone don't exist; a field that is reached more than once (arrays, `*`) counts
    /// when one of them does. Numbers are equal by value (`1` and `1.0`), exactly.
    ///
    /// # Errors
    /// [`Refused`] when it asks for a field and the value is not JSON.
    pub fn matches(&self, record: &mut Working<'_>) -> Result<bool, Refused> {
        Ok(match self {
            Self::FieldEquals { field, value } => record.json()?.is_some_and(|root| field.any(root, &|v| same(v, value))),
            Self::FieldMatches { field, pattern } => {
                let holds = |v: &Value| !v.is_null() && pattern.is_match(&text(v));
                record.json()?.is_some_and(|root| field.any(root, &holds))
            }
            Self::FieldExists(field) => record.json()?.is_some_and(|root| field.any(root, &|_| true)),
            Self::Topic(pattern) => is_whole(pattern, record.topic()),
            Self::Header { name, value } => has_header(record, name, value.as_deref()),
            Self::Tombstone => record.is_tombstone(),
            Self::Not(inner) => !inner.matches(record)?,
            Self::All(all) => {
                for each in all {
                    if !each.matches(record)? {
                        return Ok(false);
                    }
                }
                true
            }
        })
    }
}

/// Which records of a batch a Wasm step with `when` gets. A record that can't be read counts as chosen: passing it by
/// would carry it round a mask unseen; the step itself refuses it.
#[must_use]
pub fn select(predicate: &Predicate, batch: &Batch) -> Vec<bool> {
    let predicate = prepared(predicate.clone());
    batch.records().map(|record| predicate.matches(&mut Working::new(record)).unwrap_or(true)).collect()
}

/// The same predicate, with patterns for topics anchored: of `a|ab` an unanchored search finds only `a`.
pub fn prepared(predicate: Predicate) -> Predicate {
    match predicate {
        Predicate::Topic(pattern) => Predicate::Topic(anchored(pattern)),
        Predicate::Not(inner) => Predicate::Not(Box::new(prepared(*inner))),
        Predicate::All(all) => Predicate::All(all.into_iter().map(prepared).collect()),
        other => other,
    }
}

/// The pattern for the whole of a text.
pub fn anchored(pattern: Regex) -> Regex {
    let source = pattern.as_str();
    if source.starts_with("^(?:") && source.ends_with(")$") {
        return pattern;
    }
    // A pattern that compiled does so in a group too, unless it ends in a comment; `is_whole` then still holds.
    Regex::new(&format!("^(?:{source})$")).unwrap_or(pattern)
}

/// True when the pattern finds the whole text.
pub fn is_whole(pattern: &Regex, text: &str) -> bool {
    pattern.find(text).is_some_and(|found| found.start() == 0 && found.end() == text.len())
}

fn has_header(record: &Working<'_>, name: &str, value: Option<&str>) -> bool {
    record
        .original()
        .headers
        .iter()
        .any(|(n, v)| *n == name.as_bytes() && value.is_none_or(|wanted| v.is_some_and(|v| v == wanted.as_bytes())))
}

/// Equality with numbers by value.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || Decimal::parse(a.as_str()).is_some_and(|a| Some(a) == Decimal::parse(b.as_str()))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}
