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
    let expected = r#"error: 0 is out of bounds
 --> retail.toml:5:9
  |
5 | tasks = 0
  |         ^ expected 1 to 256

error: 0 is out of bounds
 --> retail.toml:7:14
  |
7 | partitions = 0
  |              ^ expected 1 to 100000

retail.toml: 2 errors"#;
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
    let expected = r#"error: `https://erp.example.com/odata` is not a host
 --> retail.toml:5:15
  |
5 | allow.http = ["https://erp.example.com/odata", "*.example.com", "ftp://x"]
  |               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected a host without a path: what is allowed is the whole host

error: `*.example.com` is not a host
 --> retail.toml:5:48
  |
5 | allow.http = ["https://erp.example.com/odata", "*.example.com", "ftp://x"]
  |                                                ^^^^^^^^^^^^^^^ expected one literal host name: patterns and users are not allowed here

error: `ftp://x` is not a host
 --> retail.toml:5:65
  |
5 | allow.http = ["https://erp.example.com/odata", "*.example.com", "ftp://x"]
  |                                                                 ^^^^^^^^^ expected http:// or https://, or no scheme at all

retail.toml: 3 errors"#;
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
    let expected = r#"error: ./nowhere is not a folder
 --> retail.toml:5:16
  |
5 | allow.files = ["nowhere"]
  |                ^^^^^^^^^ expected a folder that exists; a guest is granted folders, not files

retail.toml: 1 error"#;
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
    let expected = r#"error: credentials for `epr.example.com`, which is not allowed
 --> retail.toml:6:14
  |
6 | [source.auth."epr.example.com"]
  |              ^^^^^^^^^^^^^^^^^ expected a host of `allow.http`
  |
  = help: did you mean `erp.example.com`?

retail.toml: 1 error"#;
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
    let expected = r#"error: credentials need exactly one kind
 --> retail.toml:6:1
  |
6 | [source.auth."h"]
  | ^^^^^^^^^^^^^^^^^ expected one of `basic`, `bearer`, `header`, `json-body`, `oauth`

retail.toml: 1 error"#;
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
    let expected = r#"error: credentials for `erp`, which is not allowed
 --> retail.toml:6:14
  |
6 | [source.auth.erp.example.com]
  |              ^^^ expected a host of `allow.http`
  |
  = help: there is: `erp.example.com`

error: credentials need exactly one kind
 --> retail.toml:6:14
  |
6 | [source.auth.erp.example.com]
  |              ^^^ expected one of `basic`, `bearer`, `header`, `json-body`, `oauth`

error: unknown key `example`
 --> retail.toml:6:18
  |
6 | [source.auth.erp.example.com]
  |                  ^^^^^^^ expected `basic`, `bearer`, `header`, `json-body` or `oauth`
  |
  = help: credentials are those of a host, which is quoted: auth."erp.example.com" = { bearer = "${env:TOKEN}" }

retail.toml: 3 errors"#;
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
    let expected = r#"error: `start` is a key of [[sink]]
 --> retail.toml:5:9
  |
5 | start = "latest"
  |         ^^^^^^^^ not expected in [[source]]
  |
  = help: a source goes on from its own position

retail.toml: 1 error"#;
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
    let expected = r#"error: `yesterday` is no place to start
 --> retail.toml:5:9
  |
5 | start = "yesterday"
  |         ^^^^^^^^^^^ expected "earliest", "latest" or a time such as "2026-01-31T00:00:00Z"

retail.toml: 1 error"#;
    assert_eq!(errors(text), expected);
}

#[test]
fn sink_without_topics() {
    let text = r#"[[sink]]
name = "w"
component = "sql"
topics = []
"#;
    let expected = r#"error: a sink without topics
 --> retail.toml:4:10
  |
4 | topics = []
  |          ^^ expected at least one topic

retail.toml: 1 error"#;
    assert_eq!(errors(text), expected);
}

