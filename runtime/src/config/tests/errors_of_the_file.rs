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
    let expected = r#"error: not TOML: invalid basic string
 --> retail.toml:1:10
  |
1 | name = "x
  |          ^ expected `"`

retail.toml: 1 error"#;
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
    let expected = r#"error: unknown key `task`
 --> retail.toml:5:1
  |
5 | task = 2
  | ^^^^ expected `name`, `component`, `topic`, `topics`, `tasks`, `config`, `allow`, `auth`, `format`, `transform`, `dead-letter`, `start`, `exactly-once`, `listen`, `retry`, `limits`, `batch`, `max-record-bytes` or `kafka`
  |
  = help: did you mean `tasks`?

retail.toml: 1 error"#;
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
    let expected = r#"error: unknown key `conection`
 --> retail.toml:5:2
  |
5 | [conection.warehouse]
  |  ^^^^^^^^^ expected `name`, `state-dir`, `create`, `drain-timeout`, `vars`, `kafka`, `embedded`, `topic`, `listen`, `connection`, `source` or `sink`
  |
  = help: did you mean `connection`?

retail.toml: 1 error"#;
    assert_eq!(errors(text), expected);
}

#[test]
fn one_bracket_where_two_are_needed() {
    let text = r#"[source]
name = "a"
"#;
    let expected = r#"error: wrong type: table
 --> retail.toml:1:1
  |
1 | [source]
  | ^^^^^^^^ expected an array
  |
  = help: write [[source]] with two brackets: there can be several

retail.toml: 1 error"#;
    assert_eq!(errors(text), expected);
}

#[test]
fn wrong_type() {
    let text = r#"[[source]]
name = "a"
component = "csv"
topic = 7
"#;
    let expected = r#"error: wrong type: integer `7`
 --> retail.toml:4:9
  |
4 | topic = 7
  |         ^ expected a string

retail.toml: 1 error"#;
    assert_eq!(errors(text), expected);
}

#[test]
fn missing_keys_are_all_reported() {
    let text = r#"[[source]]
name = "a"
[[sink]]
component = "sql"
"#;
    let expected = r#"error: `topic` is missing
 --> retail.toml:1:1
  |
1 | [[source]]
  | ^^^^^^^^^^ `topic` is required here

error: `component` is missing
 --> retail.toml:1:1
  |
1 | [[source]]
  | ^^^^^^^^^^ `component` is required here

error: `topics` is missing
 --> retail.toml:3:1
  |
3 | [[sink]]
  | ^^^^^^^^ `topics` is required here

error: `name` is missing
 --> retail.toml:3:1
  |
3 | [[sink]]
  | ^^^^^^^^ `name` is required here

retail.toml: 4 errors"#;
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
    let expected = r#"error: wrong type: string "two"
 --> retail.toml:5:9
  |
5 | tasks = "two"
  |         ^^^^^ expected an integer

error: unknown value `jsn`
 --> retail.toml:6:10
  |
6 | format = "jsn"
  |          ^^^^^ expected `json`, `json-envelope`, `text` or `bytes`
  |
  = help: did you mean `json`?

error: unknown connection `warehous`
 --> retail.toml:7:14
  |
7 | allow.sql = ["warehous"]
  |              ^^^^^^^^^^ no [connection.NAME] has this name
  |
  = help: did you mean `warehouse`?

error: `topic` is a key of [[source]]
  --> retail.toml:12:9
   |
12 | topic = "t"
   |         ^^^ not expected in [[sink]]
   |
   = help: a sink reads `topics = ["…"]`

error: unknown key `bogus`
  --> retail.toml:13:1
   |
13 | bogus = 1
   | ^^^^^ expected `name`, `component`, `topic`, `topics`, `tasks`, `config`, `allow`, `auth`, `format`, `transform`, `dead-letter`, `start`, `exactly-once`, `listen`, `retry`, `limits`, `batch`, `max-record-bytes` or `kafka`

error: not a database URL
  --> retail.toml:15:7
   |
15 | url = "**********"
   |       ^^^^^^^^^^^^ expected postgres://user:password@host/database or sqlite://path

retail.toml: 6 errors"#;
    assert_eq!(errors(text), expected);
}

#[test]
fn unknown_component_names_the_nearest() {
    let text = r#"[[source]]
name = "a"
component = "cvs"
topic = "t"
"#;
    let expected = r#"error: unknown component `cvs`
 --> retail.toml:3:13
  |
3 | component = "cvs"
  |             ^^^^^ no bundled component has this name; a path has a slash or ends in .wasm
  |
  = help: did you mean `csv`?

retail.toml: 1 error"#;
    assert_eq!(errors(text), expected);
}

#[test]
fn a_name_that_a_source_and_a_sink_have_is_written_alike_for_both() {
    let text = r#"name = "n"
[[sink]]
name = "a"
component = "odoo"
topics = ["t"]
"#;
    super::check(text).expect("`odoo-sink` is bundled");
    let text = text.replace("sink", "source").replace("topics = [\"t\"]", "topic = \"t\"");
    assert!(errors(&text).starts_with("error: unknown component `odoo`"), "there is no `odoo-source`");
}

#[test]
fn component_path_that_does_not_exist() {
    let text = r#"[[source]]
name = "a"
component = "./nowhere.wasm"
topic = "t"
"#;
    let expected = r#"error: component ./nowhere.wasm does not exist
 --> retail.toml:3:13
  |
3 | component = "./nowhere.wasm"
  |             ^^^^^^^^^^^^^^^^ no such file or folder

retail.toml: 1 error"#;
    assert_eq!(errors(text), expected);
}

