//! What the pages of the project show as TOML: whole deployments, and parts that are laid over one.

use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// The Markdown files of the project.
pub fn pages(root: &Path) -> Vec<PathBuf> {
    let mut pages = vec![root.join("README.md")];
    for folder in ["bench", "cli", "connectors", "docs", "examples", "sdk", "tests"] {
        below(&root.join(folder), &mut pages);
    }
    pages.sort();
    pages
}

fn below(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            below(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
}

/// The TOML blocks of a page.
pub fn blocks(page: &str) -> Vec<&str> {
    page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// Whether a block is a whole deployment: a part of one does not begin with its name.
pub fn is_whole(block: &str) -> bool {
    block.starts_with("name ") && block.contains("\n[[")
}

/// A part laid over a deployment, as its reader does: what it has of the first source or sink (`config`, `allow`, `auth`, `transform`)
/// takes the place of the same there.
pub fn laid_over(deployment: &str, part: &str) -> Result<String, String> {
    let parse = |text: &str| text.parse::<Table>().map_err(|error| error.to_string());
    let (mut whole, part) = (parse(deployment)?, parse(part)?);
    for (kind, section) in part {
        let section = match section {
            Value::Array(entries) => entries.into_iter().next(),
            section => Some(section),
        };
        let first = whole.get_mut(&kind).and_then(Value::as_array_mut).and_then(|list| list.first_mut());
        let (Some(Value::Table(section)), Some(Value::Table(first))) = (section, first) else {
            return Err(format!("`{kind}` is no section of the deployment that it is laid over"));
        };
        first.extend(section);
    }
    Ok(whole.to_string())
}
