//! Members that no step reaches stay text: what comes out is what comes out when all of the value is parsed.
use super::*;

/// Runs of steps, each with something that can be reached and something that can not.
fn runs() -> Vec<Vec<TransformConfig>> {
    let rename = |from: &str, to: &str| always(TransformStep::Rename(vec![(path(from), path(to))]));
    let put = |name: &str| TransformStep::Set(vec![(path(name), SetFrom::Constant(json!("a\"b")))]);
    let set = |name: &str| always(put(name));
    let mask = |name: &str| always(TransformStep::Mask { fields: paths(&[name]), how: MaskHow::Last(1) });
    let drop = |name: &str| always(TransformStep::Drop(paths(&[name])));
    let cast = |name: &str| always(TransformStep::Cast(vec![(path(name), CastTo::Text)]));
    let exists = |name: &str| Predicate::FieldExists(path(name));
    vec![
        vec![rename("a", "x"), mask("b"), set("origin")],
        vec![rename("a", "b"), rename("b", "c")],
        vec![always(TransformStep::Rename(vec![(path("a"), path("b")), (path("b"), path("a"))]))],
        vec![rename("n.k", "k")],
        vec![rename("a", "n.a")],
        vec![set("n.z"), drop("a")],
        vec![mask("n.k"), cast("c")],
        vec![mask("n.*")],
        vec![always(TransformStep::Keep(paths(&["c", "n.k"])))],
        vec![when(exists("c"), put("a")), always(TransformStep::Filter(Predicate::Not(Box::new(exists("zz")))))],
        vec![
            always(TransformStep::Key(paths(&["a", "c"]))),
            always(TransformStep::Route(Route::Field { field: path("b"), template: "t.{}".to_owned() })),
        ],
        vec![cast("a"), cast("n"), drop("zz")],
        vec![always(TransformStep::Filter(Predicate::FieldEquals { field: path("c"), value: json!(1) })), set("c")],
    ]
}

/// Members in all orders of up to four of them, and texts that are no plain object.
fn texts() -> Vec<String> {
    const MEMBERS: [&str; 9] = [
        r#""a":1"#,
        r#""b":"x.y""#,
        r#""c":1.50e+2"#,
        r#""n":{"k":[1,{"q":null}],"a":"é"}"#,
        r#""zz":[]"#,
        r#""u":"ü€😀""#,
        r#""e":"a\"b\\ä""#,
        r#""":-0"#,
        r#""a":null"#,
    ];
    let mut texts: Vec<String> = (0..MEMBERS.len().pow(4))
        .map(|n| {
            let chosen = (0..4).map(|place| MEMBERS[n / MEMBERS.len().pow(place) % MEMBERS.len()]);
            format!("{{{}}}", chosen.collect::<Vec<_>>().join(","))
        })
        .collect();
    let more =
        ["{}", "null", "5", "[]", r#"[{"a":1}]"#, "", "{", r#"{"a":1,}"#, r#"{"a":1}x"#, r#"{"a":01}"#, "{\"a\":\"\u{1}\"}"];
    texts.extend(more.map(str::to_owned));
    texts.push(format!("{{\"a\":1,\"deep\":{}{}}}", "[".repeat(200), "]".repeat(200)));
    texts.push(format!("{{\"a\":1{}}}", (0..200).map(|n| format!(",\"m{n}\":{n}")).collect::<String>()));
    texts
}

#[test]
fn what_comes_out_is_what_comes_out_when_all_is_parsed() {
    let texts = texts();
    let mut values: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    values.push(b"{\"a\":1,\"b\":\"\xff\"}");
    let records: Vec<Record<'_>> = values.iter().map(|value| record(Some("k"), Some(value))).collect();
    for (number, steps) in runs().into_iter().enumerate() {
        let partly = BuiltIns::new(Some(Format::Json), steps.clone(), None);
        assert!(partly.touched.is_some(), "run {number} reaches all");
        let whole = BuiltIns { touched: None, ..BuiltIns::new(Some(Format::Json), steps, None) };
        for chunk in records.chunks(500) {
            let (partly, whole) = (partly.apply(batch(chunk)), whole.apply(batch(chunk)));
            let text = |applied: &Applied| {
                let record = |r: Record<'_>| {
                    format!("{} {:?} {:?}", r.topic, r.key.map(String::from_utf8_lossy), r.value.map(String::from_utf8_lossy))
                };
                applied.records.records().map(record).collect::<Vec<_>>()
            };
            assert_eq!(text(&partly), text(&whole), "run {number}");
            assert_eq!(partly, whole, "run {number}");
        }
    }
}

#[test]
fn what_no_step_reaches_keeps_its_text() {
    let set = |name: &str| always(TransformStep::Set(vec![(path(name), SetFrom::Constant(json!(1)))]));
    let before = r#"{ "p" : [ 1 , 2 ] ,  "q":1E5, "a": 0 , "z" : { } }"#;
    assert_eq!(value_through(vec![set("a")], before).unwrap(), r#"{"p" : [ 1 , 2 ] ,  "q":1E5,"a":1,"z" : { }}"#);
    // What has lines or escapes is written anew as a whole: a value stays one line.
    assert_eq!(value_through(vec![set("a")], "{\"p\":[1,\n2]}").unwrap(), r#"{"p":[1,2],"a":1}"#);
}

#[test]
fn steps_that_look_at_all_members_have_all_of_them() {
    let all = |step: TransformStep| BuiltIns::new(Some(Format::Json), vec![always(step)], None).touched.is_none();
    assert!(all(TransformStep::Flatten { separator: "_".to_owned() }));
    assert!(all(TransformStep::Drop(paths(&["*.p"]))));
    assert!(all(TransformStep::Mask { fields: vec![FieldPath(Vec::new())], how: MaskHow::Last(1) }));
    assert!(all(TransformStep::Drop(paths(&["a\0b"]))));
    let steps = || vec![always(TransformStep::Drop(paths(&["a"])))];
    for format in [Format::JsonEnvelope, Format::Text] {
        assert!(BuiltIns::new(Some(format), steps(), None).touched.is_none());
        assert!(BuiltIns::new(None, steps(), Some(format)).touched.is_none());
    }
}
