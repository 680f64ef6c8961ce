//! Connectors and misbehaving guests under one roof, compiled once for all tests: a cold cache costs minutes in a debug build.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Mutex;
use wharf_runtime::config::{ComponentRef, Config, TransformStep};
use wharf_runtime::guest::{Component, ComponentKind, Guests};
use wharf_runtime::supervisor::Bundle;

pub const BUNDLE: Bundle = Bundle { component: find, names: wharf_bundle::names };

fn find(name: &str) -> Option<&'static [u8]> {
    wharf_bundle::component(name).or_else(|| wharf_guest_bundle::component(name))
}

fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest-cache")
}

/// Lets the state folder keep its compiled components where those of all tests are.
pub fn link(state: &Path) {
    std::fs::create_dir_all(state).unwrap();
    let link = state.join("components");
    if !link.exists() {
        std::fs::create_dir_all(cache()).unwrap();
        std::os::unix::fs::symlink(cache(), link).unwrap();
    }
}

/// Compiles what a deployment needs, one after the other: tests that run at once do not compile the same twice.
pub async fn warm(config: &Config) {
    static WARM: Mutex<BTreeSet<String>> = Mutex::const_new(BTreeSet::new());
    let sources = config.sources.iter().map(|s| (&s.connector, ComponentKind::Source));
    let connectors = sources.chain(config.sinks.iter().map(|s| (&s.connector, ComponentKind::Sink)));
    let references = connectors.flat_map(|(connector, kind)| {
        let steps = connector.transforms.iter().filter_map(|transform| match &transform.step {
            TransformStep::Component { component, .. } => Some((component, ComponentKind::Transform)),
            _ => None,
        });
        steps.chain([(&connector.component, kind)])
    });
    let mut warm = WARM.lock().await;
    for (reference, kind) in references {
        if let ComponentRef::Bundled(name) = reference
            && let Some(bytes) = BUNDLE.of_kind(name, kind)
            && warm.insert(format!("{name} {kind}"))
        {
            let guests = Arc::new(Guests::new(&cache()).unwrap());
            Component::load(&guests, bytes).await.unwrap();
        }
    }
}
