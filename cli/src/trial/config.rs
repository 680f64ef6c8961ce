//! The `--config` of a trial: JSON, TOML, or a file of either. Validates nothing; the component's schema does.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

/// The configuration as JSON; an empty object where none is given.
///
/// # Errors
/// What cannot be read, and where.
pub fn read(argument: Option<&str>) -> Result<Value> {
    let Some(argument) = argument else { return Ok(Value::Object(Map::new())) };
    let Some(path) = argument.strip_prefix('@') else {
        let json = argument.trim_start().starts_with('{');
        return parse(argument, json).context("--config");
    };
    let path = Path::new(path);
    let text = std::fs::read_to_string(path).with_context(|| format!("--config: cannot read {}", path.display()))?;
    let json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    parse(&text, json).with_context(|| format!("--config: {}", path.display()))
}

fn parse(text: &str, json: bool) -> Result<Value> {
    if !json {
        let table: toml::Table = text.parse().context("not TOML (JSON begins with `{`)")?;
        return Ok(to_json(toml::Value::Table(table)));
    }
    let value: Value = serde_json::from_str(text).context("not JSON")?;
    if !value.is_object() {
        bail!("expected an object, found {value}");
    }
    Ok(value)
}

/// A date is its text, as in a deployment's configuration.
fn to_json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(yes) => yes.into(),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(items) => items.into_iter().map(to_json).collect(),
        toml::Value::Table(table) => table.into_iter().map(|(key, value)| (key, to_json(value))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_toml_and_files_of_both_say_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = json!({"table": "orders", "n": 1, "on": true, "since": "2026-01-31"});
        let toml = "table = \"orders\"\nn = 1\non = true\nsince = 2026-01-31\n";
        for (name, text) in [("a.json", wanted.to_string()), ("a.toml", toml.to_owned())] {
            let path = dir.path().join(name);
            std::fs::write(&path, &text).unwrap();
            assert_eq!(read(Some(&text)).unwrap(), wanted);
            assert_eq!(read(Some(&format!("@{}", path.display()))).unwrap(), wanted);
        }
        assert_eq!(read(None).unwrap(), json!({}));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (argument, reason) in
            [("@no-such-file", "no-such-file"), ("{", "not JSON"), ("[1, 2]", "not TOML"), ("a: 1", "not TOML")]
        {
            let error = format!("{:#}", read(Some(argument)).unwrap_err());
            assert!(error.contains(reason) && error.contains("--config"), "{error}");
        }
    }
}
