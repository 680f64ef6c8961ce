//! What a person sees, whole: errors of transforms.

use super::errors;

#[test]
fn transform_without_a_step() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
[[source.transform]]
when = { tombstone = true }
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn transform_with_two_steps() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
[[source.transform]]
keep = ["a"]
drop = ["b"]
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn unknown_transform_names_the_nearest() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
[[source.transform]]
renam = { a = "b" }
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn mask_without_a_way() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
[[source.transform]]
mask = { fields = ["email"] }
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn cast_to_an_unknown_type() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
[[source.transform]]
cast = { amount = "decimel" }
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn set_to_a_bare_constant() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
[[source.transform]]
set = { region = "eu" }
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn field_with_an_empty_name() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
[[source.transform]]
keep = ["a..b"]
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn route_without_a_target() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
[[source.transform]]
route = { match = "a" }
[[source.transform]]
route = { field = "kind", to = "erp" }
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn predicate_of_two_subjects() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
[[source.transform]]
filter = { field = "a", topic = "t" }
[[source.transform]]
filter = { field = "a" }
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn config_of_no_component() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
[[source.transform]]
keep = ["a"]
config = { x = 1 }
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn nothing_to_run() {
    let text = r#"name = "x"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn place_after_tabs_and_umlauts() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
config = { größe = 1,	x = "${env:SET}" }
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn literal_password_is_not_repeated() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
allow.http = ["h"]
[source.auth.h]
basic = { user = "u", password = "hush", realm = "x" }
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}
