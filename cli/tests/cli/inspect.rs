//! `wharf inspect`: what there is, and what a name means.

use crate::{shown, stdout, wharf};

#[test]
fn a_name_that_a_source_and_a_sink_have_shows_both() {
    let dir = tempfile::tempdir().unwrap();
    let output = wharf(dir.path(), &["inspect", "odata"]);
    assert!(output.status.success(), "{}", shown(&output));
    let text = stdout(&output);
    let heads: Vec<_> = text.lines().filter(|line| line.starts_with("odata ")).collect();
    assert_eq!(heads.len(), 2, "{text}");
    assert!(heads[0].ends_with("(source)") && heads[1].ends_with("(sink)"), "{text}");
    // The whole name means one of them.
    let output = wharf(dir.path(), &["inspect", "odata-sink"]);
    assert!(stdout(&output).starts_with(heads[1]) && !stdout(&output).contains("(source)"), "{}", shown(&output));
}

#[test]
fn all_are_listed_as_a_deployment_calls_them() {
    let dir = tempfile::tempdir().unwrap();
    let output = wharf(dir.path(), &["inspect"]);
    let text = stdout(&output);
    let listed: Vec<_> = text.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect();
    for wanted in ["csv source", "odata source", "odata sink", "odoo source", "odoo sink", "clickhouse sink"] {
        assert!(listed.iter().any(|line| line == wanted), "{wanted}: {text}");
    }
}
