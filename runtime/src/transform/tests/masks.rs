//! `mask`: what was personal can't be read any more, wherever it stood.
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::*;
use crate::capability::secret::Secret;

fn mask(fields: &[&str], how: MaskHow) -> TransformStep {
    TransformStep::Mask { fields: paths(fields), how }
}

fn redact(fields: &[&str]) -> TransformStep {
    mask(fields, MaskHow::Redact { with: "xxx".to_owned() })
}

fn hash(fields: &[&str]) -> TransformStep {
    mask(fields, MaskHow::Hash { salt: Secret::new("salt".to_owned()) })
}

#[test]
fn redact_replaces_whatever_is_there_but_null() {
    let before = r#"{"a":"Ann","b":12.5,"c":{"d":1},"e":[1],"f":true,"n":null,"k":1}"#;
    let after = r#"{"a":"xxx","b":"xxx","c":"xxx","e":"xxx","f":"xxx","n":null,"k":1}"#;
    assert_eq!(changed(redact(&["a", "b", "c", "e", "f", "n", "none"]), before), after);
}

#[test]
fn a_mask_reaches_every_element_of_a_list() {
    let before = r#"{"items":[{"email":"a@b"},[{"email":"c@d"}],{"other":1}]}"#;
    let after = changed(redact(&["items.email"]), before);
    assert_eq!(after, r#"{"items":[{"email":"xxx"},[{"email":"xxx"}],{"other":1}]}"#);
    assert_eq!(
        changed(redact(&["*.email"]), r#"{"x":{"email":1},"y":{"email":2}}"#),
        r#"{"x":{"email":"xxx"},"y":{"email":"xxx"}}"#
    );
}

#[test]
fn a_masked_field_that_stood_twice_leaves_nothing_behind() {
    assert_eq!(changed(redact(&["a"]), r#"{"a":"Ann","a":"Bob"}"#), r#"{"a":"xxx"}"#);
    assert_eq!(changed(redact(&["b.a"]), r#"{"b":{"a":"Ann"},"b":{}}"#), r#"{"b":{}}"#);
}

#[test]
fn hash_is_the_keyed_sha256_in_hex_and_the_same_for_the_same_text() {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"salt").unwrap();
    mac.update(b"Ann");
    let expected = hex(&mac.finalize().into_bytes());
    let after = changed(hash(&["a", "b"]), r#"{"a":"Ann","b":"Ann"}"#);
    assert_eq!(after, format!(r#"{{"a":"{expected}","b":"{expected}"}}"#));
    assert_eq!(expected.len(), 64);
}

#[test]
fn the_hash_of_a_number_is_that_of_its_digits() {
    let (number, text) =
        (changed(hash(&["a"]), r#"{"a":9223372036854775807}"#), changed(hash(&["a"]), r#"{"a":"9223372036854775807"}"#));
    assert_eq!(number, text);
}

#[test]
fn last_shows_no_more_than_the_last_characters() {
    let last = |n: usize, value: &str| changed(mask(&["a"], MaskHow::Last(n)), value);
    assert_eq!(last(4, r#"{"a":"DE001234"}"#), r#"{"a":"****1234"}"#);
    assert_eq!(last(2, r#"{"a":"äöü"}"#), r#"{"a":"*öü"}"#);
    assert_eq!(last(4, r#"{"a":"1234"}"#), r#"{"a":"****"}"#, "a text as short as that would be shown whole");
    assert_eq!(last(0, r#"{"a":"12"}"#), r#"{"a":"**"}"#);
    assert_eq!(last(2, r#"{"a":12345}"#), r#"{"a":"***45"}"#);
    assert_eq!(last(3, r#"{"a":{"b":"long enough"}}"#), r#"{"a":"***"}"#);
}

#[test]
fn a_lone_scalar_is_masked_by_the_path_of_no_names_only() {
    let whole = TransformStep::Mask { fields: vec![FieldPath(vec![])], how: MaskHow::Redact { with: "xxx".to_owned() } };
    assert_eq!(changed(whole, r#""Ann""#), r#""xxx""#);
    assert_eq!(refusal(redact(&["a"]), r#""Ann""#).0, "transform.shape");
}

#[test]
fn debug_shows_no_salt() {
    assert!(!format!("{:?}", BuiltIns::new(None, vec![always(hash(&["a"]))], None)).contains("salt"));
}
