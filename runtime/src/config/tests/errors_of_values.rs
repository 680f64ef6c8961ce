//! What a person sees, whole: errors of values.

use super::errors;

#[test]
fn number_out_of_bounds() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
tasks = 0
[topic.t]
partitions = 0
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn secret_in_config_names_the_right_section() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
config = { password = "${env:SET}" }
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn secret_in_a_plain_key() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "${file:/run/secrets/topic}"
"#;
    let expected = r#""#;
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
    let expected = r#""#;
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
    let expected = r#""#;
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
    let expected = r#""#;
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
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn reference_without_a_kind() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "${HOME}"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn host_with_a_path() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
allow.http = ["https://erp.example.com/odata", "*.example.com", "ftp://x"]
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn folder_that_does_not_exist() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
allow.files = ["nowhere"]
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn credentials_for_a_host_that_is_not_allowed() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
allow.http = ["erp.example.com"]
[source.auth."epr.example.com"]
bearer = "hush"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn credentials_of_two_kinds() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
allow.http = ["h"]
[source.auth."h"]
bearer = "hush"
header = { name = "x", value = "y" }
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn credentials_for_an_unquoted_host() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
allow.http = ["erp.example.com"]
[source.auth.erp.example.com]
bearer = "hush"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn sink_key_in_a_source() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
start = "latest"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn start_that_is_no_time() {
    let text = r#"[[sink]]
name = "w"
component = "sql"
topics = ["t"]
start = "yesterday"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn sink_without_topics() {
    let text = r#"[[sink]]
name = "w"
component = "sql"
topics = []
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn regular_expression_that_does_not_parse() {
    let text = r#"[[sink]]
name = "w"
component = "sql"
topics = { pattern = "erp.(" }
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn duration_without_a_unit() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
batch = { linger = "5" }
retry = { initial = "5 sec" }
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn size_with_an_unknown_unit() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
batch = { bytes = "1MegaByte" }
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn retry_that_contradicts_itself() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
retry = { initial = "5s", max = "1s" }
[[sink]]
name = "w"
component = "sql"
topics = ["t"]
retry = { then = "stop" }
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn dead_letter_of_a_wrong_type() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
dead-letter = 5
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn dead_letter_with_an_unknown_option() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
dead-letter = { value = "drop" }
[[sink]]
name = "w"
component = "sql"
topics = ["t"]
dead-letter = { windw = { size = 1, limit = 1 } }
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn webhook_without_a_listener() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
listen = { path = "/hooks" }
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn listener_address_and_paths() {
    let text = r#"[listen]
address = "8080"
[[source]]
name = "a"
component = "csv"
topic = "t"
listen = { path = "health" }
[[source]]
name = "b"
component = "csv"
topic = "t"
listen = { path = "/metrics" }
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn path_of_two_sources() {
    let text = r#"[listen]
address = "127.0.0.1:8080"
[[source]]
name = "a"
component = "csv"
topic = "t"
listen = { path = "/h" }
[[source]]
name = "b"
component = "csv"
topic = "t"
listen = { path = "/h" }
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn tls_files_that_do_not_exist() {
    let text = r#"[listen]
address = "127.0.0.1:8080"
tls = { cert = "nowhere.pem" }
[[source]]
name = "a"
component = "csv"
topic = "t"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn signature_schemes() {
    let text = r#"[listen]
address = "127.0.0.1:8080"
[[source]]
name = "a"
component = "csv"
topic = "t"
listen = { path = "/h", signature = { scheme = "hmac", secret = "${env:SET}" } }
[[source]]
name = "b"
component = "csv"
topic = "t"
listen = { path = "/i", signature = { scheme = "shopfy", secret = "${env:SET}" } }
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}
