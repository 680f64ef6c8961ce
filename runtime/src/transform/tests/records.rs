//! What holds for a record whatever the steps: bytes, digits, order, tombstones, and that one bad record is alone.
use super::*;

fn set(field: &str, constant: Value) -> TransformStep {
    TransformStep::Set(vec![(path(field), SetFrom::Constant(constant))])
}

#[test]
fn a_record_that_no_step_changes_keeps_its_bytes() {
    let odd = "{ \"b\" : 1.500, \"a\":1e2 ,\"a\":1,\t\"u\":\"\\u00e4\" }\n";
    let steps = vec![
        when(Predicate::FieldExists(path("none")), set("x", json!(1))),
        always(TransformStep::Filter(Predicate::FieldExists(path("a")))),
        always(TransformStep::Key(paths(&["b"]))),
        always(TransformStep::Route(Route::Field { field: path("a"), template: "t{}".to_owned() })),
    ];
    assert_eq!(value_through(steps, odd).unwrap(), odd);
}

#[test]
fn place_time_headers_and_attempt_go_through() {
    let headers: Vec<Header<'_>> = vec![(b"h\xff", None), (b"h", Some(b"v"))];
    let before = Record { headers, attempt: 3, ..record(Some("k"), Some(b"{}")) };
    let applied = run(vec![always(set("a", json!(1)))], std::slice::from_ref(&before));
    let after = applied.records.records().next().unwrap();
    assert_eq!(after, Record { value: Some(br#"{"a":1}"#), ..before.clone() });
}

#[test]
fn every_digit_of_a_number_survives_a_change_of_another_field() {
    let before = r#"{"max":9223372036854775807,"min":-9223372036854775808,"big":123456789012345678901234567890,"d":0.10,"e":1e+400,"x":0}"#;
    let after = before.replace(r#""x":0"#, r#""x":1"#);
    assert_eq!(changed(set("x", json!(1)), before), after);
}

#[test]
fn a_changed_record_keeps_the_order_of_its_fields_and_the_last_of_a_name() {
    assert_eq!(changed(set("x", json!(1)), r#"{"z":1,"a":2,"z":3}"#), r#"{"z":3,"a":2,"x":1}"#);
}

#[test]
fn json_of_two_hundred_levels_is_refused_and_not_crashed_on() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert_eq!(value(set("a", json!(1)), &deep).unwrap_err().0, "json.depth");
    let deeper = format!("{}{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    assert_eq!(value(set("a", json!(1)), &deeper).unwrap_err().0, "json.depth");
}

#[test]
fn what_can_not_be_read_fails_at_the_value_converter() {
    for bad in [b"{".as_slice(), b"", b"{\"a\":\"\xff\"}", b"{} {}", b"{\"a\":NaN}", b"\xef\xbb\xbf{}"] {
        let applied = run(vec![always(set("a", json!(1)))], &[record(None, Some(bad))]);
        let reject = &applied.rejects[0];
        assert_eq!((reject.stage, reject.rejection.code.as_str()), (Stage::ValueConverter, "json.syntax"), "{bad:?}");
    }
}

#[test]
fn a_record_that_a_step_refuses_is_alone() {
    let cast = TransformStep::Cast(vec![(path("n"), CastTo::Int)]);
    let records = [r#"{"n":"1"}"#, r#"{"n":"x"}"#, r#"{"n":"3"}"#].map(|v| record(None, Some(v.as_bytes())));
    let applied = run(vec![always(cast)], &records);
    assert_eq!(applied.origin, [0, 2]);
    assert_eq!(applied.records.records().map(|r| r.value.unwrap().to_vec()).collect::<Vec<_>>(), [br#"{"n":1}"#, br#"{"n":3}"#]);
    assert_eq!(applied.rejects.len(), 1);
    assert_eq!((applied.rejects[0].index, applied.rejects[0].stage), (1, Stage::Transformation));
    assert_eq!(applied.rejects[0].rejection.field.as_deref(), Some("/n"));
}

#[test]
fn steps_run_in_the_order_written() {
    let rename = |from: &str, to: &str| always(TransformStep::Rename(vec![(path(from), path(to))]));
    let forth = vec![rename("a", "b"), rename("b", "c"), always(set("a", json!(2)))];
    assert_eq!(value_through(forth, r#"{"a":1}"#).unwrap(), r#"{"c":1,"a":2}"#);
    let back = vec![always(set("a", json!(2))), rename("b", "c"), rename("a", "b")];
    assert_eq!(value_through(back, r#"{"a":1}"#).unwrap(), r#"{"b":2}"#);
}

#[test]
fn a_step_after_a_filter_does_not_see_what_was_filtered() {
    let steps = vec![always(TransformStep::Filter(Predicate::Tombstone)), always(set("a", json!(1)))];
    let applied = run(steps, &[record(None, Some(b"not json"))]);
    assert_eq!(
        applied,
        Applied { records: Batch { topics: vec!["orders".to_owned()], ..Batch::default() }, ..Applied::default() }
    );
}

#[test]
fn tombstones_pass_the_steps_that_change_fields() {
    let steps = vec![
        always(set("a", json!(1))),
        always(TransformStep::Drop(paths(&["a"]))),
        always(TransformStep::Keep(paths(&["a"]))),
        always(TransformStep::Cast(vec![(path("a"), CastTo::Int)])),
        always(TransformStep::Flatten { separator: "_".to_owned() }),
        always(TransformStep::Mask { fields: paths(&["a"]), how: MaskHow::Last(1) }),
        always(TransformStep::Rename(vec![(path("a"), path("b"))])),
    ];
    let tombstone = record(Some("k"), None);
    let applied = run(steps, std::slice::from_ref(&tombstone));
    assert_eq!(applied.records.records().collect::<Vec<_>>(), [tombstone]);
}

#[test]
fn no_steps_and_plain_formats_touch_nothing() {
    let steps = BuiltIns::new(Some(Format::Json), Vec::new(), Some(Format::Bytes));
    assert!(steps.is_identity());
    let input = batch(&[record(None, Some(b"\xff"))]);
    assert_eq!(steps.apply(input.clone()), Applied { records: input, origin: vec![0], rejects: Vec::new() });
}

#[test]
fn a_value_is_parsed_once() {
    let text = br#"{"a":1}"#.as_slice();
    let original = record(None, Some(text));
    let mut working = Working::new(original);
    let first: *const Value = working.json().unwrap().unwrap();
    assert!(working.raw().is_none(), "the parsed form is kept");
    let again: *const Value = working.json().unwrap().unwrap();
    assert_eq!(first, again);
}
