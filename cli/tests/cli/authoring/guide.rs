//! The guide's way from nothing to a running pipeline, by its own commands: what it shows is what is run here.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Home, component, json_lines};
use crate::{shown, stderr, stdout};

/// A block of code of the guide's first section: its language, and what stands in it.
type Block<'g> = (&'g str, &'g str);

/// The blocks of the guide's first section, in order.
fn first_section(guide: &str) -> Vec<Block<'_>> {
    let section = guide.split("\n## ").nth(1).unwrap_or_default();
    let fenced = section.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n')).collect()
}

/// Runs the lines of a block of `sh` in `dir`, a folder of the home; answers what the last one printed, and the folder it ends in.
fn run(home: &Home, dir: &str, block: &str) -> (String, String) {
    let (mut dir, mut printed) = (dir.to_owned(), String::new());
    for line in block.replace("\\\n", " ").lines() {
        let line = line.trim();
        if let Some(folder) = line.strip_prefix("cd ") {
            folder.clone_into(&mut dir);
            home.share_target(folder);
            continue;
        }
        let mut shell = Command::new("sh");
        // The `wharf` that was built for this test is the one on the PATH; cargo asks no registry.
        let wharf = Path::new(env!("CARGO_BIN_EXE_wharf")).parent().unwrap().display().to_string();
        shell.args([
            "-c",
            &format!(
                "PATH='{wharf}':\"$PATH\" CARGO_NET_OFFLINE=true XDG_CACHE_HOME=\"$HOME/cache\"; \
                                    export PATH CARGO_NET_OFFLINE XDG_CACHE_HOME; {line}"
            ),
        ]);
        let output = home.run(&dir, shell);
        // A trial with a record that is rejected is not a clean one.
        let expected = i32::from(line.starts_with("wharf try"));
        assert_eq!(output.status.code(), Some(expected), "{line}: {}", shown(&output));
        if line == "cargo test" {
            assert!(stdout(&output).contains("test manifest_is_valid ... ok"), "{}", shown(&output));
        }
        printed = stdout(&output);
    }
    (printed, dir)
}

#[test]
fn the_commands_of_the_guide_make_a_sink_that_is_built_tested_tried_and_delivers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let guide = fs::read_to_string(root.join("docs/writing-a-connector.md")).unwrap();
    let home = Home::of("sink");
    let (mut dir, mut printed) = (String::new(), String::new());
    let mut languages = Vec::new();
    for (language, block) in first_section(&guide) {
        languages.push(language);
        match language {
            "sh" => (printed, dir) = run(&home, &dir, block),
            _ => assert_eq!(printed, block, "what the guide says that the command before prints"),
        }
    }
    assert_eq!(languages, ["sh", "sh", "text", "sh"], "the blocks of the guide's first section");
    let rows: Vec<_> = printed.lines().collect();
    let expected = [r#"{"id":"A-1","total":"19.90"}"#, r#"{"id":"A-2","total":"5.00"}"#, r#"{"id":"A-3","total":"7.50"}"#];
    assert_eq!(rows.len(), expected.len(), "{rows:?}");
    assert!(rows.iter().zip(expected).all(|(row, value)| row.contains(value)), "{rows:?}");
    what_the_guide_does_not_show(&home, &dir);
}

/// More of the same project: records spread over calls, a grant that is missing, and a second run, which moves nothing.
fn what_the_guide_does_not_show(home: &Home, dir: &str) {
    let component = component(dir);
    let flags = ["--input", "records.jsonl", "--config", "@try.toml", "--connection", "main=sqlite://try.sqlite"];
    let tried = home.said(dir, 1, &[&["try", &component, "--json", "--calls", "4"][..], &flags].concat());
    let last = json_lines(&tried).pop().unwrap();
    let place = |name: &str| last[name].clone();
    assert_eq!(
        (place("outcome"), place("offset"), place("code"), place("field")),
        ("reject".into(), 3.into(), "field.missing".into(), "/id".into())
    );
    let refused = home.wharf(dir, &["try", &component, "--input", "records.jsonl", "--config", "@try.toml"]);
    assert_eq!(refused.status.code(), Some(2), "{}", shown(&refused));
    assert!(stderr(&refused).contains("needs `sql`, and nothing is allowed"), "{}", shown(&refused));
    assert!(stderr(&refused).contains("--connection NAME=URL"), "{}", shown(&refused));
    assert_eq!(home.pipeline(dir), "read 0 = delivered 0 + filtered 0 + dead-lettered 0");
    home.formatted(dir);
}
