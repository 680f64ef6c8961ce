//! The SDK as a crate that stands alone: its sources as they are, its manifest with what it takes from Wharf's workspace filled in.

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

use super::written_out;

const MANIFEST: &str = include_str!("../../../sdk/rust/Cargo.toml");
const WORKSPACE: &str = include_str!("../../../Cargo.toml");
/// How a module of tests in a file of its own is named; such files stay at home, as do the crates that only they use.
const TESTS: &str = "#[cfg(test)]\nmod tests;\n";

/// Its files below `folder`.
///
/// # Errors
/// Where the manifest cannot be made to stand alone: a fault of this build.
pub fn files(folder: &str) -> Result<Vec<(String, String)>> {
    let manifest = stand_alone(MANIFEST, WORKSPACE).context("the manifest of the SDK")?;
    let mut files = vec![(format!("{folder}/Cargo.toml"), manifest)];
    let sources = written_out::sdk().iter().filter(|(path, _)| !path.ends_with("/tests.rs"));
    files.extend(sources.map(|(path, text)| (format!("{folder}/{path}"), text.replace(TESTS, ""))));
    Ok(files)
}

/// A manifest without its workspace. What only serves the workspace's own tests and lints is left out.
fn stand_alone(manifest: &str, workspace: &str) -> Result<String> {
    let mut manifest: Table = manifest.parse()?;
    let workspace: Table = workspace.parse()?;
    let shared = |section: &str| {
        let found = workspace.get("workspace").and_then(|w| w.get(section)).and_then(Value::as_table);
        found.with_context(|| format!("the workspace has no `{section}`"))
    };
    for section in ["dev-dependencies", "lints"] {
        manifest.remove(section);
    }
    fill(&mut manifest, "package", shared("package")?)?;
    fill(&mut manifest, "dependencies", shared("dependencies")?)?;
    if let Some(Value::Table(targets)) = manifest.get_mut("target") {
        for (_, target) in targets.iter_mut() {
            let target = target.as_table_mut().context("`target` is no table of tables")?;
            fill(target, "dependencies", shared("dependencies")?)?;
        }
    }
    Ok(toml::to_string(&manifest)?)
}

/// Puts what the workspace says in the place of each `key.workspace = true`.
fn fill(manifest: &mut Table, section: &str, shared: &Table) -> Result<()> {
    let Some(Value::Table(entries)) = manifest.get_mut(section) else { return Ok(()) };
    for (key, value) in entries.iter_mut() {
        let Some(inherited) = value.as_table().filter(|table| table.contains_key("workspace")) else { continue };
        if inherited.len() > 1 {
            bail!("`{section}.{key}` adds to what the workspace says: that cannot be filled in");
        }
        *value = shared.get(key).cloned().with_context(|| format!("the workspace has no `{section}.{key}`"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_stands_alone_with_the_versions_of_the_workspace() {
        let text = stand_alone(MANIFEST, WORKSPACE).unwrap();
        assert!(!text.contains("workspace") && !text.contains("path ="), "{text}");
        let (manifest, workspace): (Table, Table) = (text.parse().unwrap(), WORKSPACE.parse().unwrap());
        let shared = &workspace["workspace"];
        assert_eq!(manifest["package"]["edition"], shared["package"]["edition"]);
        assert_eq!(manifest["package"]["license"], shared["package"]["license"]);
        assert_eq!(manifest["dependencies"]["wit-bindgen"], shared["dependencies"]["wit-bindgen"]);
        assert!(text.contains("wasip2 = "), "{text}");
    }

    #[test]
    fn what_cannot_be_filled_in_is_an_error() {
        let workspace = "[workspace.package]\n[workspace.dependencies]\na = \"1\"";
        for (manifest, reason) in [
            ("[dependencies]\nb.workspace = true", "no `dependencies.b`"),
            ("[dependencies]\na = { workspace = true, optional = true }", "adds to"),
        ] {
            let error = stand_alone(manifest, workspace).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn the_sources_are_there_with_the_interface_and_without_files_of_tests() {
        let files = files("sdk").unwrap();
        for wanted in ["sdk/src/lib.rs", "sdk/src/testing.rs", "sdk/wit/worlds.wit", "sdk/wit/sql.wit", "sdk/README.md"] {
            assert!(files.iter().any(|(path, _)| path == wanted), "{wanted}");
        }
        for (path, text) in files {
            assert!(!path.ends_with("tests.rs") && !text.contains("mod tests;") && !text.contains("proptest"), "{path}");
        }
    }
}
