//! `json-envelope`: opening and putting on.
use super::*;

fn open(value: &str) -> Option<String> {
    decoded(Format::JsonEnvelope, Some(b"k"), Some(value.as_bytes())).unwrap().1
}

fn refusal(value: &str) -> (Stage, String, String) {
    decoded(Format::JsonEnvelope, Some(b"k"), Some(value.as_bytes())).unwrap_err()
}

const ORDER: &str =
    r#"{"type":"struct","optional":false,"fields":[{"field":"id","type":"int64"},{"field":"n","type":"int8","optional":true}]}"#;

#[test]
fn a_payload_comes_out_byte_for_byte() {
    let payload = r#"{ "id" : 9223372036854775807, "n" : null, "d" : 1.500 }"#;
    assert_eq!(open(&format!(r#" {{"schema":{ORDER}, "payload": {payload}}}"#)).unwrap(), payload);
    assert_eq!(open(&format!(r#"{{"payload":{payload},"schema":null}}"#)).unwrap(), payload, "an envelope without a schema");
}

#[test]
fn integers_of_every_width_keep_their_digits() {
    let types = [
        ("int8", "-128"),
        ("int16", "32767"),
        ("int32", "-2147483648"),
        ("int64", "9223372036854775807"),
        ("float", "1.10"),
        ("double", "1e-7"),
    ];
    for (name, number) in types {
        let schema = format!(r#"{{"type":"struct","fields":[{{"field":"a","type":"{name}"}}]}}"#);
        assert_eq!(
            open(&format!(r#"{{"schema":{schema},"payload":{{"a":{number}}}}}"#)).unwrap(),
            format!(r#"{{"a":{number}}}"#)
        );
    }
    assert_eq!(open(r#"{"schema":{"type":"int64"},"payload":9223372036854775807}"#).unwrap(), "9223372036854775807");
}

#[test]
fn a_payload_of_null_is_a_tombstone() {
    assert_eq!(open(&format!(r#"{{"schema":{ORDER},"payload": null }}"#)), None);
    assert_eq!(open(r#"{"schema":null,"payload":null}"#), None);
    assert_eq!(decoded(Format::JsonEnvelope, Some(b"k"), None).unwrap(), (Some("k".to_owned()), None));
}

#[test]
fn what_is_no_envelope_is_refused() {
    for plain in [
        r#"{"id":1}"#,
        "5",
        "[]",
        r#"{"schema":null}"#,
        r#"{"schema":null,"payload":1,"more":1}"#,
        r#"{"schema":null,"payload":1,"payload":2}"#,
    ] {
        assert_eq!(refusal(plain), (Stage::ValueConverter, "envelope.shape".to_owned(), String::new()), "{plain}");
    }
    for broken in ["", "{", r#"{"schema":null,"payload":}"#, "\u{feff}{}"] {
        assert_eq!(refusal(broken).1, "json.syntax", "{broken}");
    }
}

#[test]
fn depth_is_refused_where_it_has_to_be_parsed() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert_eq!(refusal(&format!(r#"{{"schema":{deep},"payload":1}}"#)).1, "json.depth");
    let date = r#"{"type":"array","items":{"type":"int32","name":"org.apache.kafka.connect.data.Date"}}"#;
    assert_eq!(refusal(&format!(r#"{{"schema":{date},"payload":{deep}}}"#)).1, "json.depth");
    assert_eq!(open(&format!(r#"{{"schema":null,"payload":{deep}}}"#)).unwrap(), deep, "what no step looks into goes through");
}

#[test]
fn a_key_is_opened_where_it_is_enveloped_and_stays_where_not() {
    let key = |key: &[u8]| decoded(Format::JsonEnvelope, Some(key), None).unwrap().0;
    assert_eq!(
        key(br#"{"schema":{"type":"struct","fields":[{"field":"id","type":"int32"}]},"payload":{"id": 5}}"#).unwrap(),
        r#"{"id": 5}"#
    );
    assert_eq!(key(br#"{"schema":{"type":"string"},"payload":"a"}"#).unwrap(), r#""a""#);
    assert_eq!(key(br#"{"id":5}"#).unwrap(), r#"{"id":5}"#);
    assert_eq!(key(b"plain").unwrap(), "plain");
    assert_eq!(key(b"").unwrap(), "");
    assert_eq!(key(br#"{"schema":null,"payload":null}"#), None);
}

#[test]
fn each_record_is_read_by_its_own_schema() {
    let decimal = r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"}}"#;
    let mut batch = Batch::default();
    for value in [
        format!(r#"{{"schema":{decimal},"payload":"AfQ="}}"#),
        r#"{"schema":{"type":"string"},"payload":"AfQ="}"#.to_owned(),
        format!(r#"{{"schema":{decimal},"payload":"AfQ="}}"#),
    ] {
        let value = Some(value.as_bytes());
        batch.push(&Record {
            topic: "t",
            partition: 0,
            offset: 0,
            timestamp: 0,
            key: None,
            value,
            headers: Vec::new(),
            attempt: 1,
        });
    }
    let applied = BuiltIns::new(Some(Format::JsonEnvelope), Vec::new(), None).apply(batch);
    let values: Vec<_> = applied.records.records().map(|r| r.value.unwrap().to_vec()).collect();
    assert_eq!(values, [br#""5.00""#.as_slice(), br#""AfQ=""#, br#""5.00""#]);
}

#[test]
fn what_was_put_into_an_envelope_comes_out_of_it() {
    let (key, value) = (r#"{"id":9223372036854775807}"#, r#"{"a":1.50,"b":null,"c":[{"x":1},{"y":"z"}],"d":{"e":true}}"#);
    let wrapped = encoded(Format::JsonEnvelope, Some(key.as_bytes()), Some(value.as_bytes())).unwrap();
    let (wrapped_key, wrapped_value) = (wrapped.0.unwrap(), wrapped.1.unwrap());
    assert_eq!(serde_json::from_str::<Value>(&wrapped_value).unwrap()["schema"]["type"], "struct");
    let opened = decoded(Format::JsonEnvelope, Some(wrapped_key.as_bytes()), Some(wrapped_value.as_bytes())).unwrap();
    assert_eq!(opened, (Some(key.to_owned()), Some(value.to_owned())));
}

#[test]
fn a_tombstone_stays_a_tombstone_when_it_is_written() {
    let (key, value) = encoded(Format::JsonEnvelope, Some(b"5"), None).unwrap();
    assert_eq!(value, None);
    assert_eq!(key.unwrap(), r#"{"schema":{"type":"int64","optional":true},"payload":5}"#);
}

#[test]
fn a_key_that_is_not_json_can_not_be_put_into_an_envelope() {
    assert_eq!(encoded(Format::JsonEnvelope, Some(b"plain"), Some(b"1")).unwrap_err().0, Stage::KeyConverter);
}
