//! What a person sees, whole: errors of the file.

use super::errors;

#[test]
fn text_that_is_not_toml() {
    let text = r#"name = "x
[[source]]
name = "a"
component = "csv"
topic = "t"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn unknown_key_names_the_nearest() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
task = 2
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn unknown_section_names_the_nearest() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
[conection.warehouse]
url = "sqlite://w.db"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn one_bracket_where_two_are_needed() {
    let text = r#"[source]
name = "a"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn wrong_type() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = 7
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn missing_keys_are_all_reported() {
    let text = r#"[[source]]
name = "a"
[[sink]]
component = "sql"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn all_errors_of_all_stages_are_reported() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
tasks = "two"
format = "jsn"
allow.sql = ["warehous"]
[[sink]]
name = "w"
component = "sql"
topics = ["t"]
topic = "t"
bogus = 1
[connection.warehouse]
url = "mysql://db"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn unknown_component_names_the_nearest() {
    let text = r#"[[source]]
name = "a"
component = "cvs"
topic = "t"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn component_path_that_does_not_exist() {
    let text = r#"[[source]]
name = "a"
component = "./nowhere.wasm"
topic = "t"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn oci_reference() {
    let text = r#"[[source]]
name = "a"
component = "oci://ghcr.io/x/y:1"
topic = "t"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn unknown_connection_names_the_nearest() {
    let text = r#"[[sink]]
name = "w"
component = "sql"
topics = ["t"]
allow.sql = ["warehose"]
[connection.warehouse]
url = "sqlite://w.db"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn connection_that_is_no_database_url() {
    let text = r#"[[sink]]
name = "w"
component = "sql"
topics = ["t"]
[connection.w]
url = "mysql://root:hush@db"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn name_used_twice() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
[[source]]
name = "a"
component = "csv"
topic = "u"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn name_that_no_topic_could_have() {
    let text = r#"[[source]]
name = "my source"
component = "csv"
topic = "t"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn name_is_required_with_kafka() {
    let text = r#"[kafka]
bootstrap.servers = "k:9092"
[[source]]
name = "a"
component = "csv"
topic = "t"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn bootstrap_servers_are_required() {
    let text = r#"name = "n"
[kafka]
client.id = "x"
[[source]]
name = "a"
component = "csv"
topic = "t"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn reserved_kafka_properties() {
    let text = r#"name = "n"
[kafka]
bootstrap.servers = "k:9092"
group.id = "x"
enable.auto.commit = true
[[source]]
name = "a"
component = "csv"
topic = "t"
[source.kafka]
transactional.id = "t"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn kafka_property_that_begins_with_another() {
    let text = r#"name = "n"
[kafka]
bootstrap.servers = "k:9092"
group.protocol = "consumer"
group.protocol.type = "x"
[[source]]
name = "a"
component = "csv"
topic = "t"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn kafka_properties_of_a_connector_without_kafka() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
[source.kafka]
linger.ms = 5
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn embedded_beside_kafka() {
    let text = r#"name = "n"
[kafka]
bootstrap.servers = "k:9092"
[embedded]
retention = "7d"
[[source]]
name = "a"
component = "csv"
topic = "t"
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}

#[test]
fn topic_name_with_dots_is_quoted() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
[topic.erp.orders]
partitions = 3
"#;
    let expected = r#""#;
    assert_eq!(errors(text), expected);
}
