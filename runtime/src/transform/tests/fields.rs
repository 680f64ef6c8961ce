//! Steps that change which fields there are: rename, copy, keep, drop, set, flatten.
use super::*;

fn rename(pairs: &[(&str, &str)]) -> TransformStep {
    TransformStep::Rename(pairs.iter().map(|(from, to)| (path(from), path(to))).collect())
}

fn copy(pairs: &[(&str, &str)]) -> TransformStep {
    TransformStep::Copy(pairs.iter().map(|(from, to)| (path(from), path(to))).collect())
}

fn keep(fields: &[&str]) -> TransformStep {
    TransformStep::Keep(paths(fields))
}

fn drop(fields: &[&str]) -> TransformStep {
    TransformStep::Drop(paths(fields))
}

fn set(field: &str, from: SetFrom) -> TransformStep {
    TransformStep::Set(vec![(path(field), from)])
}

fn flatten(separator: &str) -> TransformStep {
    TransformStep::Flatten { separator: separator.to_owned() }
}

#[test]
fn a_renamed_field_keeps_its_place() {
    assert_eq!(changed(rename(&[("b", "x")]), r#"{"a":1,"b":2,"c":3}"#), r#"{"a":1,"x":2,"c":3}"#);
}

#[test]
fn two_fields_can_swap_their_names() {
    assert_eq!(changed(rename(&[("a", "b"), ("b", "a")]), r#"{"a":1,"b":2}"#), r#"{"b":1,"a":2}"#);
}

#[test]
fn a_field_in_the_way_of_a_new_name_gives_way() {
    assert_eq!(changed(rename(&[("a", "b")]), r#"{"b":1,"a":2}"#), r#"{"b":2}"#);
}

#[test]
fn a_name_that_is_missing_is_no_fault_and_takes_nothing_away() {
    assert_eq!(changed(rename(&[("a", "b")]), r#"{"b":1}"#), r#"{"b":1}"#);
}

#[test]
fn a_field_moves_to_another_object() {
    assert_eq!(changed(rename(&[("a.x", "b.y")]), r#"{"a":{"x":1,"z":2}}"#), r#"{"a":{"z":2},"b":{"y":1}}"#);
}

#[test]
fn a_name_inside_a_list_is_renamed_in_each_element() {
    assert_eq!(changed(rename(&[("items.a", "items.b")]), r#"{"items":[{"a":1},{"a":2}]}"#), r#"{"items":[{"b":1},{"b":2}]}"#);
}

#[test]
fn a_copied_field_stays_and_its_copy_replaces_what_is_there() {
    assert_eq!(changed(copy(&[("a", "b")]), r#"{"a":1.50,"c":2}"#), r#"{"a":1.50,"c":2,"b":1.50}"#);
    assert_eq!(changed(copy(&[("a", "b")]), r#"{"b":1,"a":{"x":2}}"#), r#"{"b":{"x":2},"a":{"x":2}}"#);
}

#[test]
fn copies_are_made_one_after_the_other() {
    assert_eq!(changed(copy(&[("a", "b"), ("b", "c")]), r#"{"a":1,"b":2}"#), r#"{"a":1,"b":1,"c":1}"#);
}

#[test]
fn a_field_to_copy_that_is_missing_is_no_fault_and_leaves_what_is_there() {
    assert_eq!(changed(copy(&[("a", "b"), ("x.y", "b")]), r#"{"b":1}"#), r#"{"b":1}"#);
}

#[test]
fn a_field_is_copied_to_another_object_which_is_made_where_it_is_missing() {
    assert_eq!(changed(copy(&[("a.x", "b.y")]), r#"{"a":{"x":1}}"#), r#"{"a":{"x":1},"b":{"y":1}}"#);
    assert_eq!(
        changed(copy(&[("lines.0.sku", "first")]), r#"{"lines":[{"sku":"A"}]}"#),
        r#"{"lines":[{"sku":"A"}],"first":"A"}"#
    );
}

#[test]
fn a_field_of_each_element_of_a_list_is_copied_within_its_element() {
    assert_eq!(
        changed(copy(&[("items.a", "items.b")]), r#"{"items":[{"a":1},{"a":2},{}]}"#),
        r#"{"items":[{"a":1,"b":1},{"a":2,"b":2},{}]}"#
    );
}

#[test]
fn keep_leaves_the_named_fields_in_the_records_order() {
    assert_eq!(changed(keep(&["c", "a", "none"]), r#"{"a":1,"b":2,"c":3}"#), r#"{"a":1,"c":3}"#);
}

#[test]
fn keep_goes_into_objects_and_lists() {
    let before = r#"{"a":{"x":1,"y":2},"items":[{"id":1,"p":"s"},{"id":2}]}"#;
    assert_eq!(changed(keep(&["a.x", "items.id"]), before), r#"{"a":{"x":1},"items":[{"id":1},{"id":2}]}"#);
}

#[test]
fn keep_of_nothing_that_is_there_leaves_an_empty_object() {
    assert_eq!(changed(keep(&["x"]), r#"{"a":1}"#), "{}");
}

#[test]
fn drop_removes_and_keeps_the_order_of_the_others() {
    assert_eq!(changed(drop(&["a", "none"]), r#"{"a":1,"b":2,"c":3,"d":4}"#), r#"{"b":2,"c":3,"d":4}"#);
}

#[test]
fn drop_reaches_every_element_of_a_list() {
    let before = r#"{"items":[{"p":1,"q":2},[{"p":3}],{"q":4}]}"#;
    assert_eq!(changed(drop(&["items.p"]), before), r#"{"items":[{"q":2},[{}],{"q":4}]}"#);
    assert_eq!(changed(drop(&["*.p"]), r#"{"a":{"p":1},"b":{"q":1}}"#), r#"{"a":{},"b":{"q":1}}"#);
    assert_eq!(changed(drop(&["a.1"]), r#"{"a":[1,2,3]}"#), r#"{"a":[1,3]}"#);
}

#[test]
fn a_dropped_field_that_stood_twice_is_gone_both_times() {
    assert_eq!(changed(drop(&["a"]), r#"{"a":"secret","b":1,"a":2}"#), r#"{"b":1}"#);
}

#[test]
fn set_puts_a_constant_over_what_is_there_and_makes_objects_on_the_way() {
    assert_eq!(changed(set("a.b.c", SetFrom::Constant(json!(1))), r#"{"a":{"x":0}}"#), r#"{"a":{"x":0,"b":{"c":1}}}"#);
    assert_eq!(changed(set("a", SetFrom::Constant(json!(null))), r#"{"a":5}"#), r#"{"a":null}"#);
}

#[test]
fn set_through_a_scalar_is_refused() {
    assert_eq!(refusal(set("a.b", SetFrom::Topic), r#"{"a":5}"#), refused("transform.shape", "/a/b"));
}

#[test]
fn set_knows_place_and_time_of_the_record() {
    let steps = ["t", "p", "o", "ts"].into_iter().zip([SetFrom::Topic, SetFrom::Partition, SetFrom::Offset, SetFrom::Timestamp]);
    let steps = steps.map(|(field, from)| always(set(field, from))).collect();
    assert_eq!(value_through(steps, "{}").unwrap(), r#"{"t":"orders","p":2,"o":40,"ts":"2023-11-14T22:13:20.500000Z"}"#);
}

#[test]
fn a_place_that_a_record_does_not_have_yet_is_null() {
    let fresh = Record { partition: -1, offset: -1, ..record(None, Some(b"{}")) };
    let applied = run(vec![always(set("p", SetFrom::Partition)), always(set("o", SetFrom::Offset))], &[fresh]);
    assert_eq!(applied.records.records().next().unwrap().value, Some(br#"{"p":null,"o":null}"#.as_slice()));
}

#[test]
fn set_takes_the_last_header_of_a_name() {
    let headers: Vec<Header<'_>> = vec![(b"h", Some(b"1")), (b"h", Some(b"2")), (b"n", None), (b"bad", Some(b"\xff"))];
    let with = |name: &str| {
        let record = Record { headers: headers.clone(), ..record(None, Some(b"{}")) };
        run(vec![always(set("x", SetFrom::Header(name.to_owned())))], &[record])
    };
    let value = |name: &str| with(name).records.records().next().unwrap().value.unwrap().to_vec();
    assert_eq!(value("h"), br#"{"x":"2"}"#);
    assert_eq!(value("n"), br#"{"x":null}"#);
    assert_eq!(value("absent"), br#"{"x":null}"#);
    let reject = &with("bad").rejects[0];
    assert_eq!((reject.rejection.code.as_str(), reject.rejection.field.as_deref()), ("set.header", Some("/x")));
}

#[test]
fn flatten_joins_names_and_leaves_lists_whole() {
    let before = r#"{"a":{"b":{"c":1},"e":{}},"l":[{"x":1}],"z":null}"#;
    assert_eq!(changed(flatten("_"), before), r#"{"a_b_c":1,"l":[{"x":1}],"z":null}"#);
    assert_eq!(changed(flatten("."), r#"{"a":{"b":1}}"#), r#"{"a.b":1}"#);
}

#[test]
fn two_fields_that_flatten_to_one_name_refuse_the_record() {
    assert_eq!(refusal(flatten("_"), r#"{"a_b":1,"a":{"b":2}}"#).0, "flatten.collision");
}

#[test]
fn steps_that_name_fields_refuse_a_lone_scalar() {
    for step in [rename(&[("a", "b")]), keep(&["a"]), drop(&["a"]), flatten("_"), set("a", SetFrom::Topic)] {
        assert_eq!(refusal(step, "5").0, "transform.shape");
    }
}

#[test]
fn steps_that_name_fields_pass_null_as_it_is() {
    for step in [rename(&[("a", "b")]), keep(&["a"]), drop(&["a"]), flatten("_"), set("a", SetFrom::Topic)] {
        assert_eq!(changed(step, "null"), "null");
    }
}
