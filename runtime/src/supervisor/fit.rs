//! Whether a connector's section fits its component: configuration against the manifest's JSON Schema, grants against what the
//! manifest asks for. Known before a record moves, so `check` and `run` say the same. Reaches nothing.

use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use super::kept::{can_be_exactly_once, exactly_once};
use crate::config::{Allow, Config, Connector, TransformStep, suggest};
use crate::guest::{Component, ComponentKind};

mod grant;
mod late;
mod size;

/// Something in a connector's section that cannot work with its component, or not well.
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

/// What a component is given by itself: of a connector, or without a deployment.
#[derive(Debug, Clone, Copy)]
pub struct Section<'a> {
    /// Name of the connector.
    pub name: &'a str,
    /// The component, as messages name it.
    pub reference: &'a str,
    /// The `config` table as JSON.
    pub config: &'a Value,
    pub allow: &'a Allow,
}

/// Everything in the section of one connector that does not fit its component.
#[must_use]
pub fn connector(config: &Config, connector: &Connector, component: &Component) -> Vec<Misfit> {
    let (reference, allow) = (connector.component.to_string(), &connector.allow);
    let alone = Section { name: &connector.name, reference: &reference, config: &connector.config, allow };
    let mut found = section(&alone, component);
    let sink = config.sinks.iter().find(|s| s.connector.name == connector.name);
    if sink.is_some_and(|sink| sink.exactly_once == Some(true)) && !can_be_exactly_once(component) {
        let how = if component.wants("sql") {
            "delivers over HTTP, which no transaction holds"
        } else {
            "writes through no connection"
        };
        let message = format!("component {reference} {how}, and cannot be exactly once");
        let help = "remove it: this sink is at least once, with the same idempotency key at each repetition";
        found.push(alone.misfit("/exactly-once".to_owned(), message, help.to_owned()));
    }
    let once = sink.is_some_and(|sink| exactly_once(sink, component));
    if once && allow.sql.len() > 1 {
        let help = "list the one where rows and offsets move together, or set exactly-once = false";
        found.push(alone.misfit("/allow/sql".to_owned(), "an exactly-once sink has one connection".to_owned(), help.to_owned()));
    }
    found
}

/// What would work badly: warnings of `check`.
#[must_use]
pub fn doubtful(config: &Config, connector: &Connector, component: &Component) -> Vec<Misfit> {
    let misfit = |pointer: &str, message: String, help: &str| Misfit {
        connector: connector.name.clone(),
        pointer: pointer.to_owned(),
        message,
        help: Some(help.to_owned()),
    };
    let mut found = Vec::new();
    let (schema, deadline) = (manifest(component).get("config").cloned(), connector.guest.call_deadline);
    if let Some(timeout) = schema.and_then(|schema| late::late(&schema, &connector.config, deadline)) {
        let message = format!("`timeout` of {timeout:?} is not below `limits.call-deadline` of {deadline:?}");
        let help = "a service that does not answer then ends the component's instance, and the whole call is made again: make \
                    `timeout` half of the deadline at most, as one call may make several requests";
        found.push(misfit("/config/timeout", message, help));
    }
    let source = config.sources.iter().find(|source| source.connector.name == connector.name);
    if let Some((what, limit)) = size::below(config, connector, source) {
        let message = format!("`max-record-bytes` is {}, but {what} is {limit}", connector.max_record_bytes);
        let help = "records between the two are refused when they are written, and become dead letters that are cut: raise the other, \
                    and `max.message.bytes` of the topics with it";
        found.push(misfit("/max-record-bytes", message, help));
    }
    found
}

/// Everything in a step of a connector that does not fit the component which it is.
#[must_use]
pub fn step(connector: &Connector, index: usize, component: &Component) -> Vec<Misfit> {
    let step = connector.transforms.get(index).map(|transform| &transform.step);
    let Some(TransformStep::Component { component: reference, config }) = step else { return Vec::new() };
    let (reference, allow) = (reference.to_string(), Allow::default());
    let mut found = section(&Section { name: &connector.name, reference: &reference, config, allow: &allow }, component);
    for misfit in &mut found {
        misfit.pointer = format!("/transform/{index}{}", misfit.pointer);
    }
    found
}

/// What does not fit whatever deployment it stands in: the configuration against the schema, the grants against what is wanted, and
/// what the configuration names against the grants.
#[must_use]
pub fn section(section: &Section<'_>, component: &Component) -> Vec<Misfit> {
    let schema = manifest(component).get("config").cloned();
    let mut found = schema.as_ref().map(|schema| against_schema(section, schema)).unwrap_or_default();
    found.extend(if component.kind() == ComponentKind::Transform {
        asked_in_vain(section, component)
    } else {
        grants(section, component)
    });
    for ungranted in schema.iter().flat_map(|schema| grant::ungranted(schema, section.config, section.allow)) {
        found.push(section.misfit(format!("/config/{}", ungranted.property), ungranted.message, ungranted.help));
    }
    found
}

/// A transform is granted nothing, so it must ask for nothing: the calls that it counts on would all fail.
fn asked_in_vain(section: &Section<'_>, component: &Component) -> Vec<Misfit> {
    let wanted: Vec<_> = component.description().wants.iter().map(|wanted| format!("`{wanted}`")).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let message = format!("component {} asks for {}, and a transform is granted nothing", section.reference, wanted.join(", "));
    let help = "a transform works on the record alone: the component's author has to take `wants` out of its manifest";
    vec![section.misfit("/component".to_owned(), message, help.to_owned())]
}

/// What is asked for and not allowed, and the other way round.
fn grants(section: &Section<'_>, component: &Component) -> Vec<Misfit> {
    let (reference, allow) = (section.reference, section.allow);
    let mut found = Vec::new();
    let grants = [
        ("http", allow.http.is_empty(), "allow.http = [\"host.example.com\"]"),
        ("sql", allow.sql.is_empty(), "allow.sql = [\"name of a [connection.NAME]\"]"),
        ("files", allow.files.is_empty(), "allow.files = [\"folder\"]"),
    ];
    for (capability, missing, example) in grants {
        let (wanted, pointer) = (component.wants(capability), format!("/allow/{capability}"));
        if wanted && missing {
            let message = format!("component {reference} needs `{capability}`, and nothing is allowed");
            found.push(section.misfit("/allow".to_owned(), message, format!("add {example}")));
        } else if !wanted && !missing {
            let message = format!("component {reference} does not ask for `{capability}`: this grants nothing");
            found.push(section.misfit(pointer, message, "remove it".to_owned()));
        }
    }
    found
}

impl Section<'_> {
    fn misfit(&self, pointer: String, message: String, help: String) -> Misfit {
        Misfit { connector: self.name.to_owned(), pointer, message, help: Some(help) }
    }
}

fn against_schema(section: &Section<'_>, schema: &Value) -> Vec<Misfit> {
    let inspect = format!("`wharf inspect {}` shows what it takes", section.reference.trim_matches('`'));
    let misfit = |pointer: String, message: String, help: String| section.misfit(pointer, message, help);
    let validator = match jsonschema::validator_for(schema) {
        Ok(validator) => validator,
        Err(error) => {
            let message = format!("the component's configuration schema is not valid: {error}");
            return vec![misfit(String::new(), message, "the component's author has to mend it".to_owned())];
        }
    };
    let mut found = Vec::new();
    for error in validator.iter_errors(section.config) {
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
