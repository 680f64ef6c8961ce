//! A record as the JSON that is sent for it, and the keys by which a receiver knows it again. Sends nothing.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use wharf_sdk::json::scan;
use wharf_sdk::{Record, Rejection};

use crate::config::{Body, Config, Include, Tombstones};
use crate::target::Target;

/// The longest key of a batch in plain words; longer ones are hashed.
const LONGEST_KEY: usize = 200;

/// A record, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element<'a> {
    /// In the batch that it came with.
    pub index: u32,
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
    /// One JSON text, on one line where lines are sent.
    pub bytes: Cow<'a, [u8]>,
    /// Where it goes, where that is of its own.
    pub target: Option<Box<Target>>,
}

/// The element of a record. `Ok(None)`: a tombstone that is to be skipped.
///
/// # Errors
/// [`Rejection`] for what has no place in the body.
pub fn element<'a>(config: &Config, record: &Record<'a>) -> Result<Option<Element<'a>>, Rejection> {
    let Some(bytes) = bytes(config, record)? else { return Ok(None) };
    let target = match &config.templates {
        Some(templates) => Some(Box::new(templates.target(config, record)?)),
        None => None,
    };
    let Record { index, topic, partition, offset, .. } = *record;
    Ok(Some(Element { index, topic, partition, offset, bytes, target }))
}

fn bytes<'a>(config: &Config, record: &Record<'a>) -> Result<Option<Cow<'a, [u8]>>, Rejection> {
    if let (None, Tombstones::Delete) = (record.value, config.tombstones) {
        return Ok(Some(Cow::Borrowed(&[])));
    }
    if let (Some(_), Some(templates)) = (record.value, &config.templates)
        && let Some(body) = templates.body(record)?
    {
        return Ok(Some(body.into()));
    }
    match (config.include, record.value, config.tombstones) {
        (Include::Record, ..) => envelope(config, record).map(|bytes| Some(bytes.into())),
        (Include::Value, Some(value), _) if config.is_raw() => Ok(Some(value.into())),
        (Include::Value, Some(bytes), _) => value(config, record, bytes).map(Some),
        (Include::Value, None, Tombstones::Skip) => Ok(None),
        // Those to delete were told apart above.
        (Include::Value, None, Tombstones::Reject | Tombstones::Delete) => Err(Rejection::new(
            "http.tombstone",
            "the value is null; `config.include = \"record\"` sends it, `config.tombstones = \"skip\"` leaves it out, \"delete\" sends DELETE",
        )),
    }
}

/// The value itself, with its id where one is asked for.
fn value<'a>(config: &Config, record: &Record<'a>, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, Rejection> {
    let Some(field) = &config.id_field else {
        let json = match scan::object(bytes) {
            Some(()) => bytes.trim_ascii(),
            None => record.json::<&RawValue>()?.get().as_bytes(),
        };
        if config.body == Body::JsonLines && !scan::is_one_line(json) {
            return text(&record.json::<Value>()?).map(Into::into);
        }
        return Ok(json.into());
    };
    match record.json::<Value>()? {
        Value::Object(object) => with_id(object, field, record).map(Into::into),
        _ => Err(Rejection::new("value.object", "`config.id-field` needs a value that is a JSON object")),
    }
}

fn with_id(mut object: Map<String, Value>, field: &str, record: &Record<'_>) -> Result<Vec<u8>, Rejection> {
    if object.contains_key(field) {
        let message = format!("the value has a field `{field}` of its own: take another name for `config.id-field`");
        return Err(Rejection::new("http.id-field", message).at(format!("/{}", field.replace('~', "~0").replace('/', "~1"))));
    }
    object.insert(field.to_owned(), Value::String(record.idempotency_key().to_string()));
    text(&Value::Object(object))
}