#[test]
fn regular_expression_that_does_not_parse() {
    let text = r#"[[sink]]
name = "w"
component = "sql"
topics = { pattern = "erp.(" }
"#;
    let expected = r#"error: not a regular expression
 --> retail.toml:4:22
  |
4 | topics = { pattern = "erp.(" }
  |                      ^^^^^^^ unclosed group

retail.toml: 1 error"#;
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
    let expected = r#"error: invalid value: string "5"
 --> retail.toml:5:20
  |
5 | batch = { linger = "5" }
  |                    ^^^ expected a duration such as "100ms", "5s", "2m", "1h" or "7d"

error: invalid value: string "5 sec"
 --> retail.toml:6:21
  |
6 | retry = { initial = "5 sec" }
  |                     ^^^^^^^ expected a duration such as "100ms", "5s", "2m", "1h" or "7d"

retail.toml: 2 errors"#;
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
    let expected = r#"error: invalid value: string "1MegaByte"
 --> retail.toml:5:19
  |
5 | batch = { bytes = "1MegaByte" }
  |                   ^^^^^^^^^^^ expected a size such as "64KiB", "1MiB" or "1GB", or a number of bytes

retail.toml: 1 error"#;
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
    let expected = r#"error: `initial` does not fit `max`
 --> retail.toml:5:9
  |
5 | retry = { initial = "5s", max = "1s" }
  |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected more than 0 and at most `max`

error: `then` without `budget`
  --> retail.toml:10:9
   |
10 | retry = { then = "stop" }
   |         ^^^^^^^^^^^^^^^^^ without a budget retries never end

retail.toml: 2 errors"#;
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
    let expected = r#"error: wrong type: integer `5`
 --> retail.toml:5:15
  |
5 | dead-letter = 5
  |               ^ expected a topic name, false, or { topic, value, window }

retail.toml: 1 error"#;
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
    let expected = r#"error: unknown value `drop`
 --> retail.toml:5:25
  |
5 | dead-letter = { value = "****" }
  |                         ^^^^^^ expected `keep` or `omit`

error: unknown key `windw`
  --> retail.toml:10:17
   |
10 | dead-letter = { windw = { size = 1, limit = 1 } }
   |                 ^^^^^ expected `topic`, `value` or `window`
   |
   = help: did you mean `window`?

retail.toml: 2 errors"#;
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
    let expected = r#"error: [source.listen] without [listen]
 --> retail.toml:5:10
  |
5 | listen = { path = "/hooks" }
  |          ^^^^^^^^^^^^^^^^^^^ nobody listens
  |
  = help: add [listen] with address = "127.0.0.1:8080", for example

retail.toml: 1 error"#;
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
    let expected = r#"error: `8080` is not an address
 --> retail.toml:2:11
  |
2 | address = "8080"
  |           ^^^^^^ expected host:port such as "127.0.0.1:8080"

error: `health` is not a path
 --> retail.toml:7:19
  |
7 | listen = { path = "health" }
  |                   ^^^^^^^^ expected an absolute path such as "/hooks/orders"

error: `/metrics` is taken
  --> retail.toml:12:19
   |
12 | listen = { path = "/metrics" }
   |                   ^^^^^^^^^^ Wharf answers /health, /ready, /metrics and /status itself

retail.toml: 3 errors"#;
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
    let expected = r#"error: `/h` is the path of two sources
  --> retail.toml:12:19
   |
12 | listen = { path = "/h" }
   |                   ^^^^ used before
   |
   = help: a request goes to one source: give each a path of its own

retail.toml: 1 error"#;
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
    let expected = r#"error: `key` is missing
 --> retail.toml:3:7
  |
3 | tls = { cert = "nowhere.pem" }
  |       ^^^^^^^^^^^^^^^^^^^^^^^^ `key` is required here

error: certificate ./nowhere.pem does not exist
 --> retail.toml:3:16
  |
3 | tls = { cert = "nowhere.pem" }
  |                ^^^^^^^^^^^^^ no such file or folder

retail.toml: 2 errors"#;
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
    let expected = r#"error: `header` is missing
 --> retail.toml:7:37
  |
7 | listen = { path = "/h", signature = { scheme = "hmac", secret = "${env:SET}" } }
  |                                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `header` is required here

error: missing field `scheme`
  --> retail.toml:12:37
   |
12 | listen = { path = "/i", signature = { scheme = "shopfy", secret = "${env:SET}" } }
   |                                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

error: unknown value `shopfy`
  --> retail.toml:12:48
   |
12 | listen = { path = "/i", signature = { scheme = "shopfy", secret = "${env:SET}" } }
   |                                                ^^^^^^^^ expected `shopify`, `stripe` or `hmac`
   |
   = help: did you mean `shopify`?

retail.toml: 3 errors"#;
    assert_eq!(errors(text), expected);
}
