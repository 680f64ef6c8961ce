//! The scanner against serde_json: what it takes, serde takes with the same fields; and what it is made for, it takes.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::{Field, fields, is_one_line, object};

fn scanned(json: &[u8]) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    assert_eq!(object(json), fields(json, |_| {}), "both take the same");
    fields(json, |Field { name, json, escaped }| {
        assert_eq!(escaped, json.starts_with('"') && json.contains('\\'), "{json}");
        found.push((name.to_owned(), json.to_owned()));
    })?;
    Some(found)
}

/// The fields as serde sees them; names that occur twice both.
fn read_by_serde(json: &[u8]) -> Option<Vec<(String, String)>> {
    struct Pairs(Vec<(String, String)>);
    impl<'de> serde::Deserialize<'de> for Pairs {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Pairs;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                    let mut pairs = Vec::new();
                    while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                        pairs.push((name, value.get().to_owned()));
                    }
                    Ok(Pairs(pairs))
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }
    serde_json::from_slice::<Pairs>(json).ok().map(|pairs| pairs.0)
}

/// Texts that are JSON, or nearly.
fn nearly_json() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just("\""),
        Just("\\"),
        Just(" "),
        Just("\n"),
        Just("\\u00e9"),
        Just("\\u00g9"),
        Just("\\n"),
        Just("\\x"),
        Just("true"),
        Just("tr"),
        Just("false"),
        Just("null"),
        Just("nul"),
        Just("0"),
        Just("01"),
        Just("-"),
        Just("-1"),
        Just("1.5"),
        Just("1."),
        Just(".5"),
        Just("1e9"),
        Just("1E+"),
        Just("é"),
        Just("\u{1}"),
        Just("\"a\":"),
        Just("\"b\" : "),
        Just("\"text of more than sixteen bytes\""),
        Just("{\"a\":1}"),
        Just("[1, 2]"),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(|x| serde_json::json!(x)),
        any::<String>().prop_map(Into::into),
        "[a-z ]{0,60}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec((any::<String>(), inner), 0..6).prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_the_scanner_takes_serde_takes_with_the_same_fields(text in nearly_json(), in_object in any::<bool>()) {
        let text = if in_object { format!("{{\"a\":{text}}}") } else { text };
        if let Some(found) = scanned(text.as_bytes()) {
            prop_assert_eq!(Some(found), read_by_serde(text.as_bytes()), "{}", text);
        }
    }

    #[test]
    fn a_valid_object_that_is_cut_or_changed_in_one_byte_is_read_as_serde_reads_it(
        pairs in prop::collection::vec(("[a-z]{1,20}", value()), 0..6), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()
    ) {
        let object: serde_json::Map<String, serde_json::Value> = pairs.into_iter().collect();
        let mut bytes = serde_json::to_vec(&object).unwrap();
        let place = at.index(bytes.len());
        if cut { bytes.truncate(place) } else { bytes[place] = byte }
        if let Some(found) = scanned(&bytes) {
            prop_assert_eq!(Some(found), read_by_serde(&bytes));
        }
    }

    #[test]
    fn an_object_whose_names_have_no_escapes_is_taken(pairs in prop::collection::vec(("[a-zé_ ]{0,40}", value()), 0..8), pretty in any::<bool>()) {
        let object: serde_json::Map<String, serde_json::Value> = pairs.into_iter().collect();
        let bytes = if pretty { serde_json::to_vec_pretty(&object) } else { serde_json::to_vec(&object) }.unwrap();
        prop_assert_eq!(scanned(&bytes), read_by_serde(&bytes));
    }
}

#[test]
fn what_is_no_plain_object_is_left_to_serde() {
    for text in [
        "",
        " ",
        "[]",
        "1",
        "null",
        "{",
        "{}x",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":+1}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":[1,]}",
        "{\"a\":{\"b\"}}",
        "{\"a\":[}]}",
        "{\"\\u0061\":1}",
        "{a:1}",
        "{\"a\":nul}",
    ] {
        assert_eq!(scanned(text.as_bytes()), None, "{text}");
    }
    assert_eq!(scanned(b"{\"a\":\"\xff\"}"), None);
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(scanned(nested(64).as_bytes()).is_some());
    assert_eq!(scanned(nested(65).as_bytes()), None);
}

#[test]
fn every_place_of_a_special_character_is_seen() {
    for length in 0..70 {
        let text = format!("{{\"a\":\"{}\",\"b\":1}}", "x".repeat(length));
        assert_eq!(scanned(text.as_bytes()).map(|fields| fields.len()), Some(2), "{text}");
        for bad in ["\u{0}", "\u{1f}", "\\x"] {
            let text = format!("{{\"a\":\"{}{bad}{}\"}}", "x".repeat(length), "y".repeat(20));
            assert_eq!(scanned(text.as_bytes()), None, "{text:?}");
        }
    }
}

#[test]
fn every_place_of_a_line_end_is_seen() {
    for length in 0..150 {
        let text = vec![b'x'; length];
        assert!(is_one_line(&text), "{length}");
        for at in 0..length {
            for end in *b"\n\r" {
                let mut text = text.clone();
                text[at] = end;
                assert!(!is_one_line(&text), "{length} {at}");
            }
        }
    }
}
