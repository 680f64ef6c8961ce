//! Secrets and variables where they do not belong, or that are not there.

use super::errors;

#[test]
fn secret_in_config_names_the_right_section() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
config = { password = "${env:SET}" }
"#;
    let expected = r#"error: a secret (`${env:SET}`) cannot stand here
 --> retail.toml:5:23
  |
5 | config = { password = "${env:SET}" }
  |                       ^^^^^^^^^^^^
  |
  = help: the guest reads `config`: put a credential into [source.auth."host"] or [sink.auth."host"], a database URL into [connection.NAME], a signature's secret into [source.listen]; plain values come from [vars] as ${var:NAME}

retail.toml: 1 error"#;
    assert_eq!(errors(text), expected);
}

#[test]
fn secret_in_a_plain_key() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "${file:/run/secrets/topic}"
"#;
    let expected = r#"error: a secret (`${file:/run/secrets/topic}`) cannot stand here
 --> retail.toml:4:9
  |
4 | topic = "${file:/run/secrets/topic}"
  |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: secrets resolve in [kafka], auth, connection and listen sections; plain values come from [vars] as ${var:NAME}

error: `` cannot be the name of a topic
 --> retail.toml:4:9
  |
4 | topic = "${file:/run/secrets/topic}"
  |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected 1 to 249 of a-z, A-Z, 0-9, `.`, `_`, `-`

retail.toml: 2 errors"#;
    assert_eq!(errors(text), expected);
}

#[test]
fn secret_in_vars() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
[vars]
password = "${env:SET}"
"#;
    let expected = r#"error: variable `password` holds a reference
 --> retail.toml:6:12
  |
6 | password = "${env:SET}"
  |            ^^^^^^^^^^^^ expected a plain value
  |
  = help: secrets resolve in [kafka], auth, connection and listen sections; plain values come from [vars] as ${var:NAME}

retail.toml: 1 error"#;
    assert_eq!(errors(text), expected);
}

#[test]
fn environment_variable_that_is_not_set() {
    let text = r#"[[sink]]
name = "w"
component = "sql"
topics = ["t"]
[connection.w]
url = "${env:WAREHOUSE_URL}"
"#;
    let expected = r#"error: environment variable `WAREHOUSE_URL` is not set
 --> retail.toml:6:7
  |
6 | url = "${env:WAREHOUSE_URL}"
  |       ^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: set it: export WAREHOUSE_URL=…

retail.toml: 1 error"#;
    assert_eq!(errors(text), expected);
}

#[test]
fn secret_file_that_does_not_exist() {
    let text = r#"[[sink]]
name = "w"
component = "sql"
topics = ["t"]
[connection.w]
url = "${file:nowhere/secret}"
"#;
    let expected = r#"error: cannot read the secret file ./nowhere/secret: No such file or directory (os error 2)
 --> retail.toml:6:7
  |
6 | url = "${file:nowhere/secret}"
  |       ^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: create it, or correct the path

retail.toml: 1 error"#;
    assert_eq!(errors(text), expected);
}

#[test]
fn unknown_variable_names_the_nearest() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "${var:domian}.t"
[vars]
domain = "erp"
"#;
    let expected = r#"error: `domian` is not in [vars]
 --> retail.toml:4:9
  |
4 | topic = "${var:domian}.t"
  |         ^^^^^^^^^^^^^^^^^
  |
  = help: did you mean `domain`?

error: `` cannot be the name of a topic
 --> retail.toml:4:9
  |
4 | topic = "${var:domian}.t"
  |         ^^^^^^^^^^^^^^^^^ expected 1 to 249 of a-z, A-Z, 0-9, `.`, `_`, `-`

retail.toml: 2 errors"#;
    assert_eq!(errors(text), expected);
}

#[test]
fn reference_without_a_kind() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "${HOME}"
"#;
    let expected = r#"error: `${HOME}` has no kind
 --> retail.toml:4:9
  |
4 | topic = "${HOME}"
  |         ^^^^^^^^^
  |
  = help: write ${var:NAME}, ${env:NAME} or ${file:/path}; $${ is a plain ${

error: `` cannot be the name of a topic
 --> retail.toml:4:9
  |
4 | topic = "${HOME}"
  |         ^^^^^^^^^ expected 1 to 249 of a-z, A-Z, 0-9, `.`, `_`, `-`

retail.toml: 2 errors"#;
    assert_eq!(errors(text), expected);
}
