//! Connect's and Debezium's logical types become the plain JSON that guests know.
use super::*;

/// The payload as a guest sees it.
fn plain(schema: &Value, payload: &Value) -> Result<String, (Stage, String, String)> {
    let value = json!({ "schema": schema, "payload": payload }).to_string();
    decoded(Format::JsonEnvelope, None, Some(value.as_bytes())).map(|(_, value)| value.unwrap())
}

fn decimal(scale: &str) -> Value {
    json!({ "type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "version": 1, "parameters": { "scale": scale } })
}

fn named(kind: &str, name: &str) -> Value {
    json!({ "type": kind, "name": name, "version": 1 })
}

#[test]
fn a_decimal_of_bytes_is_a_text_of_its_digits() {
    let digits = |base64: &str, scale: &str| plain(&decimal(scale), &json!(base64)).unwrap();
    assert_eq!(digits("AfQ=", "2"), r#""5.00""#);
    assert_eq!(digits("/gw=", "2"), r#""-5.00""#);
    assert_eq!(digits("AA==", "0"), r#""0""#);
    assert_eq!(digits("/w==", "3"), r#""-0.001""#);
    assert_eq!(digits("AQ==", "0"), r#""1""#);
    // 10^38 - 1: what databases hold at most.
    assert_eq!(digits("SztMqFqGxHoJiiI//////w==", "10"), format!(r#""{}.{}""#, "9".repeat(28), "9".repeat(10)));
}

#[test]
fn a_scale_below_zero_adds_zeros() {
    assert_eq!(plain(&decimal("-2"), &json!("BQ==")).unwrap(), r#""500""#);
    assert_eq!(plain(&decimal("-2"), &json!("AA==")).unwrap(), r#""0""#);
}

#[test]
fn a_decimal_as_a_number_keeps_its_digits() {
    let value = format!(r#"{{"schema":{},"payload":123456789012345678901234567890.10}}"#, decimal("2"));
    let seen = decoded(Format::JsonEnvelope, None, Some(value.as_bytes())).unwrap().1.unwrap();
    assert_eq!(seen, r#""123456789012345678901234567890.10""#);
}

#[test]
fn dates_and_times_are_rfc_3339_utc() {
    let date = named("int32", "org.apache.kafka.connect.data.Date");
    assert_eq!(plain(&date, &json!(19_675)).unwrap(), r#""2023-11-14""#);
    assert_eq!(plain(&date, &json!(-1)).unwrap(), r#""1969-12-31""#);
    let second = r#""2023-11-14T22:13:20.123000Z""#;
    let of = |name: &str, n: i64| plain(&named("int64", name), &json!(n)).unwrap();
    assert_eq!(of("org.apache.kafka.connect.data.Timestamp", 1_700_000_000_123), second);
    assert_eq!(of("io.debezium.time.Timestamp", 1_700_000_000_123), second);
    assert_eq!(of("io.debezium.time.MicroTimestamp", 1_700_000_000_123_000), second);
    assert_eq!(of("io.debezium.time.NanoTimestamp", 1_700_000_000_123_000_999), second);
    assert_eq!(of("org.apache.kafka.connect.data.Timestamp", -1), r#""1969-12-31T23:59:59.999000Z""#);
}

#[test]
fn logical_types_are_found_in_structs_lists_and_maps() {
    let date = || named("int32", "org.apache.kafka.connect.data.Date");
    let field = |name: &str, mut schema: Value| {
        schema["field"] = json!(name);
        schema
    };
    let schema = json!({ "type": "struct", "fields": [
        field("plain", json!({ "type": "string" })),
        field("day", date()),
        field("inner", json!({ "type": "struct", "fields": [field("day", date())] })),
        field("days", json!({ "type": "array", "items": date() })),
        field("by", json!({ "type": "map", "keys": { "type": "string" }, "values": date() })),
        field("pairs", json!({ "type": "map", "keys": { "type": "int32" }, "values": date() })),
    ]});
    let payload = json!({ "plain": "0", "day": 0, "inner": { "day": 1 }, "days": [2, null], "by": { "a": 3 }, "pairs": [[7, 4]], "extra": 5 });
    let expected = r#"{"plain":"0","day":"1970-01-01","inner":{"day":"1970-01-02"},"days":["1970-01-03",null],"by":{"a":"1970-01-04"},"pairs":[[7,"1970-01-05"]],"extra":5}"#;
    assert_eq!(plain(&schema, &payload).unwrap(), expected);
}

#[test]
fn an_optional_null_stays_null() {
    let mut schema = json!({ "type": "struct", "fields": [decimal("2"), named("int32", "org.apache.kafka.connect.data.Date")] });
    schema["fields"][0]["field"] = json!("a");
    schema["fields"][1]["field"] = json!("b");
    assert_eq!(plain(&schema, &json!({ "a": null })).unwrap(), r#"{"a":null}"#);
    assert_eq!(plain(&schema, &json!({ "a": null, "b": null })).unwrap(), r#"{"a":null,"b":null}"#);
}

#[test]
fn a_value_that_is_not_what_its_schema_says_is_refused_with_its_field() {
    let schema = json!({ "type": "struct", "fields": [{ "field": "a/b", "type": "array", "items": decimal("2") }] });
    for wrong in [json!("not base64!"), json!(""), json!(true), json!("AAAAAAAAAAAAAAAAAAAAAAA=")] {
        let refused = plain(&schema, &json!({ "a/b": ["AfQ=", wrong] })).unwrap_err();
        assert_eq!(refused, (Stage::ValueConverter, "envelope.logical".to_owned(), "/a~1b/1".to_owned()));
    }
    assert_eq!(plain(&schema, &json!({ "a/b": "AfQ=" })).unwrap_err().2, "/a~1b");
    let date = named("int32", "org.apache.kafka.connect.data.Date");
    for wrong in [json!(1.5), json!(i64::MAX), json!(2_000_000_000), json!("2023-11-14")] {
        assert_eq!(plain(&date, &wrong).unwrap_err().1, "envelope.logical", "{wrong}");
    }
}

#[test]
fn a_decimal_without_a_scale_is_refused_rather_than_shown_as_base64() {
    for schema in [named("bytes", "org.apache.kafka.connect.data.Decimal"), decimal("two"), decimal("401")] {
        assert_eq!(plain(&schema, &json!("AfQ=")).unwrap_err().1, "envelope.logical");
    }
}

#[test]
fn a_logical_type_of_others_stays_as_it_is() {
    assert_eq!(
        plain(&named("string", "io.debezium.time.ZonedTimestamp"), &json!("2023-11-14T22:13:20Z")).unwrap(),
        r#""2023-11-14T22:13:20Z""#
    );
}
