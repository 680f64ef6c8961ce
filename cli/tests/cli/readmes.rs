//! What READMEs and docs show as a deployment is one, and so is each example: `wharf check` takes it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{command, shown, stdout};

/// The Markdown files of the project that show configurations: READMEs, and the pages of `docs`.
fn pages(root: &Path) -> Vec<PathBuf> {
    let mut pages = vec![root.join("README.md")];
    for folder in ["connectors", "docs", "examples", "cli/templates"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let page = if path.is_dir() { path.join("README.md") } else { path };
            if page.extension().is_some_and(|extension| extension == "md") && page.is_file() {
                pages.push(page);
            }
        }
    }
    pages.sort();
    pages
}

/// The TOML blocks that are whole deployments: a part of one does not begin with its name.
fn deployments(page: &str) -> Vec<&str> {
    let blocks = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.starts_with("name ") && block.contains("\n[[")).collect()
}

/// The TOML files of the examples.
fn examples(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            examples(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
}

/// The files that a configuration takes secrets from.
fn secret_files(text: &str) -> impl Iterator<Item = &str> {
    text.split("${file:").skip(1).filter_map(|rest| rest.split('}').next())
}

/// The environment variables that a configuration refers to.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.split("${env:").skip(1).filter_map(|rest| rest.split('}').next())
}

/// The folders that a configuration reads, as far as they stand in one line: `allow.files = ["wms"]`.
fn folders(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().filter(|line| line.starts_with("allow.files"));
    lines.flat_map(|line| line.split('"').skip(1).step_by(2)).map(|grant| grant.split(':').next_back().unwrap_or(grant))
}

/// What `wharf check` says against the examples, each once its secrets and folders are there.
fn wrong_examples(root: &Path, dir: &Path) -> Vec<String> {
    let mut files = Vec::new();
    examples(root, &mut files);
    let shipped: BTreeSet<_> = files.iter().map(|path| path.strip_prefix(root).unwrap().to_owned()).collect();
    for name in ["retail/retail.toml", "retail-live/retail-live.toml"] {
        assert!(shipped.contains(Path::new(name)), "{name} is not in {shipped:?}");
    }
    let mut wrong = Vec::new();
    for name in &shipped {
        let (text, place) = (fs::read_to_string(root.join(name)).unwrap(), dir.join(name));
        let folder = place.parent().unwrap();
        fs::create_dir_all(folder).unwrap();
        for granted in folders(&text) {
            fs::create_dir_all(folder.join(granted)).unwrap();
        }
        for secret in secret_files(&text) {
            let path = folder.join(secret);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, if secret.ends_with("-url") { "postgres://wharf@127.0.0.1/shop" } else { "hush" }).unwrap();
        }
        fs::write(&place, &text).unwrap();
        let output = command(dir, &["check", &place.display().to_string()]).output().unwrap();
        if !output.status.success() || !stdout(&output).contains(" can run") {
            wrong.push(format!("examples/{}:\n{}", name.display(), shown(&output)));
        }
    }
    wrong
}

#[test]
fn check_takes_every_deployment_of_pages_and_examples_and_every_connector_shows_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for page in pages(root) {
        let text = fs::read_to_string(&page).unwrap();
        let deployments = deployments(&text);
        let name = page.strip_prefix(root).unwrap().display().to_string();
        if name.starts_with("connectors") && deployments.is_empty() {
            wrong.push(format!("{name} shows no deployment: a block ```toml that begins with its name"));
        }
        for deployment in deployments {
            fs::write(dir.path().join("shown.toml"), deployment).unwrap();
            for folder in folders(deployment) {
                fs::create_dir_all(dir.path().join(folder)).unwrap();
            }
            let mut check = command(dir.path(), &["check", "shown.toml"]);
            for variable in variables(deployment) {
                // A database's place where the variable is one, else a password like any other.
                check.env(variable, if variable.ends_with("_URL") { "postgres://wharf@127.0.0.1/shop" } else { "hush" });
            }
            let output = check.output().unwrap();
            if !output.status.success() || !stdout(&output).contains(" can run") {
                wrong.push(format!("{name}:\n{deployment}\n{}", shown(&output)));
            }
        }
    }
    // In the same folder: what is compiled is kept there.
    wrong.extend(wrong_examples(&root.join("examples"), dir.path()));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
