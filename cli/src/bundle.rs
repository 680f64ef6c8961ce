//! The components that this binary carries.

use wharf_runtime::config::Known;
use wharf_runtime::supervisor::Bundle;

/// The bundle for the runtime.
pub const BUNDLE: Bundle = Bundle { component: wharf_bundle::component, names: wharf_bundle::names };

/// What a check of a configuration knows.
pub fn known() -> Known {
    Known { components: Some(wharf_bundle::names().iter().map(|name| (*name).to_owned()).collect()) }
}
