//! A record as text or JSON for people and scripts. Changes nothing of what it can show; what is no text stands as base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use wharf_runtime::batch::Record;

/// A key or value on one line: `null`, text as it is with control characters escaped, or `base64:…`.
pub fn text(bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else { return "null".to_owned() };
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().any(char::is_control) => text.escape_debug().to_string(),
        Ok(text) => text.to_owned(),
        Err(_) => format!("base64:{}", STANDARD.encode(bytes)),
    }
}

/// RFC 3339 UTC; `-` where the record has no time.
pub fn time(timestamp: i64) -> String {
    match jiff::Timestamp::from_millisecond(timestamp) {
        Ok(time) if timestamp >= 0 => format!("{time:.3}"),
        _ => "-".to_owned(),
    }
}

/// One JSON object: topic, partition, offset, timestamp, key, value, headers (a list of name and value, as names may repeat).
pub fn json(record: &Record<'_>) -> Value {
    let headers: Vec<Value> = record
        .headers
        .iter()
        .map(|(name, value)| json!({ "name": String::from_utf8_lossy(name), "value": value.map_or(Value::Null, plain) }))
        .collect();
    let mut object = Map::new();
    object.insert("topic".to_owned(), record.topic.into());
    object.insert("partition".to_owned(), record.partition.into());
    object.insert("offset".to_owned(), record.offset.into());
    object.insert("timestamp".to_owned(), time(record.timestamp).into());
    object.insert("key".to_owned(), record.key.map_or(Value::Null, structured));
    object.insert("value".to_owned(), record.value.map_or(Value::Null, structured));
    object.insert("headers".to_owned(), Value::Array(headers));
    Value::Object(object)
}

/// JSON where the bytes are JSON, else text or base64.
pub fn structured(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| plain(bytes))
}

/// A string, or `{"base64": …}`.
fn plain(bytes: &[u8]) -> Value {
    std::str::from_utf8(bytes).map_or_else(|_| json!({ "base64": STANDARD.encode(bytes) }), Value::from)
}
