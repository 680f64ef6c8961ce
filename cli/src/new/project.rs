//! The files of a new project: the template of its kind with its name put in, and the SDK. Writes nothing.

use anyhow::Result;

use super::{sdk, written_out};

/// What stands for the name, and for the crate's name, in templates.
const NAME: &str = "@NAME@";
const CRATE: &str = "@CRATE@";

/// Versions of all dependencies as this version of Wharf was built and tested with; cargo takes out what the project does not use.
const LOCK: &str = include_str!("../../../Cargo.lock");
const TOOLCHAIN: &str = include_str!("../../../rust-toolchain.toml");

/// Paths below the project's folder, and texts.
///
/// # Errors
/// Where the SDK's manifest cannot be made to stand alone: a fault of this build.
pub fn files(name: &str, template: &str) -> Result<Vec<(String, String)>> {
    let mut files = sdk::files("sdk")?;
    files.push(("Cargo.lock".to_owned(), LOCK.to_owned()));
    files.push(("rust-toolchain.toml".to_owned(), TOOLCHAIN.to_owned()));
    for (path, text) in written_out::templates() {
        let path = path.strip_prefix("templates/").unwrap_or(path);
        let Some((folder, path)) = path.split_once('/') else { continue };
        if folder == "common" || folder == template {
            files.push((place(path, name), text.replace(NAME, name).replace(CRATE, &name.replace('-', "_"))));
        }
    }
    Ok(files)
}

/// Templates have names under which they mean nothing to cargo and git.
fn place(path: &str, name: &str) -> String {
    match path {
        "manifest.toml" => "Cargo.toml".to_owned(),
        "gitignore" => ".gitignore".to_owned(),
        "cargo-config.toml" => ".cargo/config.toml".to_owned(),
        "pipeline.toml" => format!("{name}.toml"),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_placeholder_is_left_and_no_path_leads_out_of_the_project() {
        for template in ["source", "http", "sink", "transform"] {
            let files = files("stock-feed", template).unwrap();
            for wanted in ["Cargo.toml", "src/lib.rs", "connector.toml", "stock-feed.toml", "README.md", "sdk/src/lib.rs"] {
                assert!(files.iter().any(|(path, _)| path == wanted), "{template} has no {wanted}");
            }
            for (path, text) in files {
                assert!(!text.contains(NAME) && !text.contains(CRATE), "{path}");
                assert!(!path.starts_with('/') && !path.contains(".."), "{path}");
                assert!(!path.ends_with("Cargo.toml") || !text.contains(".."), "{path}");
            }
        }
    }
}
