//! The guide shows code that is compiled and tested: of the templates, or of the SDK's own examples.

use std::fs;
use std::path::Path;

/// The texts of all Rust files below a folder, without the marks of documentation.
fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(path).unwrap();
            found.push(text.lines().map(|line| line.strip_prefix("//! ").unwrap_or(line)).collect::<Vec<_>>().join("\n"));
        }
    }
}

#[test]
fn all_code_of_the_guide_stands_in_a_template_or_in_an_example_of_the_sdk() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut texts = Vec::new();
    for folder in ["cli/templates", "sdk/rust/src"] {
        sources(&root.join(folder), &mut texts);
    }
    let guide = fs::read_to_string(root.join("docs/writing-a-connector.md")).unwrap();
    let blocks: Vec<&str> = guide.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() > 5, "the guide shows code");
    for block in blocks {
        assert!(texts.iter().any(|text| text.contains(block.trim_end())), "in no template and no example:\n{block}");
    }
}
