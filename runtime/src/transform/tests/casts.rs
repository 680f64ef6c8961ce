//! `cast`: exactly or not at all.
use super::*;

fn cast(to: CastTo) -> TransformStep {
    TransformStep::Cast(vec![(path("a"), to)])
}

/// What the field `a` becomes, as JSON; `None`: refused.
fn a(to: CastTo, json: &str) -> Option<String> {
    match value(cast(to), &format!(r#"{{"a":{json}}}"#)) {
        Ok(text) => Some(text.strip_prefix(r#"{"a":"#).and_then(|t| t.strip_suffix('}')).unwrap().to_owned()),
        Err(error) => {
            assert_eq!(error, refused("transform.cast", "/a"), "{json}");
            None
        }
    }
}

fn all(to: CastTo, pairs: &[(&str, &str)]) {
    for (before, after) in pairs {
        assert_eq!(a(to, before).as_deref(), Some(*after), "{before} as {to:?}");
    }
}

fn none(to: CastTo, refused: &[&str]) {
    for before in refused {
        assert_eq!(a(to, before), None, "{before} as {to:?}");
    }
}

#[test]
fn null_and_missing_fields_stay() {
    for to in [CastTo::Text, CastTo::Int, CastTo::Float, CastTo::Decimal, CastTo::Bool, CastTo::Timestamp, CastTo::Json] {
        assert_eq!(a(to, "null").as_deref(), Some("null"));
        assert_eq!(changed(cast(to), r#"{"b":1}"#), r#"{"b":1}"#);
    }
}

#[test]
fn to_text() {
    all(
        CastTo::Text,
        &[("1.50", r#""1.50""#), ("true", r#""true""#), (r#""x""#, r#""x""#), (r#"{"b":[1]}"#, r#""{\"b\":[1]}""#)],
    );
    all(CastTo::Text, &[("9223372036854775807", r#""9223372036854775807""#)]);
}

#[test]
fn to_int() {
    let most = "9223372036854775807";
    all(CastTo::Int, &[(most, most), ("-9223372036854775808", "-9223372036854775808"), ("12.0", "12"), ("1e3", "1000")]);
    all(CastTo::Int, &[(r#"" 12 ""#, "12"), (r#""9223372036854775807""#, most), ("true", "1"), ("false", "0"), ("-0", "0")]);
    none(CastTo::Int, &["9223372036854775808", "1.5", r#""1.5""#, r#""""#, r#""12a""#, "[1]", "{}", "1e30", r#""0x10""#]);
}

#[test]
fn to_float_keeps_the_digits() {
    all(CastTo::Float, &[("1.10", "1.10"), (r#""1.10""#, "1.10"), ("true", "1"), (r#"".5""#, "0.5"), (r#""+1.25""#, "1.25")]);
    all(CastTo::Float, &[(r#""+0.1234567890123456789""#, "0.1234567890123456789")]);
    none(CastTo::Float, &[r#""NaN""#, r#""inf""#, r#""""#, r#""1,5""#, "[]"]);
}

#[test]
fn to_decimal_is_a_text_of_plain_digits() {
    all(
        CastTo::Decimal,
        &[("12.50", r#""12.50""#), (r#""12.50""#, r#""12.50""#), ("1e3", r#""1000""#), ("1.5e-3", r#""0.0015""#)],
    );
    all(CastTo::Decimal, &[(r#""007""#, r#""7""#), (r#"".5""#, r#""0.5""#), (r#""5.""#, r#""5""#), ("-0.10", r#""-0.10""#)]);
    let long = r#""123456789012345678901234567890.123456789""#;
    all(CastTo::Decimal, &[("123456789012345678901234567890.123456789", long)]);
    none(CastTo::Decimal, &["true", r#""""#, r#""1.2.3""#, r#""abc""#, r#""1e9999""#, "{}", r#""٣""#]);
}

#[test]
fn to_bool() {
    all(CastTo::Bool, &[("1", "true"), ("0", "false"), (r#""YES""#, "true"), (r#"" off ""#, "false"), ("true", "true")]);
    none(CastTo::Bool, &["2", r#""maybe""#, r#""""#, "[]"]);
}

#[test]
fn to_timestamp_is_utc_with_microseconds() {
    let same = r#""2023-11-14T22:13:20.000000Z""#;
    all(CastTo::Timestamp, &[("1700000000000", same), (r#""1700000000000""#, same), (r#""2023-11-14T23:13:20+01:00""#, same)]);
    all(
        CastTo::Timestamp,
        &[(r#""2023-11-14T22:13:20""#, same), (r#""2023-11-14 22:13:20""#, same), (r#""/Date(1700000000000)/""#, same)],
    );
    all(
        CastTo::Timestamp,
        &[(r#""/Date(1700000000000+0060)/""#, same), (r#""/Date(-1000)/""#, r#""1969-12-31T23:59:59.000000Z""#)],
    );
    all(
        CastTo::Timestamp,
        &[(r#""2023-11-14""#, r#""2023-11-14T00:00:00.000000Z""#), ("-1", r#""1969-12-31T23:59:59.999000Z""#)],
    );
    all(CastTo::Timestamp, &[(r#""2023-11-14T22:13:20.1234567Z""#, r#""2023-11-14T22:13:20.123456Z""#)]);
    none(
        CastTo::Timestamp,
        &[r#""2023-13-01""#, r#""yesterday""#, r#""""#, "true", "1.5", "9223372036854775807", r#""/Date()/""#],
    );
}

#[test]
fn to_json_parses_a_text() {
    all(CastTo::Json, &[(r#""{\"b\":[1.50]}""#, r#"{"b":[1.50]}"#), (r#""5""#, "5"), ("[1]", "[1]")]);
    none(CastTo::Json, &[r#""{""#, r#""""#]);
}

#[test]
fn the_field_at_fault_is_named_also_inside_a_list() {
    let step = TransformStep::Cast(vec![(path("items.n"), CastTo::Int)]);
    assert_eq!(refusal(step, r#"{"items":[{"n":1},{"n":"x"}]}"#), refused("transform.cast", "/items/1/n"));
    let step = TransformStep::Cast(vec![(FieldPath(vec!["a/b~c".to_owned()]), CastTo::Int)]);
    assert_eq!(refusal(step, r#"{"a/b~c":"x"}"#), refused("transform.cast", "/a~1b~0c"));
}

#[test]
fn the_reason_does_not_repeat_the_value() {
    let applied = run(vec![always(cast(CastTo::Int))], &[record(None, Some(br#"{"a":"Ann Smith"}"#))]);
    assert!(!applied.rejects[0].rejection.message.contains("Ann"));
}
