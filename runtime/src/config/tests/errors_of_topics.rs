//! What a person sees, whole: a sink that would read what it writes.

use super::{check, errors};

const TWO: &str = r#"[[sink]]
name = "other"
component = "http"
topics = ["orders", "dlq.wharf.out"]
[[sink]]
name = "out"
component = "http"
"#;

#[test]
fn a_sink_does_not_take_its_own_dead_letters_by_name_or_by_pattern() {
    let by_name = format!("{TWO}topics = [\"orders\", \"dlq.wharf.out\"]\n");
    let expected = r#"error: sink `out` reads its own dead-letter topic `dlq.wharf.out`
 --> retail.toml:8:21
  |
8 | topics = ["orders", "dlq.wharf.out"]
  |                     ^^^^^^^^^^^^^^^ each dead letter would be read again, and buried again
  |
  = help: name its topics, or give its dead letters another topic by `dead-letter`

retail.toml: 1 error"#;
    assert_eq!(errors(&by_name), expected);
    let by_pattern = format!("{TWO}topics = {{ pattern = \".*out\" }}\n");
    let expected = r#"error: sink `out` reads its own dead-letter topic `dlq.wharf.out`
 --> retail.toml:8:10
  |
8 | topics = { pattern = ".*out" }
  |          ^^^^^^^^^^^^^^^^^^^^^ each dead letter would be read again, and buried again
  |
  = help: name its topics, or give its dead letters another topic by `dead-letter`

retail.toml: 1 error"#;
    assert_eq!(errors(&by_pattern), expected);
}

#[test]
fn a_pattern_that_takes_dead_letters_of_others_or_the_positions_gets_a_warning() {
    let of = |topics: &str| {
        let text = format!("name = \"wharf\"\n[kafka]\nbootstrap.servers = \"k:9092\"\n{TWO}dead-letter = false\n{topics}\n");
        let (_, findings) = check(&text).unwrap_or_else(|errors| panic!("{errors}"));
        findings.list.into_iter().map(|finding| finding.title).collect::<Vec<_>>()
    };
    let expected = [
        "the pattern of sink `out` takes `dlq.wharf.other`: dead letters of `other`",
        "the pattern of sink `out` takes `wharf.wharf.positions`: positions of sources",
    ];
    assert_eq!(of("topics = { pattern = \".*\" }"), expected);
    assert_eq!(of("topics = { pattern = \"erp[.].*\" }"), [""; 0]);
    assert_eq!(of("topics = [\"dlq.wharf.other\"]"), [""; 0], "on purpose");
}
