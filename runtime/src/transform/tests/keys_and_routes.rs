//! `key` and `route`: which row and which topic. A wrong one would change something else, so none is guessed.
use super::*;

fn key(fields: &[&str]) -> TransformStep {
    TransformStep::Key(paths(fields))
}

fn key_of(step: TransformStep, value: &str) -> Result<String, String> {
    let applied = run(vec![always(step)], &[record(Some("old"), Some(value.as_bytes()))]);
    match applied.rejects.first() {
        Some(reject) => Err(reject.rejection.code.clone()),
        None => Ok(String::from_utf8(applied.records.records().next().unwrap().key.unwrap().to_vec()).unwrap()),
    }
}

#[test]
fn a_key_is_an_object_of_its_fields_in_configured_order() {
    assert_eq!(
        key_of(key(&["b", "a.id"]), r#"{"a":{"id":9223372036854775807},"b":"x"}"#).unwrap(),
        r#"{"b":"x","id":9223372036854775807}"#
    );
}

#[test]
fn fields_of_one_name_are_called_by_their_paths() {
    assert_eq!(key_of(key(&["a.id", "b.id"]), r#"{"a":{"id":1},"b":{"id":2}}"#).unwrap(), r#"{"a.id":1,"b.id":2}"#);
}

#[test]
fn a_key_leaves_the_value_byte_for_byte() {
    assert_eq!(changed(key(&["a"]), "{ \"a\" : 1.50 }"), "{ \"a\" : 1.50 }");
}

#[test]
fn a_key_with_a_missing_or_null_field_is_refused() {
    assert_eq!(key_of(key(&["a"]), "{}").unwrap_err(), "key.missing");
    assert_eq!(key_of(key(&["a"]), r#"{"a":null}"#).unwrap_err(), "key.null");
    assert_eq!(key_of(key(&["a"]), "5").unwrap_err(), "key.missing");
}

#[test]
fn a_tombstone_has_no_field_for_key_or_route() {
    for step in [key(&["a"]), TransformStep::Route(Route::Field { field: path("a"), template: "{}".to_owned() })] {
        let applied = run(vec![always(step)], &[record(Some("k"), None)]);
        assert!(applied.rejects[0].rejection.code.ends_with(".tombstone"), "{:?}", applied.rejects);
        assert!(applied.records.is_empty());
    }
}

fn topic_of(route: Route, value: &str) -> Result<String, String> {
    let applied = run(vec![always(TransformStep::Route(route))], &[record(Some("k"), Some(value.as_bytes()))]);
    match applied.rejects.first() {
        Some(reject) => Err(reject.rejection.code.clone()),
        None => Ok(applied.records.records().next().unwrap().topic.to_owned()),
    }
}

#[test]
fn a_route_by_field_fills_the_template() {
    let route = || Route::Field { field: path("c"), template: "orders.{}".to_owned() };
    assert_eq!(topic_of(route(), r#"{"c":"DE"}"#).unwrap(), "orders.DE");
    assert_eq!(topic_of(route(), r#"{"c":7}"#).unwrap(), "orders.7");
    assert_eq!(topic_of(route(), "{}").unwrap_err(), "route.missing");
    assert_eq!(topic_of(route(), r#"{"c":null}"#).unwrap_err(), "route.type");
    assert_eq!(topic_of(route(), r#"{"c":{}}"#).unwrap_err(), "route.type");
    assert_eq!(topic_of(route(), r#"{"c":"a b"}"#).unwrap_err(), "route.topic");
    assert_eq!(topic_of(route(), &format!(r#"{{"c":"{}"}}"#, "x".repeat(250))).unwrap_err(), "route.topic");
}

#[test]
fn a_route_by_pattern_needs_the_whole_name_and_fills_groups() {
    let route = |pattern: &str, to: &str| Route::Regex { pattern: regex(pattern), replacement: to.to_owned() };
    assert_eq!(topic_of(route("(o)rd(.*)", "$2_eu.$1"), "{}").unwrap(), "ers_eu.o");
    assert_eq!(topic_of(route("order", "x"), "{}").unwrap(), "orders");
    assert_eq!(topic_of(route("ord|orders", "x"), "{}").unwrap(), "x", "the longer alternative counts too");
    assert_eq!(topic_of(route("orders", "a$"), "{}").unwrap_err(), "route.topic");
}

#[test]
fn a_constant_route_takes_tombstones_too() {
    let route = TransformStep::Route(Route::To("other".to_owned()));
    let applied = run(vec![always(route)], &[record(Some("k"), None), record(Some("k"), Some(b"not json"))]);
    assert_eq!(
        applied.records.records().map(|r| (r.topic.to_owned(), r.value.map(<[u8]>::len))).collect::<Vec<_>>(),
        [("other".to_owned(), None), ("other".to_owned(), Some(8))]
    );
}

#[test]
fn topics_obey_kafkas_names() {
    for good in ["a", "A.b_c-9", "..a", &"x".repeat(249)] {
        assert!(route::is_topic(good), "{good}");
    }
    for bad in ["", ".", "..", "a/b", "ä", "a b", &"x".repeat(250)] {
        assert!(!route::is_topic(bad), "{bad}");
    }
}
