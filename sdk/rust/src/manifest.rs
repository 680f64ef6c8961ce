//! The manifest: `connector.toml`, embedded in the component and handed over by `describe` as JSON. Owns its shape; what
//! a connector may reach is the smaller of what it asks for here and what the operator grants.

use serde::Deserialize;
use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use crate::bindings::types;

/// Keys of `connector.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    /// Name of the connector: lower case, digits and dashes.
    name: String,
    kind: Kind,
    /// One sentence.
    summary: String,
    /// Where its documentation is, or the documentation itself.
    #[expect(dead_code, reason = "checked to be a text; handed over as it stands")]
    documentation: Option<String>,
    /// Capabilities: `http`, `sql`, `inbox`, `files`.
    #[serde(default)]
    wants: Vec<String>,
    /// What order the connector needs its records in.
    #[expect(dead_code, reason = "checked to be known; handed over as it stands")]
    ordering: Option<Ordering>,
    /// JSON Schema (draft 2020-12) of the `config` table. The keyword `grant` on a text property says what its value reaches:
    /// `http` (a URL), `sql` (a connection) or `files` (a path); the host then checks it against the grants before a start.
    config: Option<Map<String, Value>>,
}

/// The world that a component exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Source,
    Sink,
    Transform,
}

/// What must stay in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Ordering {
    Partition,
    Key,
}

/// Reads a manifest; the version is that of the crate.
///
/// # Errors
/// A text that names the line, or the key, at fault.
pub fn describe(toml: &str, version: &str, kind: Kind) -> Result<types::Description, String> {
    let table = DeTable::parse(toml).map_err(|e| format!("connector.toml: {e}"))?;
    let mut json = object(table.get_ref());
    let manifest: Manifest = serde_json::from_value(Value::Object(json.clone())).map_err(|e| format!("connector.toml: {e}"))?;
    check(&manifest, kind)?;
    json.insert("version".to_owned(), Value::String(version.to_owned()));
    Ok(types::Description {
        name: manifest.name,
        version: version.to_owned(),
        wants: manifest.wants,
        manifest: Value::Object(json).to_string(),
    })
}

fn object(table: &DeTable<'_>) -> Map<String, Value> {
    table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect()
}

/// Numbers keep their digits; a date is its text.
fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix()).map_or(Value::Null, Value::from),
        DeValue::Float(digits) => digits.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(yes) => Value::Bool(*yes),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => Value::Object(object(table)),
    }
}

fn check(manifest: &Manifest, kind: Kind) -> Result<(), String> {
    let Manifest { name, summary, documentation: _, wants, ordering: _, config, kind: found } = manifest;
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Err(format!("connector.toml: `name` is `{name}`: use a-z, 0-9 and `-`"));
    }
    if summary.trim().is_empty() {
        return Err("connector.toml: `summary` is empty: say in one sentence what the connector does".to_owned());
    }
    if *found != kind {
        return Err(format!("connector.toml: `kind` is {found:?}, but the crate exports a {kind:?}"));
    }
    const KNOWN: [&str; 4] = ["http", "sql", "inbox", "files"];
    if let Some(unknown) = wants.iter().find(|want| !KNOWN.contains(&want.as_str())) {
        return Err(format!("connector.toml: `wants` names `{unknown}`; known are {}", KNOWN.join(", ")));
    }
    let object = |schema: &Map<String, Value>| schema.get("type").and_then(Value::as_str) == Some("object");
    if config.as_ref().is_some_and(|schema| !object(schema)) {
        return Err("connector.toml: `[config]` is a JSON Schema and needs `type = \"object\"`".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        name = "orders"
        kind = "sink"
        summary = "Writes orders."
        wants = ["sql"]
        ordering = "key"
        [config]
        type = "object"
        required = ["table"]
        [config.properties.table]
        type = "string"
        minLength = 1
    "#;

    #[test]
    fn manifest_reaches_the_host_as_json_with_the_version_of_the_crate() {
        let description = describe(GOOD, "1.2.3", Kind::Sink).unwrap();
        assert_eq!((description.name.as_str(), description.version.as_str()), ("orders", "1.2.3"));
        assert_eq!(description.wants, ["sql"]);
        let json: Value = serde_json::from_str(&description.manifest).unwrap();
        assert_eq!(json["version"], "1.2.3");
        assert_eq!(json["ordering"], "key");
        assert_eq!(json["config"]["properties"]["table"]["minLength"].to_string(), "1");
    }

    #[test]
    fn the_manifest_that_the_readme_shows_is_one() {
        let shown = include_str!("../README.md").split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let description = describe(shown, "1.2.3", Kind::Sink).unwrap();
        assert_eq!((description.name.as_str(), description.wants), ("poster", vec!["http".to_owned()]));
    }

    #[test]
    fn manifest_with_a_fault_is_refused_by_the_name_of_the_key() {
        for (from, to, expected) in [
            ("summary", "sumary", "unknown field `sumary`"),
            ("\"orders\"", "\"Orders!\"", "`name`"),
            ("\"sink\"", "\"source\"", "`kind`"),
            ("\"sql\"", "\"sockets\"", "`sockets`"),
            ("\"object\"", "\"array\"", "`[config]`"),
        ] {
            let error = describe(&GOOD.replacen(from, to, 1), "1.2.3", Kind::Sink).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
