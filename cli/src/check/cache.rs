//! Where compiled components are kept when no state-dir is at hand: the user's cache folder, else a temporary one.

use std::path::PathBuf;

/// The folder; it is made where it is needed.
pub fn component_cache() -> PathBuf {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")));
    user.unwrap_or_else(std::env::temp_dir).join("wharf").join("components")
}
