//! Whether a connector's section fits its component: configuration against the manifest's JSON Schema, grants against what the
//! manifest asks for. Known before a record moves, so `check` and `run` say the same. Reaches nothing.

use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use super::kept::exactly_once;
use crate::config::{Config, Connector, suggest};
use crate::guest::Component;

mod grant;

/// Something in a connector's section that cannot work with its component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Name of the connector.
    pub connector: String,
    /// JSON pointer (RFC 6901) into the connector's section, such as `/config/entity`; empty: the section.
    pub pointer: String,
    /// One line.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// A key of the manifest (`connector.toml` as JSON).
#[must_use]
pub fn manifest(component: &Component) -> Value {
    // A guest writes this text: one that is not JSON has no schema, and `describe` shows it as it is.
    serde_json::from_str(&component.description().manifest).unwrap_or(Value::Null)
}

/// Everything in the section of one connector that does not fit its component.
#[must_use]
pub fn connector(config: &Config, connector: &Connector, component: &Component) -> Vec<Misfit> {
    let schema = manifest(component).get("config").cloned();
    let mut found = schema.as_ref().map(|schema| against_schema(connector, schema)).unwrap_or_default();
    let misfit = |pointer: &str, message: String, help: &str| Misfit {
        connector: connector.name.clone(),
        pointer: pointer.to_owned(),
        message,
        help: Some(help.to_owned()),
    };
    let reference = &connector.component;
    let grants = [
        ("http", connector.allow.http.is_empty(), "allow.http = [\"host.example.com\"]"),
        ("sql", connector.allow.sql.is_empty(), "allow.sql = [\"name of a [connection.NAME]\"]"),
        ("files", connector.allow.files.is_empty(), "allow.files = [\"folder\"]"),
    ];
    for (capability, missing, example) in grants {
        let (wanted, pointer) = (component.wants(capability), format!("/allow/{capability}"));
        if wanted && missing {
            let message = format!("component {reference} needs `{capability}`, and nothing is allowed");
            found.push(misfit("/allow", message, &format!("add {example}")));
        } else if !wanted && !missing {
            let message = format!("component {reference} does not ask for `{capability}`: this grants nothing");
            found.push(misfit(&pointer, message, "remove it"));
        }
    }
    for ungranted in schema.iter().flat_map(|schema| grant::ungranted(schema, &connector.config, &connector.allow)) {
        found.push(misfit(&format!("/config/{}", ungranted.property), ungranted.message, &ungranted.help));
    }
    let sink = config.sinks.iter().find(|s| s.connector.name == connector.name);
    if sink.is_some_and(|sink| sink.exactly_once == Some(true)) && !component.wants("sql") {
        let message = format!("component {reference} writes through no connection, and cannot be exactly once");
        found.push(misfit(
            "/exactly-once",
            message,
            "remove it: this sink is at least once, with the same idempotency key at each repetition",
        ));
    }
    let once = sink.is_some_and(|sink| exactly_once(sink, component));
    if once && connector.allow.sql.len() > 1 {
        let help = "list the one where rows and offsets move together, or set exactly-once = false";
        found.push(misfit("/allow/sql", "an exactly-once sink has one connection".to_owned(), help));
    }
    found
}

fn against_schema(connector: &Connector, schema: &Value) -> Vec<Misfit> {
    let inspect = format!("`wharf inspect {}` shows what it takes", connector.component.to_string().trim_matches('`'));
    let misfit = |pointer: String, message: String, help: String| Misfit {
        connector: connector.name.clone(),
        pointer,
        message,
        help: Some(help),
    };
    let validator = match jsonschema::validator_for(schema) {
        Ok(validator) => validator,
        Err(error) => {
            let message = format!("the component's configuration schema is not valid: {error}");
            return vec![misfit(String::new(), message, "the component's author has to mend it".to_owned())];
        }
    };
    let mut found = Vec::new();
    for error in validator.iter_errors(&connector.config) {
        let pointer = format!("/config{}", error.instance_path());
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let known = schema.pointer(&format!("{}", error.schema_path()).replace("/additionalProperties", "/properties"));
                let known: Vec<&str> =
                    known.and_then(Value::as_object).map(|p| p.keys().map(String::as_str).collect()).unwrap_or_default();
                for key in unexpected {
                    let token = key.replace('~', "~0").replace('/', "~1");
                    let help = format!("{}; {inspect}", suggest(key, "key", known.iter().copied()));
                    found.push(misfit(format!("{pointer}/{token}"), format!("unknown key `{key}` in config"), help));
                }
            }
            ValidationErrorKind::Enum { options } => {
                let options = options.as_array().map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
                let message = format!("{} is none of {}", error.instance(), options.unwrap_or_default());
                found.push(misfit(pointer, message, inspect.clone()));
            }
            _ => {
                let key = error.instance_path().to_string();
                let key =
                    key.rsplit('/').next().filter(|key| !key.is_empty()).map(|key| format!("`{key}`: ")).unwrap_or_default();
                found.push(misfit(pointer, format!("{key}{error}"), inspect.clone()));
            }
        }
    }
    found
}
