//! `when` and `filter`.
use super::*;

fn holds(predicate: Predicate, value: &str) -> bool {
    holds_for(predicate, &record(Some("k"), Some(value.as_bytes())))
}

fn holds_for(predicate: Predicate, record: &Record<'_>) -> bool {
    let applied = run(vec![always(TransformStep::Filter(predicate))], std::slice::from_ref(record));
    assert_eq!(applied.rejects, []);
    !applied.records.is_empty()
}

fn equals(field: &str, value: Value) -> Predicate {
    Predicate::FieldEquals { field: path(field), value }
}

fn not(predicate: Predicate) -> Predicate {
    Predicate::Not(Box::new(predicate))
}

#[test]
fn equality_is_of_type_and_value() {
    assert!(holds(equals("a.b", json!("x")), r#"{"a":{"b":"x"}}"#));
    assert!(!holds(equals("a", json!("1")), r#"{"a":1}"#));
    assert!(!holds(equals("a", json!(null)), "{}"), "a field that is not there is not null");
    assert!(holds(equals("a", json!(null)), r#"{"a":null}"#));
    assert!(holds(equals("a", json!({"x": [1]})), r#"{"a":{"x":[1.0]}}"#));
}

#[test]
fn numbers_are_equal_by_value_and_exactly() {
    assert!(holds(equals("a", json!(1)), r#"{"a":1.0}"#));
    assert!(holds(equals("a", json!(1000)), r#"{"a":1e3}"#));
    assert!(!holds(equals("a", json!(9_223_372_036_854_775_807_i64)), r#"{"a":9223372036854775806}"#));
}

#[test]
fn one_element_of_a_list_is_enough() {
    assert!(holds(equals("items.id", json!(2)), r#"{"items":[{"id":1},{"id":2}]}"#));
    assert!(holds(equals("items.0.id", json!(1)), r#"{"items":[{"id":1},{"id":2}]}"#));
    assert!(!holds(equals("items.0.id", json!(2)), r#"{"items":[{"id":1},{"id":2}]}"#));
    assert!(holds(equals("*.id", json!(2)), r#"{"x":{"id":2}}"#));
}

#[test]
fn a_pattern_is_searched_in_the_text_of_a_field() {
    let matches = |pattern: &str| Predicate::FieldMatches { field: path("a"), pattern: regex(pattern) };
    assert!(holds(matches("b"), r#"{"a":"abc"}"#));
    assert!(holds(matches("^12"), r#"{"a":123}"#));
    assert!(!holds(matches("."), r#"{"a":null}"#));
    assert!(!holds(matches("."), "{}"));
}

#[test]
fn a_field_exists_also_when_it_is_null() {
    assert!(holds(Predicate::FieldExists(path("a")), r#"{"a":null}"#));
    assert!(!holds(Predicate::FieldExists(path("a")), "{}"));
}

#[test]
fn a_topic_matches_as_a_whole() {
    assert!(holds(Predicate::Topic(regex("ord|orders")), "{}"));
    assert!(!holds(Predicate::Topic(regex("rder")), "{}"));
    assert!(holds(not(Predicate::Topic(regex("rder"))), "{}"));
    assert!(holds(Predicate::All(vec![Predicate::Topic(regex("o|orders"))]), "{}"));
}

#[test]
fn a_topic_is_the_one_that_an_earlier_step_gave() {
    let route = TransformStep::Route(Route::To("other".to_owned()));
    let steps = vec![always(route), always(TransformStep::Filter(Predicate::Topic(regex("other"))))];
    assert_eq!(run(steps, &[record(None, Some(b"{}"))]).records.len(), 1);
}

#[test]
fn a_header_is_there_or_has_a_value() {
    let headers: Vec<Header<'_>> = vec![(b"h", Some(b"1")), (b"h", Some(b"2")), (b"n", None)];
    let with = Record { headers, ..record(None, Some(b"not json")) };
    let header = |name: &str, value: Option<&str>| Predicate::Header { name: name.to_owned(), value: value.map(str::to_owned) };
    assert!(holds_for(header("h", None), &with));
    assert!(holds_for(header("h", Some("2")), &with));
    assert!(!holds_for(header("h", Some("3")), &with));
    assert!(holds_for(header("n", None), &with));
    assert!(!holds_for(header("n", Some("")), &with));
    assert!(!holds_for(header("H", None), &with));
}

#[test]
fn a_tombstone_has_no_fields_and_is_not_null() {
    let tombstone = record(Some("k"), None);
    assert!(holds_for(Predicate::Tombstone, &tombstone));
    assert!(!holds(Predicate::Tombstone, "null"));
    assert!(!holds_for(Predicate::FieldExists(path("a")), &tombstone));
    assert!(holds_for(not(Predicate::FieldExists(path("a"))), &tombstone));
}

#[test]
fn all_stops_at_the_first_that_does_not_hold() {
    // The second one would refuse the record, which is no JSON.
    let all = Predicate::All(vec![Predicate::Tombstone, Predicate::FieldExists(path("a"))]);
    assert!(!holds(all, "not json"));
    assert!(holds(Predicate::All(vec![]), "{}"));
}

#[test]
fn a_step_whose_predicate_does_not_hold_is_passed_over() {
    let drop = |predicate| vec![when(predicate, TransformStep::Drop(paths(&["p"])))];
    assert_eq!(value_through(drop(equals("t", json!("x"))), r#"{"t":"x","p":1}"#).unwrap(), r#"{"t":"x"}"#);
    assert_eq!(value_through(drop(equals("t", json!("x"))), r#"{"t": "y", "p": 1}"#).unwrap(), r#"{"t": "y", "p": 1}"#);
}

#[test]
fn a_record_that_a_predicate_can_not_read_is_refused_not_passed() {
    let steps = vec![when(equals("t", json!("x")), TransformStep::Drop(paths(&["p"])))];
    assert_eq!(value_through(steps, "{").unwrap_err().0, "json.syntax");
}

#[test]
fn a_wasm_step_gets_what_its_predicate_chooses_and_what_can_not_be_read() {
    let records = [record(None, Some(b"{\"t\":1}")), record(None, Some(b"{}")), record(None, Some(b"{"))];
    assert_eq!(select(&Predicate::FieldExists(path("t")), &batch(&records)), [true, false, true]);
    assert_eq!(select(&Predicate::Topic(regex("o|orders")), &batch(&records)), [true; 3]);
}
