//! What is asked for, and configurations that cannot work.

use super::*;

#[test]
fn templates_make_query_headers_and_body() {
    let page = RefCell::new(0);
    let asked = answers(move |_| {
        *page.borrow_mut() += 1;
        json(if *page.borrow() == 1 { r#"{"d": [{"at": "2024-05-01T10:00:00Z"}], "next": "a\"b"}"# } else { r#"{"d": []}"# })
    });
    let config = r#", "method": "POST", "query": {"limit": "{{ size }}", "from": "{{ since }}"}, "page-size": 5,
        "headers": {"X-After": "p-{{ cursor }}"}, "body": "{\"after\": {{ cursor }}, \"q\": \"at>'{{ since }}'\"}",
        "pagination": "cursor", "next": "$.next", "records": "$.d", "cursor": "at", "initial": "2024-01-01""#;
    let mut reading = open(config, &[]).unwrap();
    reading.round();
    reading.round();
    let body = |at: usize| String::from_utf8(asked.borrow()[at].body.clone()).unwrap();
    let after = |at: usize| asked.borrow()[at].headers.iter().find(|(name, _)| name == "X-After").map(|(_, value)| value.clone());
    assert_eq!(urls(&asked)[..2], ["/orders?from=2024-01-01&limit=5", "/orders?from=2024-01-01&limit=5"]);
    assert_eq!(body(0), r#"{"after": null, "q": "at>'2024-01-01'"}"#);
    assert_eq!((body(1), after(1)), (r#"{"after": "a\"b", "q": "at>'2024-01-01'"}"#.to_owned(), Some("p-a\"b".to_owned())));
    assert_eq!(after(0), None, "a header without its value is left out");
    assert_eq!(urls(&asked)[2], "/orders?from=2024-05-01T09%3A59%3A00Z&limit=5");
}

#[test]
fn a_parameter_without_a_value_is_left_out() {
    let asked = answers(|_| json("[]"));
    open(r#", "query": {"a b": "x&y", "from": "{{ since }}"}, "cursor": "at""#, &[]).unwrap().round();
    assert_eq!(urls(&asked), ["/orders?a%20b=x%26y"]);
}

#[test]
fn configurations_that_cannot_work_are_refused_by_the_name_of_their_key() {
    for (config, expected) in [
        (r#", "query": {"p": "{{ pgae }}"}, "pagination": "page""#, "did you mean `page`?"),
        (r#", "query": {"p": "{{ page }}"}"#, "`{{ page }}` is not known here"),
        (r#", "pagination": "page""#, "needs `{{ page }}` in a template"),
        (r#", "pagination": "cursor""#, "`config.next` go together"),
        (r#", "next": "$.next""#, "`config.next` go together"),
        (r#", "records": "$.data[""#, "is no JSONPath"),
        (r#", "key": ["$.lines[*].id"]"#, "`config.key`"),
        (r#", "key": ["id", "$.order.id"]"#, "two fields named `id`"),
        (r#", "cursor": "$..at""#, "`config.cursor`"),
        (r#", "overlap": "5s""#, "`config.overlap` is about `config.cursor`"),
        (r#", "cursor": "at", "overlap": "5 years""#, "`config.overlap`"),
        (r#", "cursor": "at", "cursor-type": "time", "initial": "soon""#, "`config.initial`"),
        (r#", "order": "ascending", "cursor": "at""#, "`{{ since }}` in a template"),
        (r#", "order": "ascending", "cursor": "at", "query": {"s": "{{ since }}"}"#, "needs `config.page-size`"),
        (r#", "format": "json-lines", "fail-if": "$.e""#, "format = \"json\" alone"),
        (r#", "format": "json-lines", "records": "$.e""#, "format = \"json\" alone"),
        (r#", "body": "{}""#, "method = \"POST\""),
        (
            r#", "method": "POST", "body": "{{ since }}{", "cursor": "at""#,
            "`config.body`: with its names filled in it is no JSON",
        ),
        (r#", "method": "POST", "body": "{\"a\": \"{{ since }}\"}", "cursor": "at""#, "has no value in the first request"),
        (r#", "headers": {"Cookie": "x"}"#, "[source.auth]"),
        (r#", "page-size": 0"#, "`config.page-size`"),
        (r#", "more": "$.more""#, "`config.more` says whether there is another page"),
    ] {
        let error = fatal(open(config, &[]).map(|_| ()));
        assert!(error.contains(expected), "{config}: {error}");
    }
    let context = |url: &str| Context::new("orders", format!(r#"{{"url": "{url}"}}"#));
    for (url, expected) in
        [("api", "no URL"), ("https://{{ since }}/x", "template in its host"), ("https://me:pw@h/", "[source.auth]")]
    {
        let error = fatal(Http::open(&context(url), Vec::new()).map(|_| ()));
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn an_overlap_of_another_kind_than_the_cursor_stops_the_source() {
    answers(|_| json(r#"[{"at": 5}]"#));
    let error = fatal(open(r#", "cursor": "at", "overlap": "60s""#, &[]).unwrap().poll(1));
    assert!(error.contains("`config.overlap` is of another kind than the cursor `at`"), "{error}");
}

#[test]
fn lines_are_asked_for_by_their_own_type() {
    let asked = answers(|_| Response::new(200, ""));
    open(r#", "format": "json-lines""#, &[]).unwrap().round();
    open("", &[]).unwrap().poll(1).unwrap_err();
    let accept = |at: usize| asked.borrow()[at].headers.iter().find(|(name, _)| name == "accept").map(|(_, value)| value.clone());
    assert!(accept(0).unwrap().starts_with("application/x-ndjson"));
    assert_eq!(accept(1).as_deref(), Some("application/json"));
}
