//! What every rule needs: findings, references, names, numbers. Owns the bookkeeping of one check; knows no section.

use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;

use crate::capability::secret::Secret;
use crate::topic_log::is_topic_name;

use super::ComponentRef;
use super::diagnostic::{Diagnostic, Severity, suggest};
use super::node::{Node, Text};
use super::reference::{Allowed, Unresolved, Values};

/// Where a secret belongs, for those who wrote it where the guest could read it.
pub const SECRET_IN_CONFIG: &str = "the guest reads `config`: put a credential into [source.auth.\"host\"] or [sink.auth.\"host\"], \
                                    a database URL into [connection.NAME], a signature's secret into [source.listen]; \
                                    plain values come from [vars] as ${var:NAME}";
/// The same for every other plain place.
pub const SECRET_ELSEWHERE: &str =
    "secrets resolve in [kafka], auth, connection and listen sections; plain values come from [vars] as ${var:NAME}";

/// The state of one check.
#[derive(Debug)]
pub struct Checker<'a> {
    pub findings: Vec<Diagnostic>,
    pub removed: Vec<(Range<usize>, String)>,
    pub values: Values<'a>,
    /// Names of bundled components; `None`: not known here, any name passes.
    pub bundled: Option<&'a [String]>,
}

impl Checker<'_> {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.findings.push(diagnostic);
    }

    pub fn error(&mut self, span: Range<usize>, title: impl Into<String>, label: impl Into<String>) {
        self.push(Diagnostic::error(span, title).label(label));
    }

    pub fn failed(&self) -> bool {
        self.findings.iter().any(|d| d.severity == Severity::Error)
    }

    /// A required key of the table at `span`. Silent when the key was there and already found faulty.
    pub fn required<T>(&mut self, value: Option<T>, key: &str, span: &Range<usize>) -> Option<T> {
        let known = self.removed.iter().any(|(table, removed)| table == span && removed == key);
        if value.is_none() && !known {
            self.error(span.clone(), format!("`{key}` is missing"), format!("`{key}` is required here"));
        }
        value
    }

    /// A text without secrets.
    pub fn text(&mut self, text: &Text) -> String {
        self.text_or(text.get_ref(), &text.span(), SECRET_ELSEWHERE)
    }

    pub fn text_or(&mut self, text: &str, span: &Range<usize>, section: &'static str) -> String {
        let resolved = self.values.resolve(text, Allowed::Plain(section));
        self.resolved(resolved, span).unwrap_or_default()
    }

    /// A text that may hold secrets.
    pub fn secret(&mut self, text: &Text) -> Secret {
        let resolved = self.values.secret(text.get_ref());
        self.resolved(resolved, &text.span()).unwrap_or_default()
    }

    fn resolved<T>(&mut self, resolved: Result<T, Unresolved>, span: &Range<usize>) -> Option<T> {
        match resolved {
            Ok(value) => Some(value),
            Err(Unresolved { title, help }) => {
                self.push(Diagnostic::error(span.clone(), title).help(help));
                None
            }
        }
    }

    /// A path relative to the file.
    pub fn path(&mut self, path: &Text) -> PathBuf {
        let path = self.text(path);
        // `.` is the file's folder already.
        self.values.base_dir.join(path.strip_prefix("./").unwrap_or(&path))
    }

    /// A path that must exist; `what` names it.
    pub fn existing(&mut self, path: &Text, what: &str) -> PathBuf {
        let found = self.path(path);
        if !found.exists() {
            self.error(path.span(), format!("{what} {} does not exist", found.display()), "no such file or folder");
        }
        found
    }

    /// A whole number within bounds.
    pub fn number(&mut self, value: Option<&Spanned<i64>>, default: i64, bounds: std::ops::RangeInclusive<i64>) -> i64 {
        let Some(value) = value else { return default };
        if bounds.contains(value.get_ref()) {
            return *value.get_ref();
        }
        let label = format!("expected {} to {}", bounds.start(), bounds.end());
        self.error(value.span(), format!("{} is out of bounds", value.get_ref()), label);
        default
    }

    pub fn count(&mut self, value: Option<&Spanned<i64>>, default: usize) -> usize {
        let default_number = i64::try_from(default).unwrap_or(i64::MAX);
        usize::try_from(self.number(value, default_number, 1..=i64::from(u32::MAX))).unwrap_or(default)
    }

    /// A name that becomes part of topics, groups and transactional ids.
    pub fn name(&mut self, text: &Text, what: &str) -> String {
        let name = self.text(text);
        self.checked_name(name, text.span(), what)
    }

    pub fn checked_name(&mut self, name: String, span: Range<usize>, what: &str) -> String {
        if !is_topic_name(&name) {
            let title = format!("`{name}` cannot be the name of a {what}");
            self.error(span, title, "expected 1 to 249 of a-z, A-Z, 0-9, `.`, `_`, `-`");
        }
        name
    }

    /// A regular expression over a whole name, or anywhere in a text.
    pub fn pattern(&mut self, text: &Text, whole: bool) -> Option<regex::Regex> {
        let pattern = self.text(text);
        let pattern = if whole { format!("^(?:{pattern})$") } else { pattern };
        match regex::Regex::new(&pattern) {
            Ok(regex) => Some(regex),
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.error(text.span(), "not a regular expression", reason);
                None
            }
        }
    }

    /// A bundled name, or a path: with a slash, or ending in `.wasm`. Where `NAME-KIND` is bundled, `NAME` means it.
    pub fn component(&mut self, text: &Text, kind: &str) -> ComponentRef {
        let name = self.text(text);
        if name.starts_with("oci://") {
            self.error(
                text.span(),
                "oci:// references are not supported yet",
                "expected a bundled name or a path to a .wasm file",
            );
            return ComponentRef::Bundled(name);
        }
        if name.contains('/') || std::path::Path::new(&name).extension().is_some_and(|e| e == "wasm") {
            return ComponentRef::Path(self.existing(text, "component"));
        }
        if let Some(bundled) = self.bundled
            && !bundled.contains(&name)
            && !bundled.contains(&format!("{name}-{kind}"))
        {
            let help = suggest(&name, "component", bundled.iter().map(String::as_str));
            let label = "no bundled component has this name; a path has a slash or ends in .wasm";
            self.push(Diagnostic::error(text.span(), format!("unknown component `{name}`")).label(label).help(help));
        }
        ComponentRef::Bundled(name)
    }

    /// JSON of a free value, without secrets; `section` says where those belong.
    pub fn json(&mut self, node: &Node, span: &Range<usize>, section: &'static str) -> serde_json::Value {
        match node {
            Node::Text(text) => match self.values.whole(text).cloned() {
                Some(Node::Text(text)) => text.into(),
                Some(value) => self.json(&value, span, section),
                None => self.text_or(text, span, section).into(),
            },
            Node::Int(value) => (*value).into(),
            Node::Float(value) => (*value).into(),
            Node::Bool(value) => (*value).into(),
            Node::Array(items) => items.iter().map(|item| self.json(item.get_ref(), &item.span(), section)).collect(),
            Node::Table(entries) => {
                let fields = entries.0.iter();
                fields.map(|(key, value)| (key.get_ref().clone(), self.json(value.get_ref(), &value.span(), section))).collect()
            }
        }
    }

    /// The text of a property's value: numbers and booleans too, as librdkafka takes texts.
    pub fn scalar(&mut self, value: &Spanned<Node>) -> Option<Text> {
        let text = match value.get_ref() {
            Node::Text(text) => text.clone(),
            Node::Int(number) => number.to_string(),
            Node::Float(number) => number.to_string(),
            Node::Bool(value) => value.to_string(),
            Node::Array(_) | Node::Table(_) => {
                let label = "expected a string, a number or a boolean; a list is one string with commas";
                self.error(value.span(), format!("wrong type: {}", value.get_ref().kind()), label);
                return None;
            }
        };
        Some(Spanned::new(value.span(), text))
    }
}
