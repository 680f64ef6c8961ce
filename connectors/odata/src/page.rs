//! One answer with entities: where each entity's JSON is, and the links at its end. Keeps the body and hands entities out as
//! the bytes that came, so that what cannot be read reaches the dead letter untouched.
//!
//! Shapes: OData JSON Format 4.01, 12 and 15 (`value`, `@nextLink`, `@deltaLink`; 4.0 and services that speak it write
//! `@odata.` before them); OData V2 "JSON Format", 7 (`d`, `results`, `__next`, and SAP's `__delta`).

use std::collections::VecDeque;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::message::message;

/// An answer, its entities not yet read.
#[derive(Debug, Default)]
pub struct Page {
    body: Vec<u8>,
    entries: VecDeque<Range<usize>>,
    pub links: Links,
}

/// What an answer says of what comes after it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Links {
    pub context: Option<String>,
    pub next: Option<String>,
    pub delta: Option<String>,
}

/// An answer that holds no entities. Texts show no values.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadPage {
    #[error("the answer is not JSON, or was cut off, at line {line}, column {column}")]
    Json { line: usize, column: usize },
    #[error("the answer holds an error in place of entities: {0}")]
    Failed(String),
    #[error("the answer has neither `value` nor `d`: it holds no entities")]
    Shape,
}

#[derive(Deserialize)]
struct Top<'a> {
    #[serde(borrow)]
    value: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    d: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(rename = "@odata.context", alias = "@context", alias = "odata.metadata")]
    context: Option<String>,
    #[serde(rename = "@odata.nextLink", alias = "@nextLink", alias = "odata.nextLink")]
    next: Option<String>,
    #[serde(rename = "@odata.deltaLink", alias = "@deltaLink", alias = "odata.deltaLink")]
    delta: Option<String>,
}

#[derive(Deserialize)]
struct Wrapped<'a> {
    #[serde(borrow)]
    results: Option<Vec<&'a RawValue>>,
    #[serde(rename = "__next")]
    next: Option<String>,
    #[serde(rename = "__delta")]
    delta: Option<String>,
}

impl Page {
    /// # Errors
    /// [`BadPage`].
    pub fn parse(body: Vec<u8>) -> Result<Self, BadPage> {
        let top: Top<'_> = serde_json::from_slice(&body).map_err(|e| bad(&e))?;
        if let Some(error) = top.error {
            return Err(BadPage::Failed(message(error.get().as_bytes()).unwrap_or_else(|| "without a message".to_owned())));
        }
        let (raw, links) = match (top.value, top.d) {
            (Some(value), _) => (value, Links { context: top.context, next: top.next, delta: top.delta }),
            (None, Some(d)) => wrapped(d)?,
            (None, None) => return Err(BadPage::Shape),
        };
        let start = body.as_ptr() as usize;
        let place = |raw: &RawValue| {
            let text = raw.get();
            let from = (text.as_ptr() as usize).saturating_sub(start);
            from..from + text.len()
        };
        let entries = raw.into_iter().map(place).collect();
        Ok(Self { body, entries, links })
    }

    /// The next entity as it came.
    pub fn next_entry(&mut self) -> Option<&[u8]> {
        let range = self.entries.pop_front()?;
        self.body.get(range)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// `{"d": {"results": […]}}`, or `{"d": […]}` of version 1.
fn wrapped(d: &RawValue) -> Result<(Vec<&RawValue>, Links), BadPage> {
    if d.get().starts_with('[') {
        return Ok((serde_json::from_str(d.get()).map_err(|e| bad(&e))?, Links::default()));
    }
    let Wrapped { results, next, delta } = serde_json::from_str(d.get()).map_err(|e| bad(&e))?;
    Ok((results.ok_or(BadPage::Shape)?, Links { context: None, next, delta }))
}

fn bad(error: &serde_json::Error) -> BadPage {
    if error.is_data() { BadPage::Shape } else { BadPage::Json { line: error.line(), column: error.column() } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(json: &str) -> (Vec<String>, Links) {
        let mut page = Page::parse(json.as_bytes().to_vec()).unwrap();
        let mut entries = Vec::new();
        while let Some(entry) = page.next_entry() {
            entries.push(String::from_utf8(entry.to_vec()).unwrap());
        }
        assert!(page.is_empty());
        (entries, page.links)
    }

    #[test]
    fn entities_of_every_version_come_out_as_they_came() {
        let some = |text: &str| Some(text.to_owned());
        let (found, links) = entries(
            r#"{"@odata.context": "$metadata#Orders", "value": [ {"a" : 1.0} , 5], "@odata.nextLink": "Orders?$skip=2"}"#,
        );
        assert_eq!(found, [r#"{"a" : 1.0}"#, "5"]);
        assert_eq!(links, Links { context: some("$metadata#Orders"), next: some("Orders?$skip=2"), delta: None });
        let (found, links) = entries(r#"{"@context": "c", "value": [], "@deltaLink": "d"}"#);
        assert!(found.is_empty());
        assert_eq!(links.delta, some("d"));
        let (found, links) = entries(r#"{"d": {"results": [{"b": "ü"}], "__count": "1", "__next": "n", "__delta": "t"}}"#);
        assert_eq!(found, [r#"{"b": "ü"}"#]);
        assert_eq!((links.next, links.delta), (some("n"), some("t")));
        assert_eq!(entries(r#"{"d": [{"c": null}]}"#).0, [r#"{"c": null}"#]);
    }

    #[test]
    fn answers_without_entities_are_told_apart() {
        let parse = |json: &str| Page::parse(json.as_bytes().to_vec()).unwrap_err();
        assert!(matches!(parse(r#"{"value": [{"a": 1}, {"a""#), BadPage::Json { .. }));
        assert!(matches!(parse("<html>"), BadPage::Json { .. }));
        assert!(matches!(parse(""), BadPage::Json { .. }));
        assert_eq!(parse(r#"{"value": 7}"#), BadPage::Shape);
        assert_eq!(parse("[1]"), BadPage::Shape);
        assert_eq!(parse(r#"{"d": {"ID": 1}}"#), BadPage::Shape);
        assert_eq!(parse(r#"{"error": {"code": "E1", "message": "broken"}}"#), BadPage::Failed("E1: broken".to_owned()));
    }
}
