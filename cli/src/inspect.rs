//! `wharf inspect`: what a component is, wants and takes, from the component itself.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::Value;
use wharf_runtime::guest::{Component, Guests};
use wharf_runtime::supervisor::manifest;

use crate::bundle;
use crate::check::component_cache;
use crate::output::{OK, say};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of a bundled component, or the path of a .wasm file. Left out: lists the bundled ones. A name that a source and a sink
    /// have shows both.
    component: Option<String>,
    /// The manifest as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn inspect(args: Args) -> Result<ExitCode> {
    let guests = Arc::new(Guests::new(&component_cache())?);
    let Some(name) = args.component else {
        for name in wharf_bundle::names() {
            let component = Component::load(&guests, &bundle::bytes(name)?).await?;
            let kind = component.kind().to_string();
            // As a deployment calls it: the kind is told by where it stands.
            let name = name.strip_suffix(&format!("-{kind}")).unwrap_or(name);
            say!("{name:<16} {kind:<10} {}", text(&manifest(&component), "summary"));
        }
        return Ok(ExitCode::from(OK));
    };
    let meant = bundle::meant(&name);
    if meant.is_empty() {
        show(&guests, &name, args.json).await?;
    }
    for (index, name) in meant.iter().enumerate() {
        if index > 0 && !args.json {
            say!("");
        }
        show(&guests, name, args.json).await?;
    }
    Ok(ExitCode::from(OK))
}

async fn show(guests: &Arc<Guests>, name: &str, json: bool) -> Result<()> {
    let component = Component::load(guests, &bundle::bytes(name)?).await.with_context(|| format!("component `{name}`"))?;
    let manifest = manifest(&component);
    if json {
        say!("{}", serde_json::to_string_pretty(&manifest)?);
        return Ok(());
    }
    let description = component.description();
    say!("{} {} ({})", description.name, description.version, component.kind());
    for key in ["summary", "documentation"] {
        // A file's name is for whoever has the sources.
        if let Some(text) = manifest.get(key).and_then(Value::as_str).filter(|text| !text.ends_with(".md")) {
            say!("");
            say!("{}", text.trim());
        }
    }
    say!("");
    say!("wants: {}", if description.wants.is_empty() { "nothing".to_owned() } else { description.wants.join(", ") });
    show_schema(manifest.get("config").unwrap_or(&Value::Null));
    Ok(())
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The first level of the schema: name, type, whether it is required, default, and what it means.
fn show_schema(schema: &Value) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        say!("config: no schema");
        return;
    };
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    say!("config:");
    for (name, property) in properties {
        let mut notes = vec![kind(property)];
        if required.contains(&name.as_str()) {
            notes.push("required".to_owned());
        }
        if let Some(default) = property.get("default") {
            notes.push(format!("default {default}"));
        }
        say!("  {name}  ({})", notes.join(", "));
        for line in text(property, "description").lines() {
            say!("      {line}");
        }
    }
}

fn kind(property: &Value) -> String {
    if let Some(values) = property.get("enum").and_then(Value::as_array) {
        return values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
    }
    match property.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "see --json".to_owned(),
    }
}
