//! What paths select, and what is no path.

use super::*;

fn select<'a>(path: &str, json: &'a str) -> Vec<&'a str> {
    JsonPath::parse(path).unwrap().select(json).unwrap()
}

const STORE: &str = r#"{"store": {"book": [{"title": "A", "price": 8.95, "isbn": "x"}, {"title": "B", "price":12.990},
 {"title": "C", "price": 9e0}], "bicycle": {"price": 399}}, "limit": 10}"#;

#[test]
fn what_is_selected_is_the_text_as_it_stood() {
    let json = r#"{"data": [ {"id" : 12345678901234567890.10 , "a":1.0e5} , "x"]}"#;
    assert_eq!(select("$.data[*]", json), [r#"{"id" : 12345678901234567890.10 , "a":1.0e5}"#, "\"x\""]);
    assert_eq!(select("$", "  7 "), ["7"]);
}

#[test]
fn names_indices_slices_and_wildcards_select_as_the_rfc_says() {
    for (path, expected) in [
        ("$.store.book[0].title", vec!["\"A\""]),
        ("$['store'][\"book\"][-1]['title']", vec!["\"C\""]),
        ("$.store.book[*].price", vec!["8.95", "12.990", "9e0"]),
        ("$.store.book[1:].title", vec!["\"B\"", "\"C\""]),
        ("$.store.book[::-1].title", vec!["\"C\"", "\"B\"", "\"A\""]),
        ("$.store.book[0, 2].title", vec!["\"A\"", "\"C\""]),
        ("$.store.book[::0]", vec![]),
        ("$.store.bicycle.*", vec!["399"]),
        ("$..price", vec!["8.95", "12.990", "9e0", "399"]),
        ("$.store.nothing.at.all", vec![]),
        ("$.limit[0]", vec![]),
    ] {
        assert_eq!(select(path, STORE), expected, "{path}");
    }
}

#[test]
fn filters_compare_values_by_their_type() {
    for (path, expected) in [
        ("$.store.book[?@.price < $.limit].title", vec!["\"A\"", "\"C\""]),
        ("$.store.book[?@.price == 9].title", vec!["\"C\""]),
        ("$.store.book[?@.isbn].title", vec!["\"A\""]),
        ("$.store.book[?!@.isbn && (@.title == 'B' || @.price > 1e3)].title", vec!["\"B\""]),
        ("$.store.book[?@.title > 1].title", vec![]),
        ("$.store.book[?@.title != null].title", vec!["\"A\"", "\"B\"", "\"C\""]),
        ("$.store.book[?@.none == @.nothing].title", vec!["\"A\"", "\"B\"", "\"C\""]),
    ] {
        assert_eq!(select(path, STORE), expected, "{path}");
    }
    assert_eq!(select("$[?@ == 9007199254740993]", "[9007199254740992, 9007199254740993]"), ["9007199254740993"]);
}

#[test]
fn names_are_compared_as_what_they_mean_and_the_last_of_two_counts() {
    assert_eq!(select("$['\\u00e9\\'']", r#"{"\u00e9'": 1, "é'": 2}"#), ["2"]);
    assert_eq!(select("$['\\ud83d\\ude00']", "{\"\u{1f600}\": 1}"), ["1"]);
}

#[test]
fn what_is_no_path_is_refused_with_place_and_expectation() {
    for (path, at, expected) in [
        ("", 1, "`$`"),
        ("data", 1, "`$`"),
        ("$.", 3, "a name"),
        ("$.a-b", 4, "the end"),
        ("$[a]", 3, "in quotes"),
        ("$[01]", 3, "zeros"),
        ("$['a'", 6, "`]`"),
        ("$['a\\x']", 5, "escape"),
        ("$[?@.a ==]", 10, "`@`"),
        ("$[?@..a == 1]", 4, "one value"),
        ("$[?length(@.a) > 1]", 4, "functions"),
        ("$[?1]", 5, "comparison"),
        ("$.a ", 4, "the end"),
    ] {
        let error = JsonPath::parse(path).unwrap_err();
        assert!(error.at == at && error.expected.contains(expected), "{error}");
    }
    assert!(JsonPath::parse(&format!("$[?{}", "(".repeat(100))).is_err());
}

#[test]
fn the_container_of_a_path_is_what_has_to_be_there() {
    let container = |path: &str, json| JsonPath::parse(path).unwrap().container().first(json).unwrap();
    assert_eq!(container("$.data[*]", r#"{"data": []}"#), Some("[]"));
    assert_eq!(container("$.data.edges[*].node", r#"{"data": {"edges": [1]}}"#), Some("[1]"));
    assert_eq!(container("$.data[*]", r#"{"error": "no"}"#), None);
}

#[test]
fn a_text_that_is_nested_without_end_does_no_harm() {
    let json = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(JsonPath::parse("$..a").unwrap().select(&json).unwrap().is_empty());
}

#[test]
fn a_name_that_is_no_text_hides_no_other_one() {
    let of = |path: &str| JsonPath::parse(path).unwrap().select(r#"{"\ud800": 1, "id": 7, "\u0061": 2}"#).unwrap();
    assert_eq!((of("$.id"), of("$.a"), of("$[*]")), (vec!["7"], vec!["2"], vec!["1", "7", "2"]));
}
