//! What each format means for keys and values.
use serde_json::{Value, json};

use super::*;
use crate::batch::{Batch, Record};
use crate::dead_letter::Stage;
use crate::transform::{Applied, BuiltIns};

mod envelopes;
mod logical_types;
mod schemas;

fn run(decode: Option<Format>, encode: Option<Format>, key: Option<&[u8]>, value: Option<&[u8]>) -> Applied {
    let mut batch = Batch::default();
    batch.push(&Record { topic: "t", partition: 0, offset: 0, timestamp: 0, key, value, headers: Vec::new(), attempt: 1 });
    BuiltIns::new(decode, Vec::new(), encode).apply(batch)
}

/// Key and value as texts, or where and why the record was refused.
type Seen = Result<(Option<String>, Option<String>), (Stage, String, String)>;

fn seen(applied: &Applied) -> Seen {
    if let Some(reject) = applied.rejects.first() {
        let rejection = reject.rejection.clone();
        return Err((reject.stage, rejection.code, rejection.field.unwrap_or_default()));
    }
    let record = applied.records.records().next().expect("one record");
    let text = |bytes: Option<&[u8]>| bytes.map(|b| String::from_utf8(b.to_vec()).unwrap());
    Ok((text(record.key), text(record.value)))
}

fn decoded(format: Format, key: Option<&[u8]>, value: Option<&[u8]>) -> Seen {
    seen(&run(Some(format), None, key, value))
}

fn encoded(format: Format, key: Option<&[u8]>, value: Option<&[u8]>) -> Seen {
    seen(&run(None, Some(format), key, value))
}

#[test]
fn json_and_bytes_are_as_they_are() {
    for format in [Format::Json, Format::Bytes] {
        for value in [Some(b"\xff\x00".as_slice()), Some(b""), None, Some(b" {\"a\": 1}")] {
            for applied in [run(Some(format), None, Some(b"\xfe"), value), run(None, Some(format), Some(b"\xfe"), value)] {
                let record = applied.records.records().next().unwrap();
                assert_eq!((record.key, record.value), (Some(b"\xfe".as_slice()), value));
            }
        }
    }
}

#[test]
fn text_is_a_json_string_on_the_guests_side() {
    let value = |text: &[u8]| decoded(Format::Text, Some(b"k"), Some(text)).unwrap().1.unwrap();
    assert_eq!(value("äö \"x\"\n".as_bytes()), r#""äö \"x\"\n""#);
    assert_eq!(value(b""), r#""""#);
    assert_eq!(decoded(Format::Text, Some(b"k"), None).unwrap(), (Some("k".to_owned()), None));
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    let (stage, code, _) = decoded(Format::Text, None, Some(b"a\xff")).unwrap_err();
    assert_eq!((stage, code.as_str()), (Stage::ValueConverter, "text.utf8"));
}

#[test]
fn a_json_string_is_written_as_its_text_and_anything_else_as_json() {
    let value = |json: &[u8]| encoded(Format::Text, None, Some(json)).unwrap().1.unwrap();
    assert_eq!(value(br#""a\n\u00e4""#), "a\nä");
    assert_eq!(value(b"{\"a\": 1.50}"), "{\"a\": 1.50}");
    assert_eq!(encoded(Format::Text, None, None).unwrap(), (None, None));
    assert_eq!(encoded(Format::Text, None, Some(b"plain")).unwrap_err().1, "json.syntax");
}

#[test]
fn text_comes_back_as_it_went() {
    let text = "äö \"x\" \\ \u{0}\u{2028} {}";
    let there = run(Some(Format::Text), Some(Format::Text), None, Some(text.as_bytes()));
    assert_eq!(seen(&there).unwrap().1.unwrap(), text);
}
