//! The components that this binary carries, and those of files.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use wharf_runtime::config::Known;
use wharf_runtime::supervisor::Bundle;

/// The bundle for the runtime.
pub const BUNDLE: Bundle = Bundle { component: wharf_bundle::component, names: wharf_bundle::names };

/// What a check of a configuration knows.
pub fn known() -> Known {
    let names = wharf_bundle::names().iter().map(|name| (*name).to_owned()).collect();
    Known { components: Some(names), without_secrets: false }
}

/// For commands that only look at a deployment: they work where its secrets are not at hand.
pub fn known_without_secrets() -> Known {
    Known { without_secrets: true, ..known() }
}

/// The bundled components that a name may mean, of whatever kind: `NAME` and `NAME-KIND`. Empty where there is none.
pub fn meant(name: &str) -> Vec<&'static str> {
    let names = wharf_bundle::names().iter().copied();
    let kinds = ["source", "sink", "transform"];
    names
        .filter(|n| n.strip_prefix(name).is_some_and(|rest| rest.is_empty() || kinds.iter().any(|k| rest == format!("-{k}"))))
        .collect()
}

/// The bytes of a component, by its bundled name or the path of a file.
///
/// # Errors
/// Where there is neither, with the names that there are.
pub fn bytes(name: &str) -> Result<Vec<u8>> {
    if let Some(bytes) = wharf_bundle::component(name) {
        return Ok(bytes.to_vec());
    }
    let path = PathBuf::from(name);
    if !path.exists() {
        bail!(
            "there is no bundled component `{name}` and no file of that name; bundled are: {}",
            wharf_bundle::names().join(", ")
        );
    }
    std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}
