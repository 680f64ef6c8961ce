//! The components that this binary carries.

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
