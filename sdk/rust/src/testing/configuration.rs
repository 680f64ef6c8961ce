//! Whether a connector's manifest and the type that its configuration is read into say the same. For tests only.

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::manifest::{Kind, describe};

/// Holds the configuration schema of `connector.toml` against the type: both have the same keys, and what the schema gives as
/// defaults is what the type has where they are left out. `least` is a JSON object with all that has to be given. The type must refuse
/// unknown keys (`#[serde(deny_unknown_fields)]`).
///
/// # Errors
/// What differs.
pub fn configuration<C: DeserializeOwned + Debug>(manifest: &str, least: &str) -> Result<(), String> {
    let kinds = [Kind::Source, Kind::Sink, Kind::Transform];
    let described = kinds.map(|kind| describe(manifest, "0.0.0", kind));
    let told: Vec<String> = described.iter().filter_map(|answer| answer.as_ref().err().cloned()).collect();
    let description = described.into_iter().find_map(Result::ok).ok_or_else(|| told.join("; "))?;
    let manifest: Value = serde_json::from_str(&description.manifest).map_err(|e| e.to_string())?;
    let properties =
        manifest.pointer("/config/properties").and_then(Value::as_object).ok_or("the manifest has no config.properties")?;
    let least: Map<String, Value> = serde_json::from_str(least).map_err(|e| format!("{least}: {e}"))?;

    let mut named: Vec<&str> = properties.keys().map(String::as_str).collect();
    let unknown = Map::from_iter([("no-such-key".to_owned(), Value::from(1))]);
    let refused = read::<C>(unknown).err().ok_or("unknown keys are not refused: deny_unknown_fields is missing")?;
    let mut known: Vec<&str> = refused.split('`').skip(3).step_by(2).collect();
    named.sort_unstable();
    known.sort_unstable();
    if named != known {
        return Err(format!("the manifest has the keys {named:?}, the type {known:?}"));
    }

    let defaults = properties.iter().filter_map(|(name, property)| Some((name.clone(), property.get("default")?.clone())));
    let spelled_out = format!("{:?}", read::<C>(defaults.chain(least.clone()).collect())?);
    let left_out = format!("{:?}", read::<C>(least)?);
    if spelled_out != left_out {
        return Err(format!("with the defaults of the manifest it is {spelled_out}, where they are left out {left_out}"));
    }
    Ok(())
}

fn read<C: DeserializeOwned>(json: Map<String, Value>) -> Result<C, String> {
    serde_json::from_value(json.into()).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::configuration;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "told by Debug alone")]
    struct Config {
        url: String,
        #[serde(default)]
        most: u32,
    }

    fn manifest(most: &str, more: &str) -> String {
        format!(
            "name = \"x\"\nkind = \"sink\"\nsummary = \"s\"\n[config]\ntype = \"object\"\n[config.properties.url]\ntype = \"string\"\n\
             [config.properties.most]\ntype = \"integer\"\ndefault = {most}\n{more}"
        )
    }

    #[test]
    fn a_manifest_with_other_keys_or_other_defaults_than_the_type_is_told() {
        let held = |manifest: &str| configuration::<Config>(manifest, r#"{"url": "u"}"#);
        assert_eq!(held(&manifest("0", "")), Ok(()));
        assert!(held(&manifest("1", "")).unwrap_err().contains("most: 1"));
        assert!(held(&manifest("0", "[config.properties.also]\ntype = \"string\"\n")).unwrap_err().contains("\"also\""));
        assert!(configuration::<serde_json::Value>(&manifest("0", ""), "{}").unwrap_err().contains("deny_unknown_fields"));
    }
}