/// Topic, partition, offset, timestamp (RFC 3339, or null), key, headers and value.
fn envelope(config: &Config, record: &Record<'_>) -> Result<Vec<u8>, Rejection> {
    let value = match record.value {
        Some(_) => record.json::<Value>()?,
        None => Value::Null,
    };
    let time = record.timestamp.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    let mut object = Map::new();
    object.insert("topic".to_owned(), record.topic.into());
    object.insert("partition".to_owned(), record.partition.into());
    object.insert("offset".to_owned(), record.offset.into());
    object.insert("timestamp".to_owned(), time.map_or(Value::Null, |time| format!("{time:.6}").into()));
    object.insert("key".to_owned(), key(record)?);
    object.insert("headers".to_owned(), record.headers().map(|(name, value)| header(name, value)).collect());
    object.insert("value".to_owned(), value);
    match &config.id_field {
        Some(field) => with_id(object, field, record),
        None => text(&Value::Object(object)),
    }
}

/// JSON where it is JSON, otherwise text.
fn key(record: &Record<'_>) -> Result<Value, Rejection> {
    let Some(bytes) = record.key else { return Ok(Value::Null) };
    if let Ok(json) = serde_json::from_slice(bytes) {
        return Ok(json);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Rejection::new("key.text", "the key is neither JSON nor UTF-8 text"))?;
    Ok(text.into())
}

/// `{"name", "value"}`; bytes that are no text stand under `base64`.
fn header(name: &[u8], value: Option<&[u8]>) -> Value {
    let mut object = Map::new();
    object.insert("name".to_owned(), String::from_utf8_lossy(name).into());
    match value.map(|bytes| std::str::from_utf8(bytes).map_err(|_| bytes)) {
        None => object.insert("value".to_owned(), Value::Null),
        Some(Ok(text)) => object.insert("value".to_owned(), text.into()),
        Some(Err(bytes)) => object.insert("base64".to_owned(), STANDARD.encode(bytes).into()),
    };
    Value::Object(object)
}

fn text(value: &Value) -> Result<Vec<u8>, Rejection> {
    serde_json::to_vec(value).map_err(|e| Rejection::new("value.json", format!("the value has no JSON form: {e}")))
}

