//! What READMEs and docs show as a deployment is one, and so is each example: `wharf check` takes it, and warns of nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{command, shown, stderr, stdout};

mod shown;

/// Parts on a page without a deployment of its own are laid over that of this one.
const STAND_IN: &str = "connectors/http-source/README.md";

/// What is no deployment, by page and first line, and why.
const OTHERS: [(&str, &str, &str); 1] =
    [("sdk/rust/README.md", "name = \"poster\"", "a manifest, which a test of the SDK holds against its rules")];

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

/// They are there, below this folder.
fn write_secrets(folder: &Path, text: &str) {
    for secret in secret_files(text) {
        let path = folder.join(secret);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, if secret.ends_with("-url") { "postgres://wharf@127.0.0.1/shop" } else { "hush" }).unwrap();
    }
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
        write_secrets(folder, &text);
        fs::write(&place, &text).unwrap();
        let output = check(dir, &place.display().to_string()).output().unwrap();
        if !output.status.success() || !stdout(&output).contains(" can run") {
            wrong.push(format!("examples/{}:\n{}", name.display(), shown(&output)));
        }
    }
    wrong
}

/// The command with one cache of compiled components for all runs: every connector is shown somewhere, and compiling them takes minutes.
fn check(dir: &Path, file: &str) -> Command {
    let mut check = command(dir, &["check", file]);
    check.env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("readmes"));
    check
}

/// What `wharf check` says against a deployment that a page shows, once its folders and secrets are there.
fn wrong(dir: &Path, deployment: &str) -> Option<String> {
    // Where a page has /run/secrets, it is a folder of the test's.
    let deployment = &deployment.replace("${file:/run/secrets/", "${file:secrets/");
    fs::write(dir.join("shown.toml"), deployment).unwrap();
    write_secrets(dir, deployment);
    for folder in folders(deployment) {
        fs::create_dir_all(dir.join(folder)).unwrap();
    }
    let mut check = check(dir, "shown.toml");
    for variable in variables(deployment) {
        // A database's place where the variable is one, else a password like any other.
        check.env(variable, if variable.ends_with("_URL") { "postgres://wharf@127.0.0.1/shop" } else { "hush" });
    }
    let output = check.output().unwrap();
    let fine = output.status.success() && stdout(&output).contains(" can run") && !stderr(&output).contains("warning:");
    (!fine).then(|| shown(&output))
}

#[test]
fn check_takes_every_deployment_and_every_part_of_pages_and_examples_and_every_connector_shows_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let stand_in = fs::read_to_string(root.join(STAND_IN)).unwrap();
    let stand_in = shown::blocks(&stand_in)[0];
    let (mut found, mut checked) = (Vec::new(), 0);
    for page in shown::pages(root) {
        let text = fs::read_to_string(&page).unwrap();
        let name = page.strip_prefix(root).unwrap().display().to_string();
        let blocks = shown::blocks(&text);
        let whole = blocks.iter().find(|block| shown::is_whole(block));
        let of_connector = page.parent().and_then(Path::parent) == Some(&root.join("connectors"));
        if of_connector && whole.is_none() {
            found.push(format!("{name} shows no deployment: a block ```toml that begins with its name"));
        }
        for block in &blocks {
            if OTHERS.iter().any(|(page, first, _)| name == *page && block.starts_with(first)) {
                continue;
            }
            let deployment = match shown::is_whole(block) {
                true => Ok((*block).to_owned()),
                false => shown::laid_over(whole.unwrap_or(&stand_in), block),
            };
            let why = deployment.map_or_else(Some, |deployment| wrong(dir.path(), &deployment));
            found.extend(why.map(|why| format!("{name}:\n{block}\n{why}")));
            checked += 1;
        }
    }
    assert!(checked > 20, "pages show {checked} blocks: where are the others?");
    found.extend(wrong_examples(&root.join("examples"), dir.path()));
    assert!(found.is_empty(), "{}", found.join("\n\n"));
}
