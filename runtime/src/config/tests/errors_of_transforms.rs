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
    let expected = r#"error: a transform has 0 steps
 --> retail.toml:5:1
  |
5 | [[source.transform]]
  | ^^^^^^^^^^^^^^^^^^^^ expected exactly one of rename, copy, keep, drop, mask, cast, set, flatten, key, route, filter, component

retail.toml: 1 error"#;
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
    let expected = r#"error: a transform has 2 steps
 --> retail.toml:5:1
  |
5 | [[source.transform]]
  | ^^^^^^^^^^^^^^^^^^^^ expected exactly one of rename, copy, keep, drop, mask, cast, set, flatten, key, route, filter, component

retail.toml: 1 error"#;
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
    let expected = r#"error: unknown key `renam`
 --> retail.toml:6:1
  |
6 | renam = { a = "b" }
  | ^^^^^ expected `when`, `rename`, `copy`, `keep`, `drop`, `mask`, `cast`, `set`, `flatten`, `key`, `route`, `filter`, `component` or `config`
  |
  = help: did you mean `rename`?

retail.toml: 1 error"#;
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
    let expected = r#"error: a mask needs exactly one way
 --> retail.toml:6:8
  |
6 | mask = { fields = ["email"] }
  |        ^^^^^^^^^^^^^^^^^^^^^^ expected one of `redact`, `hash`, `last`

retail.toml: 1 error"#;
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
    let expected = r#"error: unknown value `decimel`
 --> retail.toml:6:19
  |
6 | cast = { amount = "decimel" }
  |                   ^^^^^^^^^ expected `text`, `int`, `float`, `decimal`, `bool`, `timestamp` or `json`
  |
  = help: did you mean `decimal`?

retail.toml: 1 error"#;
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
    let expected = r#"error: unknown value `eu`
 --> retail.toml:6:18
  |
6 | set = { region = "eu" }
  |                  ^^^^ expected `constant`, `header`, `timestamp`, `topic`, `partition` or `offset`
  |
  = help: a constant is written { constant = "eu" }

retail.toml: 1 error"#;
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
    let expected = r#"error: `a..b` is not a field
 --> retail.toml:6:9
  |
6 | keep = ["a..b"]
  |         ^^^^^^ expected a name, `a.b`, or a JSON pointer `/a/b`

retail.toml: 1 error"#;
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
    let expected = r#"error: `to` is missing
 --> retail.toml:6:9
  |
6 | route = { match = "a" }
  |         ^^^^^^^^^^^^^^^ `to` is required here

error: the template never uses the field
 --> retail.toml:8:32
  |
8 | route = { field = "kind", to = "erp" }
  |                                ^^^^^ expected `{}` where the field's text goes

retail.toml: 2 errors"#;
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
    let expected = r#"error: a predicate asks 2 things
 --> retail.toml:6:10
  |
6 | filter = { field = "a", topic = "t" }
  |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected exactly one of field, header, topic, tombstone, not, all

error: a field needs exactly one question
 --> retail.toml:8:10
  |
8 | filter = { field = "a" }
  |          ^^^^^^^^^^^^^^^ expected one of `equals`, `matches`, `exists`

retail.toml: 2 errors"#;
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
    let expected = r#"error: `config` without `component`
 --> retail.toml:7:10
  |
7 | config = { x = 1 }
  |          ^^^^^^^^^ expected only beside `component`

retail.toml: 1 error"#;
    assert_eq!(errors(text), expected);
}

#[test]
fn nothing_to_run() {
    let text = r#"name = "x"
"#;
    let expected = r#"error: no [[source]] and no [[sink]]: there is nothing to run
 --> retail.toml

retail.toml: 1 error"#;
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
    let expected = r#"error: not TOML: invalid unquoted key
 --> retail.toml:5:14
  |
5 | config = { größe = 1,    x = "${env:SET}" }
  |              ^^ expected letters, numbers, `-`, `_`

retail.toml: 1 error"#;
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
    let expected = r#"error: unknown key `realm`
 --> retail.toml:7:42
  |
7 | basic = { user = "u", password = "****", realm = "x" }
  |                                          ^^^^^ expected `user` or `password`

retail.toml: 1 error"#;
    assert_eq!(errors(text), expected);
}
