//! A record as Odoo writes it, and as Wharf's records hold it. Owns the meaning of values; numbers keep their digits.

use serde_json::{Map, Value};
use wharf_odoo_api::time;

use crate::config::Many2one;
use crate::schema::{Kind, Schema, WRITE_DATE};
use crate::seen::{Hash, hash};

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub id: i64,
    /// Seconds of its `write_date`; `None` where that is empty.
    pub second: Option<i64>,
    /// JSON.
    pub value: Vec<u8>,
    pub hash: Hash,
}

/// What is no answer to `search_read`.
#[derive(Debug, thiserror::Error)]
pub enum BadAnswer {
    #[error("the answer cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("a record has no `id`")]
    NoId,
    #[error("record {0} has a `write_date` that is no time: {1}")]
    WriteDate(i64, Value),
    #[error("record {0} has more ids than one in `{1}`, a many2one field")]
    Many2one(i64, String),
}

/// Reads the answer of `search_read`.
///
/// # Errors
/// [`BadAnswer`].
pub fn rows(answer: &[u8], schema: &Schema, many2one: Many2one) -> Result<Vec<Row>, BadAnswer> {
    let records: Vec<Map<String, Value>> = serde_json::from_slice(answer)?;
    records.into_iter().map(|record| row(record, schema, many2one)).collect()
}

fn row(mut record: Map<String, Value>, schema: &Schema, many2one: Many2one) -> Result<Row, BadAnswer> {
    let id = record.get("id").and_then(Value::as_i64).ok_or(BadAnswer::NoId)?;
    let second = match record.get(WRITE_DATE) {
        Some(Value::Bool(false)) => None,
        Some(Value::String(text)) if time::parse(text).is_some() => time::parse(text),
        other => return Err(BadAnswer::WriteDate(id, other.cloned().unwrap_or_default())),
    };
    for (name, value) in &mut record {
        match schema.kind(name) {
            Kind::Boolean => {}
            _ if *value == Value::Bool(false) => *value = Value::Null,
            Kind::Datetime => {
                if let Some(moment) = value.as_str().and_then(time::to_rfc3339) {
                    *value = Value::String(moment);
                }
            }
            Kind::Many2one if many2one == Many2one::Object => *value = named(id, name, value)?,
            Kind::Many2one | Kind::Other => {}
        }
    }
    let value = serde_json::to_vec(&record)?;
    Ok(Row { id, second, hash: hash(&value), value })
}

/// `[7, "Ann"]` as `{"id": 7, "name": "Ann"}`.
fn named(id: i64, field: &str, value: &Value) -> Result<Value, BadAnswer> {
    match value.as_array().map(Vec::as_slice) {
        Some([other, name]) => Ok(Value::from_iter([("id", other.clone()), ("name", name.clone())])),
        _ => Err(BadAnswer::Many2one(id, field.to_owned())),
    }
}

/// Reads the answer of `search`.
///
/// # Errors
/// [`BadAnswer`].
pub fn ids(answer: &[u8]) -> Result<Vec<u64>, BadAnswer> {
    Ok(serde_json::from_slice(answer)?)
}

/// Reads the answer of `search_count`.
///
/// # Errors
/// [`BadAnswer`].
pub fn count(answer: &[u8]) -> Result<u64, BadAnswer> {
    Ok(serde_json::from_slice(answer)?)
}

/// The key of a record.
#[must_use]
pub fn key(id: impl std::fmt::Display) -> Vec<u8> {
    format!(r#"{{"id":{id}}}"#).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[u8] = include_bytes!("../tests/fields.json");

    fn schema() -> Schema {
        Schema::read(FIELDS, &serde_json::from_str(r#"{"url": "https://erp", "model": "res.partner"}"#).unwrap()).unwrap()
    }

    fn values(answer: &[u8], many2one: Many2one) -> Vec<Value> {
        let rows = rows(answer, &schema(), many2one).unwrap();
        rows.iter().map(|row| serde_json::from_slice(&row.value).unwrap()).collect()
    }

    #[test]
    fn recorded_partners_become_records() {
        let read = values(include_bytes!("../tests/partners.json"), Many2one::Id);
        let expected: Vec<Value> = serde_json::from_slice(include_bytes!("../tests/partners-expected.json")).unwrap();
        assert_eq!(read, expected);
        let named = values(include_bytes!("../tests/partners-named.json"), Many2one::Object);
        assert_eq!(named[0]["country_id"], serde_json::json!({"id": 57, "name": "Germany"}));
        assert_eq!(named[1]["country_id"], Value::Null);
    }

    #[test]
    fn numbers_keep_the_digits_that_odoo_wrote() {
        let answer = br#"[{"id": 7, "write_date": "2024-05-01 10:00:00", "partner_latitude": 0.30000000000000004, "color": 9007199254740993}]"#;
        let row = &rows(answer, &schema(), Many2one::Id).unwrap()[0];
        assert_eq!((row.id, row.second), (7, Some(1_714_557_600)));
        let text = std::str::from_utf8(&row.value).unwrap();
        assert_eq!(
            text,
            r#"{"id":7,"write_date":"2024-05-01T10:00:00.000000Z","partner_latitude":0.30000000000000004,"color":9007199254740993}"#
        );
    }

    #[test]
    fn false_is_nothing_except_where_it_is_a_boolean() {
        let read =
            values(br#"[{"id": 7, "write_date": false, "active": false, "name": false, "country_id": false}]"#, Many2one::Object);
        assert_eq!(read[0].to_string(), r#"{"id":7,"write_date":null,"active":false,"name":null,"country_id":null}"#);
    }

    #[test]
    fn what_is_no_record_is_an_error() {
        for (answer, expected) in [
            ("[{}]", "no `id`"),
            (r#"[{"id": 7}]"#, "no time"),
            (r#"[{"id": 7, "write_date": "soon"}]"#, "no time"),
            (r#"{"id": 7}"#, "cannot be read"),
            ("<html>", "cannot be read"),
        ] {
            let error = rows(answer.as_bytes(), &schema(), Many2one::Id).unwrap_err().to_string();
            assert!(error.contains(expected), "{answer}: {error}");
        }
    }
}
