//! Loading: what is no connector is told so before any record moves.

use super::*;
use wharf_runtime::guest::{ComponentError, ComponentKind, SourceGuest};

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_connector_are_named_for_what_they_are() {
    let guests = guests();
    let garbage = Component::load(&guests, b"#!/bin/sh\necho hello\n").await.unwrap_err();
    assert!(matches!(garbage, ComponentError::Invalid(_)), "{garbage}");
    let empty = Component::load(&guests, b"").await.unwrap_err();
    assert!(matches!(empty, ComponentError::Invalid(_)), "{empty}");
    let core = Component::load(&guests, b"\0asm\x01\0\0\0").await.unwrap_err();
    assert!(core.to_string().contains("wasm32-wasip2"), "{core}");
    let worldless = Component::load(&guests, b"\0asm\x0d\0\x01\0").await.unwrap_err();
    assert!(worldless.to_string().contains("source-guest, sink-guest or transform-guest"), "{worldless}");
    let cut = bytes("echo-sink");
    let cut = Component::load(&guests, &cut[..cut.len() / 2]).await.unwrap_err();
    assert!(matches!(cut, ComponentError::Invalid(_)), "{cut}");
}

#[tokio::test(flavor = "multi_thread")]
async fn component_of_another_world_is_refused_by_both_names() {
    let guests = guests();
    let refused = SourceGuest::start(&load(&guests, "echo-sink").await, nothing()).await.unwrap_err();
    let expected = (ComponentKind::Sink, ComponentKind::Source);
    assert!(matches!(refused, ComponentError::WrongKind { found, wanted } if (found, wanted) == expected), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn guest_that_wants_sockets_does_not_load() {
    let refused = Component::load(&guests(), bytes("sockets")).await.unwrap_err();
    assert!(matches!(&refused, ComponentError::Imports(what) if what.contains("wasi:sockets")), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bundled_connectors_load_under_their_names_with_a_schema() {
    let guests = guests();
    assert!(wharf_bundle::names().contains(&"sql"));
    for name in wharf_bundle::names() {
        let component = Component::load(&guests, wharf_bundle::component(name).unwrap()).await.unwrap();
        let description = component.description();
        // Of a system that has both, a source and a sink share the name, which their crates tell apart.
        let names = [description.name.clone(), format!("{}-{}", description.name, component.kind())];
        assert!(names.contains(&(*name).to_owned()), "{name}: {names:?}");
        let manifest: serde_json::Value = serde_json::from_str(&description.manifest).unwrap();
        assert_eq!(manifest["version"], description.version.as_str());
        assert_eq!(manifest["kind"], component.kind().to_string());
        assert_eq!(manifest["config"]["type"], "object", "{name}");
    }
}