#[test]
fn oci_reference() {
    let text = r#"[[source]]
name = "a"
component = "oci://ghcr.io/x/y:1"
topic = "t"
"#;
    let expected = r#"error: oci:// references are not supported yet
 --> retail.toml:3:13
  |
3 | component = "oci://ghcr.io/x/y:1"
  |             ^^^^^^^^^^^^^^^^^^^^^ expected a bundled name or a path to a .wasm file

retail.toml: 1 error"#;
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
    let expected = r#"error: unknown connection `warehose`
 --> retail.toml:5:14
  |
5 | allow.sql = ["warehose"]
  |              ^^^^^^^^^^ no [connection.NAME] has this name
  |
  = help: did you mean `warehouse`?

retail.toml: 1 error"#;
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
    let expected = r#"error: not a database URL
 --> retail.toml:6:7
  |
6 | url = "********************"
  |       ^^^^^^^^^^^^^^^^^^^^^^ expected postgres://user:password@host/database or sqlite://path

retail.toml: 1 error"#;
    assert_eq!(errors(text), expected);
}

#[test]
fn the_address_of_an_api_is_shown_unless_a_secret_may_stand_in_it() {
    for (url, shown) in [
        ("https://api.example.com/items", true),
        ("https://u:hush@api.example.com", false),
        ("https://api.example.com/items?key=hush", false),
        ("postgres://db.example.com/shop", false),
    ] {
        let text = format!("[[source]]\nname = \"a\"\ncomponent = \"csv\"\ntopic = \"t\"\nbogus = {{ url = \"{url}\" }}\n");
        let errors = errors(&text);
        assert!(errors.contains("unknown key `bogus`") && errors.contains(url) == shown, "{errors}");
    }
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
    let expected = r#"error: `a` is the name of two connectors
 --> retail.toml:6:8
  |
6 | name = "a"
  |        ^^^ used before
  |
  = help: offsets, positions and metrics are kept by this name: it is unique over sources and sinks

retail.toml: 1 error"#;
    assert_eq!(errors(text), expected);
}

#[test]
fn name_that_no_topic_could_have() {
    let text = r#"[[source]]
name = "my source"
component = "csv"
topic = "t"
"#;
    let expected = r#"error: `my source` cannot be the name of a connector
 --> retail.toml:2:8
  |
2 | name = "my source"
  |        ^^^^^^^^^^^ expected 1 to 249 of a-z, A-Z, 0-9, `.`, `_`, `-`

retail.toml: 1 error"#;
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
    let expected = r#"error: `name` is required with [kafka]
 --> retail.toml:1:1
  |
1 | [kafka]
  | ^^^^^^^ groups, transactional ids and topics on a shared cluster carry the deployment's name
  |
  = help: write name = "…" at the top of the file; it must never change, or everything is read again

retail.toml: 1 error"#;
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
    let expected = r#"error: `bootstrap.servers` is missing
 --> retail.toml:2:1
  |
2 | [kafka]
  | ^^^^^^^ required here
  |
  = help: bootstrap.servers = "kafka-1:9092,kafka-2:9092"

retail.toml: 1 error"#;
    assert_eq!(errors(text), expected);
}

#[test]
fn properties_with_which_nothing_would_arrive_are_reserved() {
    for property in [
        "delivery.report.only.error = true",
        "topic.blacklist = \".*\"",
        "test.mock.num.brokers = 1",
        "enable.partition.eof = false",
    ] {
        let text = format!("name = \"n\"\n[kafka]\nbootstrap.servers = \"k:9092\"\n{property}\n");
        let name = property.split(' ').next().unwrap();
        assert!(errors(&text).contains(&format!("`{name}` is reserved")), "{property}: {}", errors(&text));
    }
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
    let expected = r#"error: `group.id` is reserved
 --> retail.toml:4:7
  |
4 | group.id = "x"
  |       ^^ remove it
  |
  = help: the group is `wharf.<name>.<sink>`: offsets belong to it

error: `enable.auto.commit` is reserved
 --> retail.toml:5:13
  |
5 | enable.auto.commit = true
  |             ^^^^^^ remove it
  |
  = help: Wharf commits an offset only after delivery is confirmed

error: `transactional.id` is reserved
  --> retail.toml:11:15
   |
11 | transactional.id = "t"
   |               ^^ remove it
   |
   = help: it is `wharf.<name>.<source>.<task>`, so that a predecessor is fenced; `exactly-once = false` switches it off

retail.toml: 3 errors"#;
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
    let expected = r#"error: not TOML: cannot extend value of type string with a dotted key
 --> retail.toml:5:7
  |
5 | group.protocol.type = "x"
  |       ^^^^^^^^
  |
  = help: a property whose name begins with another's is quoted: "group.protocol.type" = "…"

retail.toml: 1 error"#;
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
    let expected = r#"error: librdkafka properties without [kafka]
 --> retail.toml:5:1
  |
5 | [source.kafka]
  | ^^^^^^^^^^^^^^ this deployment runs on the embedded log

retail.toml: 1 error"#;
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
    let expected = r#"error: [embedded] beside [kafka]
 --> retail.toml:4:1
  |
4 | [embedded]
  | ^^^^^^^^^^ expected one of the two: with [kafka] there is no embedded log

retail.toml: 1 error"#;
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
    let expected = r#"error: unknown key `orders`
 --> retail.toml:5:12
  |
5 | [topic.erp.orders]
  |            ^^^^^^ expected `partitions`, `replication` or `config`
  |
  = help: a name with dots is quoted: [topic."erp.orders"]

retail.toml: 1 error"#;
    assert_eq!(errors(text), expected);
}
