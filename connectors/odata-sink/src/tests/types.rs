//! Values in the service's own writing, and records that do not fit, which reach it in no way.

use super::*;

/// What a V4 order's property is written as; an error is `code at field`.
fn v4(json: &str) -> Vec<String> {
    written(V4, "Orders", r#""ID": "01234567-89ab-cdef-0123-456789abcdef""#, json)
}

fn v2(json: &str) -> Vec<String> {
    written(V2, "OrderSet", r#""OrderID": "1""#, json)
}

/// `json` is of one property.
fn written(xml: &'static str, set: &str, key: &str, json: &str) -> Vec<String> {
    let (mut sink, arrived) = sink(xml, &format!(r#", "entity": "{set}""#), vec![answered(&[(204, "")])]);
    let outcomes = sink.write(&values(&[&format!("{{{key}, {json}}}")])).unwrap();
    match outcomes.get(0) {
        None => bodies(&arrived, 1),
        Some(Verdict::Reject(rejection)) => {
            assert!(arrived.borrow().is_empty(), "nothing is sent of {json}");
            vec![format!("{} at {}", rejection.code, rejection.field.clone().unwrap_or_default())]
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_are_written_as_v4_has_them() {
    for (json, expected) in [
        (r#""number": 9007199254740993"#, r#"{"number":"9007199254740993"}"#),
        (r#""total": "1234567890123456789.10""#, r#"{"total":"1234567890123456789.10"}"#),
        (r#""total": 1.5e3"#, r#"{"total":"1500"}"#),
        (r#""discount": "0.0015""#, r#"{"discount":"0.0015"}"#),
        (r#""weight": "INF""#, r#"{"weight":"INF"}"#),
        (r#""paid": true"#, r#"{"paid":true}"#),
        (r#""day": "2024-05-01""#, r#"{"day":"2024-05-01"}"#),
        (r#""hour": "10:00:00""#, r#"{"hour":"10:00:00"}"#),
        (r#""token": "/+8=""#, r#"{"token":"_-8="}"#),
        (r#""status": "open""#, r#"{"status":"open"}"#),
        (r#""modifiedAt": "2024-05-01T12:00:00.123456+02:00""#, r#"{"modifiedAt":"2024-05-01T10:00:00.123456Z"}"#),
        (
            r#""shipTo": {"city": "Köln", "since": "2020-01-01T00:00:00.000000Z"}"#,
            r#"{"shipTo":{"city":"Köln","since":"2020-01-01T00:00:00Z"}}"#,
        ),
        (r#""tags": ["a"], "prices": [1.0, null]"#, r#"{"tags":["a"],"prices":["1.0",null]}"#),
        (r#""shipTo": null"#, r#"{"shipTo":null}"#),
        (r#""extra": 12345678901234567890.10"#, r#"{"extra":12345678901234567890.10}"#),
    ] {
        assert_eq!(v4(json), [expected]);
    }
}

#[test]
fn values_are_written_as_v2_has_them() {
    for (json, expected) in [
        (r#""Count": 9007199254740993"#, r#"{"Count":"9007199254740993"}"#),
        (r#""Total": "24786.720""#, r#"{"Total":"24786.720"}"#),
        (r#""Weight": 1.5e3"#, r#"{"Weight":1.5e+3}"#),
        (r#""Day": "2024-05-01""#, r#"{"Day":"/Date(1714521600000)/"}"#),
        (r#""ChangedAt": "2024-05-01T10:00:00.123000Z""#, r#"{"ChangedAt":"/Date(1714557600123)/"}"#),
        (r#""SentAt": "2024-05-01T12:00:00+02:00""#, r#"{"SentAt":"/Date(1714557600000+0000)/"}"#),
        (r#""Hour": "PT10H""#, r#"{"Hour":"PT10H"}"#),
        (r#""Scan": "/+8=""#, r#"{"Scan":"/+8="}"#),
        (r#""ShipTo": {"City": "Köln"}"#, r#"{"ShipTo":{"City":"Köln"}}"#),
        (r#""Paid": null"#, r#"{"Paid":null}"#),
    ] {
        assert_eq!(v2(json), [expected]);
    }
}

#[test]
fn what_does_not_fit_its_type_is_rejected_with_its_field_before_anything_is_sent() {
    for (json, expected) in [
        (r#""number": 1.5"#, "odata.type at /number"),
        (r#""number": 9223372036854775808"#, "odata.type at /number"),
        (r#""total": "1,5""#, "odata.type at /total"),
        (r#""weight": "heavy""#, "odata.type at /weight"),
        (r#""paid": "true""#, "odata.type at /paid"),
        (r#""day": "2024-05-01T00:00:00Z""#, "odata.type at /day"),
        (r#""token": "_-8=""#, "odata.type at /token"),
        (r#""modifiedAt": "yesterday""#, "odata.type at /modifiedAt"),
        (r#""modifiedAt": "2024-05-01T10:00:00.1234567Z""#, "odata.range at /modifiedAt"),
        (r#""shipTo": {"town": "Köln"}"#, "odata.field at /shipTo/town"),
        (r#""shipTo": {"city": 7}"#, "odata.type at /shipTo/city"),
        (r#""shipTo": "Köln""#, "odata.type at /shipTo"),
        (r#""tags": ["a", 1]"#, "odata.type at /tags/1"),
        (r#""tags": "a""#, "odata.type at /tags"),
        (r#""scan": "x""#, "odata.type at /scan"),
        (r#""items": []"#, "odata.navigation at /items"),
    ] {
        assert_eq!(v4(json), [expected]);
    }
    for (json, expected) in [
        (r#""Lines": 2147483648"#, "odata.range at /Lines"),
        (r#""Lines": "3""#, "odata.type at /Lines"),
        (r#""Total": "1.2345""#, "odata.range at /Total"),
        (r#""Total": "12345678901234.000""#, "odata.range at /Total"),
        (r#""ChangedAt": "2024-05-01T10:00:00.123456Z""#, "odata.range at /ChangedAt"),
        (r#""Uuid": "0b1c""#, "odata.type at /Uuid"),
        (r#""totl": 1"#, "odata.field at /totl"),
    ] {
        assert_eq!(v2(json), [expected]);
    }
}

#[test]
fn a_record_that_names_no_entity_is_rejected_alone() {
    let (mut sink, arrived) = orders("", vec![answered(&[(204, ""), (204, "")])]);
    let records = testing::batch(
        "t",
        [
            (None, Some(r#"{"Lines": 1}"#)),
            (Some(r#"{"OrderID": "1"}"#), Some(r#"{"Lines": 1}"#)),
            (Some(r#""2""#), Some(r#"{"Lines": 1}"#)),
            (None, Some(r#"{"OrderID": null}"#)),
            (None, Some(r#"{"OrderID": "12345678901"}"#)),
            (None, Some(r#"{"OrderID": 7}"#)),
            (Some("oops"), Some("{}")),
            (None, Some("[1]")),
            (None, Some("oops")),
            (None, None),
            (Some("7"), None),
        ],
    );
    let outcomes = sink.write(&records).unwrap();
    let expected = [
        "key.missing",
        "ok",
        "ok",
        "key.missing",
        "odata.length",
        "odata.type",
        "key.json",
        "value.object",
        "value.json",
        "key.missing",
        "odata.type",
    ];
    assert_eq!(told(&outcomes, 11), expected);
    assert_eq!(asked(&arrived)[1], "MERGE OrderSet('1'), MERGE OrderSet('2')");
    assert_eq!(rejection(&outcomes, 4).field.as_deref(), Some("/OrderID"));
}

#[test]
fn a_rejection_shows_no_value() {
    let (mut sink, _) = orders("", Vec::new());
    let outcomes = sink.write(&values(&[r#"{"OrderID": "1", "Paid": "secret"}"#])).unwrap();
    assert_eq!(rejection(&outcomes, 0).message, "expected true or false, found text");
}

#[test]
fn keys_of_every_type_are_written_as_their_version_has_them() {
    let (mut sink, arrived) = sink(V2, r#", "entity": "ItemSet""#, vec![answered(&[(204, "")])]);
    sink.write(&values(&[r#"{"OrderID": "O'Ne/ü", "Position": 7, "Amount": "1"}"#])).unwrap();
    assert_eq!(asked(&arrived)[1], "MERGE ItemSet(OrderID='O''Ne%2F%C3%BC',Position=7L)");
}

/// A set whose property may not be null, and one with an Int64 and a Decimal.
const STRICT: &str = r#"<edmx:Edmx Version="4.0" xmlns:edmx="e"><edmx:DataServices><Schema Namespace="s" xmlns="x">
<EntityType Name="T"><Key><PropertyRef Name="ID"/></Key><Property Name="ID" Type="Edm.String" Nullable="false"/>
<Property Name="name" Type="Edm.String" Nullable="false"/><Property Name="count" Type="Edm.Int64"/>
<Property Name="total" Type="Edm.Decimal" Scale="variable"/></EntityType>
<EntityContainer Name="C"><EntitySet Name="Ts" EntityType="s.T"/></EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"#;

#[test]
fn null_is_rejected_where_the_service_takes_none() {
    assert_eq!(written(STRICT, "Ts", r#""ID": "1""#, r#""name": null"#), ["odata.null at /name"]);
    assert_eq!(written(STRICT, "Ts", r#""ID": "1""#, r#""total": null"#), [r#"{"total":null}"#]);
}

#[test]
fn numbers_that_are_sent_as_numbers_keep_all_their_digits() {
    for status in [406, 415] {
        let answers = vec![answered(&[(status, "")]), answered(&[(204, "")]), answered(&[(status, "")])];
        let (mut sink, arrived) = sink(STRICT, r#", "entity": "Ts""#, answers);
        let record = values(&[r#"{"ID": "1", "count": "9007199254740993", "total": "1234567890123456789.10"}"#]);
        assert!(matches!(sink.write(&record), Err(Error::Retry { .. })));
        assert_eq!(told(&sink.write(&record).unwrap(), 1), ["ok"]);
        assert_eq!(bodies(&arrived, 1), [r#"{"count":"9007199254740993","total":"1234567890123456789.10"}"#]);
        assert_eq!(bodies(&arrived, 2), [r#"{"count":9007199254740993,"total":1234567890123456789.10}"#]);
        // What is refused in both ways is no matter of numbers.
        assert!(matches!(sink.write(&record), Err(Error::Fatal(_))));
    }
}
