//! Schemas that are inferred when an envelope is put on.
use super::*;

fn schema(value: &str) -> Value {
    let wrapped = encoded(Format::JsonEnvelope, None, Some(value.as_bytes())).unwrap().1.unwrap();
    serde_json::from_str::<Value>(&wrapped).unwrap()["schema"].clone()
}

fn refusal(value: &str) -> (String, String) {
    let (_, code, field) = encoded(Format::JsonEnvelope, None, Some(value.as_bytes())).unwrap_err();
    (code, field)
}

fn of(kind: &str) -> Value {
    json!({ "type": kind, "optional": true })
}

#[test]
fn scalars_show_their_types_and_null_counts_as_a_text() {
    assert_eq!(schema("9223372036854775807"), of("int64"));
    assert_eq!(schema("1.0"), of("double"));
    assert_eq!(schema("1e3"), of("double"));
    assert_eq!(schema("true"), of("boolean"));
    assert_eq!(schema(r#""a""#), of("string"));
    assert_eq!(schema("null"), of("string"));
}

#[test]
fn members_become_fields_in_their_order() {
    let expected = json!({ "type": "struct", "optional": true, "fields": [
        { "field": "b", "type": "int64", "optional": true },
        { "field": "a", "type": "string", "optional": true },
    ]});
    assert_eq!(schema(r#"{"b":1,"a":null}"#), expected);
}

#[test]
fn a_list_has_the_schema_that_all_its_elements_fit_into() {
    let items = |value: &str| schema(value)["items"].clone();
    assert_eq!(items("[]"), of("string"));
    assert_eq!(items("[null,1]"), of("int64"));
    assert_eq!(items("[1,2.5,3]"), of("double"));
    let fields = items(r#"[{"a":1},{"b":"x"},{"a":1.5}]"#)["fields"].clone();
    assert_eq!(
        fields,
        json!([{ "field": "a", "type": "double", "optional": true }, { "field": "b", "type": "string", "optional": true }])
    );
    assert_eq!(items("[[1],[],[2.5]]"), json!({ "type": "array", "items": of("double"), "optional": true }));
}

#[test]
fn what_connect_has_no_schema_for_is_refused_with_its_field() {
    assert_eq!(refusal("9223372036854775808"), ("envelope.integer".to_owned(), String::new()));
    assert_eq!(refusal(r#"{"a/b":{"c":9223372036854775808}}"#), ("envelope.integer".to_owned(), "/a~1b/c".to_owned()));
    assert_eq!(refusal(r#"{"a":[1,"x"]}"#), ("envelope.array".to_owned(), "/a".to_owned()));
    assert_eq!(refusal("[true,1]").0, "envelope.array");
}
