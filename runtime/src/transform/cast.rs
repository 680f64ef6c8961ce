//! `cast`: gives fields another type, exactly or not at all: what doesn't fit refuses the record. Null and missing
//! fields stay as they are.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use serde_json::{Number, Value};

use super::decimal::Decimal;
use super::field::{kind, text};
use super::record::{Refused, Working, parse};
use crate::config::{CastTo, FieldPath};
use crate::outcome::Rejection;

#[derive(Debug)]
pub struct Cast {
    casts: Vec<(FieldPath, CastTo)>,
}

impl Cast {
    pub const fn new(casts: Vec<(FieldPath, CastTo)>) -> Self {
        Self { casts }
    }

    pub fn apply(&self, record: &mut Working<'_>) -> Result<(), Refused> {
        let Some(root) = record.fields_mut()? else { return Ok(()) };
        for (field, to) in &self.casts {
            field.change(root, &mut |value| {
                if !value.is_null() {
                    *value = cast(value, *to)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// One value as another type.
///
/// # Errors
/// `transform.cast`, without the value: it may be personal data.
pub fn cast(value: &Value, to: CastTo) -> Result<Value, Rejection> {
    let (cast, wanted) = match to {
        CastTo::Text => (Some(Value::String(text(value).into_owned())), "text"),
        CastTo::Int => (int(value), "a whole number of 64 bits"),
        CastTo::Float => (float(value), "a number"),
        CastTo::Decimal => (decimal(value), "a decimal number"),
        CastTo::Bool => (boolean(value), "a boolean (true/false, yes/no, on/off, 1/0)"),
        CastTo::Timestamp => (timestamp(value), "a timestamp (RFC 3339, a date, or epoch milliseconds)"),
        CastTo::Json => return json(value),
    };
    cast.ok_or_else(|| Rejection::new("transform.cast", format!("the field holds {}, which is not {wanted}", kind(value))))
}

fn int(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(b) => Some(i64::from(*b).into()),
        Value::Number(n) => Decimal::parse(n.as_str())?.to_i64().map(Value::from),
        Value::String(s) => Decimal::parse(s.trim())?.to_i64().map(Value::from),
        _ => None,
    }
}

/// A number keeps its digits: which float they mean is the target's to say.
fn float(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(b) => Some(i64::from(*b).into()),
        Value::Number(_) => Some(value.clone()),
        Value::String(s) => match serde_json::from_str::<Number>(s.trim()) {
            Ok(number) => Some(Value::Number(number)),
            // Digits that JSON would write otherwise: `.5`, `+1`.
            Err(_) => serde_json::from_str::<Number>(&Decimal::parse(s.trim())?.plain()?).ok().map(Value::Number),
        },
        _ => None,
    }
}

/// As a JSON string, in plain digits; trailing zeros are part of an amount and stay.
fn decimal(value: &Value) -> Option<Value> {
    let text = match value {
        Value::Number(n) => n.as_str(),
        Value::String(s) => s.trim(),
        _ => return None,
    };
    let number = Decimal::parse(text)?;
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let plain = unsigned.starts_with(|c: char| c.is_ascii_digit()) && unsigned.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let plain =
        plain && !unsigned.ends_with('.') && (!unsigned.starts_with('0') || unsigned == "0" || unsigned.starts_with("0."));
    let digits = if plain { text.to_owned() } else { number.plain()? };
    Some(Value::String(digits))
}

fn boolean(value: &Value) -> Option<Value> {
    let text = text(value);
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some(Value::Bool(true)),
        "false" | "f" | "no" | "n" | "off" | "0" => Some(Value::Bool(false)),
        _ => None,
    }
}

/// RFC 3339 UTC with microseconds. A date or time without a zone is UTC; `/Date(ms)/` is OData V2's form.
fn timestamp(value: &Value) -> Option<Value> {
    let time = match value {
        Value::Number(n) => from_millis(n.as_str()),
        Value::String(s) => from_text(s.trim()),
        _ => None,
    };
    time.map(|time| Value::String(format!("{time:.6}")))
}

fn from_millis(text: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(Decimal::parse(text)?.to_i64()?).ok()
}

fn from_text(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    if let Some(inner) = text.strip_prefix("/Date(").and_then(|t| t.strip_suffix(")/")) {
        // `/Date(1700000000000+0060)/`: the offset is for display, the milliseconds are UTC.
        let end = inner.get(1..).and_then(|t| t.find(['+', '-'])).map_or(inner.len(), |at| at + 1);
        return from_millis(inner.get(..end)?);
    }
    // Dates first: eight digits alone are a date to jiff, but milliseconds to us.
    if text.contains('-') {
        let civil =
            text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|d| d.to_datetime(jiff::civil::Time::midnight())));
        if let Ok(civil) = civil {
            return Offset::UTC.to_timestamp(civil).ok();
        }
    }
    from_millis(text)
}

/// A text is parsed as JSON; anything else is JSON already.
fn json(value: &Value) -> Result<Value, Rejection> {
    match value {
        Value::String(s) => parse(s.as_bytes())
            .map_err(|r| Rejection::new("transform.cast", format!("the field's text is not JSON: {}", r.message))),
        other => Ok(other.clone()),
    }
}
