//! `route`: moves the record to another topic. Owns what a topic may be called; creates none.

use regex::Regex;
use serde_json::Value;

use super::field::{kind, text};
use super::predicate::{anchored, is_whole};
use super::record::{Refused, Working};
use crate::config::{self, FieldPath};
use crate::outcome::Rejection;

/// Kafka's limit.
const MAX_TOPIC: usize = 249;

#[derive(Debug)]
pub enum Route {
    Field { field: FieldPath, template: String },
    Regex { pattern: Regex, replacement: String },
    To(String),
}

impl Route {
    pub fn new(route: config::Route) -> Self {
        match route {
            config::Route::Field { field, template } => Self::Field { field, template },
            config::Route::Regex { pattern, replacement } => {
                Self::Regex { pattern: anchored(pattern), replacement: braced(&replacement) }
            }
            config::Route::To(topic) => Self::To(topic),
        }
    }

    pub fn apply(&self, record: &mut Working<'_>) -> Result<(), Refused> {
        let topic = match self {
            Self::To(topic) => topic.clone(),
            Self::Field { field, template } => template.replace("{}", &named_by(field, record)?),
            Self::Regex { pattern, replacement } => {
                if !is_whole(pattern, record.topic()) {
                    return Ok(());
                }
                pattern.replace(record.topic(), replacement.as_str()).into_owned()
            }
        };
        if !is_topic(&topic) {
            let shown: String = topic.chars().take(60).collect();
            let message = format!("`{shown}` can't be a topic: 1 to {MAX_TOPIC} of a-z A-Z 0-9 . _ - are allowed");
            return Err(Rejection::new("route.topic", message).into());
        }
        record.set_topic(topic);
        Ok(())
    }
}

fn named_by(field: &FieldPath, record: &mut Working<'_>) -> Result<String, Refused> {
    let at = |code: &str, message: String| {
        Refused::transform(Rejection { field: Some(field.pointer()), ..Rejection::new(code, message) })
    };
    let Some(root) = record.json()? else {
        let message =
            "a tombstone has no field to be routed by; give tombstones a route of their own with `when = { tombstone = true }`";
        return Err(Rejection::new("route.tombstone", message).into());
    };
    match field.get(root) {
        Some(value @ (Value::String(_) | Value::Number(_) | Value::Bool(_))) => Ok(text(value).into_owned()),
        Some(other) => Err(at("route.type", format!("{} is {}, which names no topic", field.pointer(), kind(other)))),
        None => Err(at("route.missing", format!("{} is not in the record, so its topic is unknown", field.pointer()))),
    }
}

/// `$1_eu` means the first group, as in Connect's RegexRouter; the regex crate would look for a group called `1_eu`.
fn braced(replacement: &str) -> String {
    let mut out = String::with_capacity(replacement.len() + 4);
    let mut rest = replacement;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let (group, tail) = after.split_at_checked(digits).unwrap_or(("", after));
        if group.is_empty() {
            out.push('$');
        } else {
            out.push_str("${");
            out.push_str(group);
            out.push('}');
        }
        rest = tail;
    }
    out + rest
}

/// Whether Kafka takes this as a topic's name.
pub fn is_topic(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= MAX_TOPIC && name != "." && name != ".." && name.bytes().all(allowed)
}