/// The body of one request.
#[must_use]
pub fn body(config: &Config, elements: &[Element<'_>]) -> Vec<u8> {
    let (open, between, close): (&[u8], &[u8], &[u8]) = match config.body {
        Body::JsonLines => (b"", b"\n", b"\n"),
        Body::JsonArray => (b"[", b",", b"]"),
        Body::Record => (b"", b"", b""),
    };
    let size = elements.iter().map(|element| element.bytes.len() + between.len()).sum::<usize>();
    let mut body = Vec::with_capacity(size + open.len() + close.len());
    body.extend(open);
    for (at, element) in elements.iter().enumerate() {
        if at > 0 {
            body.extend(between);
        }
        body.extend(&*element.bytes);
    }
    body.extend(close);
    body
}

/// The key of one request. For one record `topic/partition/offset`; for several, per partition the first and the last
/// offset and the number of records, `orders/0/5-9:5`, joined by commas, and hashed where that grows too long.
#[must_use]
pub fn idempotency_key(elements: &[Element<'_>]) -> String {
    if let [one] = elements {
        return format!("{}/{}/{}", one.topic, one.partition, one.offset);
    }
    let mut spans: Vec<(&str, i32, i64, i64, usize)> = Vec::new();
    for element in elements {
        match spans.iter_mut().find(|span| span.0 == element.topic && span.1 == element.partition) {
            Some(span) => (span.3, span.4) = (element.offset, span.4 + 1),
            None => spans.push((element.topic, element.partition, element.offset, element.offset, 1)),
        }
    }
    spans.sort_unstable();
    let spans = spans.iter().map(|(topic, partition, first, last, count)| format!("{topic}/{partition}/{first}-{last}:{count}"));
    let key = spans.collect::<Vec<_>>().join(",");
    if key.len() <= LONGEST_KEY {
        return key;
    }
    Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_sdk::{NewRecord, Records, testing};

    fn config(more: &str) -> Config {
        serde_json::from_str(&format!(r#"{{"url": "https://h"{more}}}"#)).unwrap()
    }

    /// What is sent for each of these values, or the code of its rejection.
    fn sent(more: &str, values: &[Option<&str>]) -> Vec<String> {
        let batch = testing::batch("orders", values.iter().map(|value| (Some("k"), *value)));
        let config = config(more);
        let one = |record| match element(&config, &record) {
            Ok(Some(element)) => String::from_utf8(element.bytes.into_owned()).unwrap(),
            Ok(None) => "(skipped)".to_owned(),
            Err(rejection) => rejection.code,
        };
        batch.records().map(one).collect()
    }

    #[test]
    fn values_go_out_as_they_are_and_on_one_line_where_lines_are_sent() {
        let values = [Some("{\"a\": 1.0}"), Some("{\n\"a\":\r\n 1.0}"), Some("7"), Some("oops"), Some("")];
        assert_eq!(sent("", &values), ["{\"a\": 1.0}", "{\"a\":1.0}", "7", "value.json", "value.json"]);
        assert_eq!(sent(r#", "body": "json-array""#, &values[1..2]), ["{\n\"a\":\r\n 1.0}"]);
        let raw = r#", "body": "record", "headers": {"content-type": "text/plain"}"#;
        assert_eq!(sent(raw, &values[3..4]), ["oops"]);
    }

    #[test]
    fn tombstones_are_rejected_unless_the_operator_says_otherwise() {
        assert_eq!(sent("", &[None]), ["http.tombstone"]);
        assert_eq!(sent(r#", "tombstones": "skip""#, &[None]), ["(skipped)"]);
        let envelope = r#"{"topic":"orders","partition":0,"offset":0,"timestamp":null,"key":"k","headers":[],"value":null}"#;
        assert_eq!(sent(r#", "include": "record""#, &[None]), [envelope]);
    }

    #[test]
    fn the_id_stands_in_each_element_and_replaces_nothing() {
        let id = r#", "id-field": "id""#;
        assert_eq!(
            sent(id, &[Some(r#"{"a":1}"#), Some(r#"{"id":1}"#), Some("[]")]),
            [r#"{"a":1,"id":"orders/0/0"}"#, "http.id-field", "value.object"]
        );
    }

    #[test]
    fn an_envelope_has_key_headers_and_time() {
        let mut records = Records::new();
        let headers = [("a", Some(b"x".as_slice())), ("b", Some(b"\xff".as_slice())), ("c", None)];
        records.push(NewRecord::new().topic("t").key(r#"{"ID":7}"#).value("1").timestamp(1_714_557_600_123).headers(&headers));
        records.push(NewRecord::new().topic("t").key(b"\xff".as_slice()).value("1"));
        let batch = records.into_batch();
        let config = config(r#", "include": "record""#);
        let mut elements = batch.records().map(|record| element(&config, &record));
        let first = elements.next().unwrap().unwrap().unwrap();
        let expected = r#"{"topic":"t","partition":-1,"offset":-1,"timestamp":"2024-05-01T10:00:00.123000Z","key":{"ID":7},"headers":[{"name":"a","value":"x"},{"name":"b","base64":"/w=="},{"name":"c","value":null}],"value":1}"#;
        assert_eq!(std::str::from_utf8(&first.bytes).unwrap(), expected);
        assert_eq!(elements.next().unwrap().unwrap_err().code, "key.text");
    }

    fn at(topic: &str, partition: i32, offset: i64) -> Element<'_> {
        Element { index: 0, topic, partition, offset, bytes: b"1".into(), target: None }
    }

    #[test]
    fn keys_name_what_is_in_a_request() {
        assert_eq!(idempotency_key(&[at("t", 0, 7)]), "t/0/7");
        let several = [at("t", 1, 3), at("t", 0, 5), at("t", 0, 6), at("t", 0, 9)];
        assert_eq!(idempotency_key(&several), "t/0/5-9:3,t/1/3-3:1");
        let many: Vec<_> = (0..100).map(|partition| at("topic", partition, 1)).collect();
        assert_eq!(idempotency_key(&many).len(), 64);
    }

    #[test]
    fn bodies_join_their_elements() {
        let two = [at("t", 0, 1), at("t", 0, 2)];
        assert_eq!(body(&config(""), &two), b"1\n1\n");
        assert_eq!(body(&config(r#", "body": "json-array""#), &two), b"[1,1]");
        assert_eq!(body(&config(r#", "body": "record""#), &two[..1]), b"1");
    }
}
