//! The transform without Wharf: `testing` lays what it answers over its records, as the host does.

use wharf_sdk::testing::{self, Transformed};

use super::*;

fn split(config: &str, values: &[Option<&str>]) -> Transformed {
    let mut transform = Split::open(&Context::new("test", config)).unwrap();
    let batch = testing::batch("orders", values.iter().map(|value| (Some("k"), *value)));
    testing::transform(&mut transform, &batch).unwrap()
}

/// Index in the input and value of what came out.
fn values(out: &Transformed) -> Vec<(u32, Option<&str>)> {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    let values = out.records.records().map(|record| record.value.map(text));
    out.origin.iter().copied().zip(values).collect()
}

#[test]
fn a_list_becomes_one_record_for_each_element() {
    let out = split(
        r#"{"field": "skus", "number": "line"}"#,
        &[
            Some(r#"{"order": 1.50, "skus": ["a", {"b": 2}]}"#),
            Some(r#"{"skus": []}"#),
        ],
    );
    assert_eq!(
        values(&out),
        [
            (0, Some(r#"{"order":1.50,"skus":"a","line":1}"#)),
            (0, Some(r#"{"order":1.50,"skus":{"b":2},"line":2}"#)),
        ]
    );
    assert!(out.records.records().all(|record| record.key == Some(b"k")));
}

#[test]
fn a_text_is_a_list_where_a_separator_is_given() {
    let out = split(
        r#"{"field": "skus", "separator": ";"}"#,
        &[Some(r#"{"skus": "a;b"}"#)],
    );
    assert_eq!(
        values(&out),
        [(0, Some(r#"{"skus":"a"}"#)), (0, Some(r#"{"skus":"b"}"#))]
    );
}

#[test]
fn what_has_no_list_goes_on_as_it_came() {
    let out = split(r#"{"field": "skus"}"#, &[Some(r#"{ "id": 1 }"#), None]);
    assert_eq!(values(&out), [(0, Some(r#"{ "id": 1 }"#)), (1, None)]);
}

#[test]
fn what_cannot_be_split_is_rejected_alone() {
    let config = r#"{"field": "skus"}"#;
    let out = split(
        config,
        &[
            Some(r#"{"skus": 7}"#),
            Some("no JSON"),
            Some(r#"{"skus": [1]}"#),
        ],
    );
    let rejected: Vec<_> = out
        .rejected
        .iter()
        .map(|(at, why)| (*at, why.code.as_str()))
        .collect();
    assert_eq!(rejected, [(0, "split.list"), (1, "value.json")]);
    assert_eq!(out.rejected[0].1.field.as_deref(), Some("/skus"));
    assert_eq!(values(&out), [(2, Some(r#"{"skus":1}"#))]);
}
