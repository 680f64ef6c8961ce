//! Lists the files that `wharf new` writes out, the SDK's and the templates', for `src/new`. Decides nothing about what is in them.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let Err(reason) = write_lists() else { return ExitCode::SUCCESS };
    println!("cargo::error={reason}");
    ExitCode::FAILURE
}

fn write_lists() -> Result<(), String> {
    println!("cargo::rerun-if-changed=build.rs");
    // As they are now, not when this script was compiled: checkouts may share a target folder.
    let folder = |name: &str| env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("{name} is not set"));
    let (here, out) = (folder("CARGO_MANIFEST_DIR")?, folder("OUT_DIR")?);
    let sdk = here.parent().ok_or("no workspace")?.join("sdk/rust");
    let mut text = String::new();
    list(&mut text, "SDK", &sdk, &["src", "wit", "README.md"])?;
    list(&mut text, "TEMPLATES", &here, &["templates"])?;
    let file = out.join("written_out.rs");
    fs::write(&file, text).map_err(|e| format!("cannot write {}: {e}", file.display()))
}

/// Writes a slice of (path below `root`, text) of all files in these parts of `root`, sorted by path.
fn list(text: &mut String, name: &str, root: &Path, parts: &[&str]) -> Result<(), String> {
    let mut files = Vec::new();
    for part in parts {
        let path = root.join(part);
        println!("cargo::rerun-if-changed={}", path.display());
        collect(&path, &mut files)?;
    }
    files.sort();
    let mut put = |line: String| writeln!(text, "{line}").map_err(|e| e.to_string());
    put(format!("const {name}: &[(&str, &str)] = &["))?;
    for file in &files {
        let below = file.strip_prefix(root).map_err(|e| e.to_string())?;
        put(format!("    ({below:?}, include_str!({file:?})),"))?;
    }
    put("];".to_owned())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let unreadable = |e: std::io::Error| format!("cannot read {}: {e}", path.display());
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(unreadable)? {
        collect(&entry.map_err(unreadable)?.path(), files)?;
    }
    Ok(())
}
