//! From text to [`raw::File`], with every finding that TOML itself and the keys give: after each one the faulty entry is taken
//! out and the rest is read again, so that one pass of the user's shows all. Knows no rule of the configuration.

use std::ops::Range;

use serde::Deserialize;
use toml::de::{DeArray, DeTable, DeValue};

use super::diagnostic::{Diagnostic, nearest};
use super::raw;

/// More findings than this help nobody.
const MOST: usize = 50;

/// How credentials are written.
const OF_A_HOST: &str =
    "credentials are those of a host, which is quoted: auth.\"erp.example.com\" = { bearer = \"${env:TOKEN}\" }";

/// What a read gave.
#[derive(Debug)]
pub struct Document {
    /// `None`: not even the rest could be read.
    pub file: Option<raw::File>,
    pub findings: Vec<Diagnostic>,
    /// Entries taken out: the span of their table and the key that was written or probably meant.
    pub removed: Vec<(Range<usize>, String)>,
}

/// Reads a configuration.
pub fn read(text: &str) -> Document {
    let (mut root, syntax) = DeTable::parse_recoverable(text);
    if !syntax.is_empty() {
        let findings = syntax.iter().take(MOST).map(|error| explain_syntax(error, text)).collect();
        return Document { file: None, findings, removed: Vec::new() };
    }
    dates_to_text(root.get_mut());
    let mut document = Document { file: None, findings: Vec::new(), removed: Vec::new() };
    while document.findings.len() < MOST {
        let error = match raw::File::deserialize(toml::de::Deserializer::from(root.clone())) {
            Ok(file) => {
                document.file = Some(file);
                break;
            }
            Err(error) => error,
        };
        let span = error.span().unwrap_or(0..0);
        let whole = root.span();
        let removed = remove(root.get_mut(), &whole, &span);
        let (diagnostic, meant) = explain(error.message(), span, removed.as_ref().map(|(_, key)| key.as_str()));
        document.findings.push(diagnostic);
        let Some((table, key)) = removed else { break };
        document.removed.extend(meant.map(|meant| (table.clone(), meant)));
        document.removed.push((table, key));
    }
    document
}

fn explain_syntax(error: &toml::de::Error, text: &str) -> Diagnostic {
    let span = error.span().unwrap_or(text.len()..text.len());
    let (title, expected) = error.message().split_once(", expected ").unwrap_or((error.message(), ""));
    let label = if expected.is_empty() { String::new() } else { format!("expected {expected}") };
    let help = title
        .contains("extend")
        .then(|| "a property whose name begins with another's is quoted: \"group.protocol.type\" = \"…\"".to_owned());
    Diagnostic::error(span, format!("not TOML: {title}")).label(label).maybe_help(help)
}

/// A date stands for its text everywhere.
fn dates_to_text(table: &mut DeTable<'_>) {
    for (_, value) in table.iter_mut() {
        date_to_text(value.get_mut());
    }
}

fn date_to_text(value: &mut DeValue<'_>) {
    match value {
        DeValue::Datetime(date) => *value = DeValue::String(date.to_string().into()),
        DeValue::Array(items) => items.iter_mut().for_each(|item| date_to_text(item.get_mut())),
        DeValue::Table(table) => dates_to_text(table),
        _ => {}
    }
}

/// Takes out the entry whose key or value stands at `span`, else the smallest one around it; answers its table and key.
fn remove(table: &mut DeTable<'_>, whole: &Range<usize>, span: &Range<usize>) -> Option<(Range<usize>, String)> {
    let exact = table.iter().find(|(key, value)| key.span() == *span || value.span() == *span).map(|(key, _)| key.clone());
    if let Some(key) = exact {
        table.remove(&key);
        return Some((whole.clone(), key.into_inner().into_owned()));
    }
    for (_, value) in table.iter_mut() {
        let at = value.span();
        match value.get_mut() {
            DeValue::Table(inner) => {
                if let Some(removed) = remove(inner, &at, span) {
                    return Some(removed);
                }
            }
            DeValue::Array(items) => {
                if let Some(index) = items.iter().position(|item| item.span() == *span) {
                    let rest = std::mem::replace(items, DeArray::new()).into_iter().enumerate().filter(|(at, _)| *at != index);
                    *items = rest.map(|(_, item)| item).collect();
                    return Some((at, String::new()));
                }
                for item in items.iter_mut() {
                    let at = item.span();
                    if let DeValue::Table(inner) = item.get_mut()
                        && let Some(removed) = remove(inner, &at, span)
                    {
                        return Some(removed);
                    }
                }
            }
            _ => {}
        }
    }
    None
}

/// Turns serde's words into a finding; the second answer is the key that was probably meant.
fn explain(message: &str, span: Range<usize>, key: Option<&str>) -> (Diagnostic, Option<String>) {
    if let Some((written, valid)) = unknown(message, "unknown field ") {
        let meant = nearest(written, valid.iter().copied()).map(str::to_owned);
        let help = meant.as_ref().map(|name| format!("did you mean `{name}`?")).or_else(|| quoting(&valid));
        let diagnostic = Diagnostic::error(span, format!("unknown key `{written}`")).label(one_of(&valid)).maybe_help(help);
        return (diagnostic, meant);
    }
    if let Some((written, valid)) = unknown(message, "unknown variant ") {
        let help = nearest(written, valid.iter().copied()).map(|name| format!("did you mean `{name}`?"));
        let constant = valid.contains(&"constant").then(|| format!("a constant is written {{ constant = \"{written}\" }}"));
        let diagnostic = Diagnostic::error(span, format!("unknown value `{written}`")).label(one_of(&valid));
        return (diagnostic.maybe_help(help.or(constant)), None);
    }
    if message.ends_with("expected struct Auth") {
        // Not what stands there: it is a secret.
        let diagnostic =
            Diagnostic::error(span.start..span.start, "credentials without a host").label("expected a table for a host");
        return (diagnostic.help(OF_A_HOST).cut(), None);
    }
    let (title, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    let title = title.replace("invalid type: ", "wrong type: ").replace("map", "table").replace("sequence", "array");
    let expected = expected.replace("a map", "a table").replace("a sequence", "an array").replace("i64", "an integer");
    let label = if expected.is_empty() { String::new() } else { format!("expected {expected}") };
    let brackets = matches!(key, Some("source" | "sink" | "transform")) && title.contains("table");
    let help = brackets.then(|| format!("write [[{}]] with two brackets: there can be several", key.unwrap_or_default()));
    (Diagnostic::error(span, title).label(label).maybe_help(help), None)
}

fn unknown<'m>(message: &'m str, prefix: &str) -> Option<(&'m str, Vec<&'m str>)> {
    let mut quoted = message.strip_prefix(prefix)?.split('`').skip(1).step_by(2);
    Some((quoted.next()?, quoted.collect()))
}

fn one_of(valid: &[&str]) -> String {
    match valid {
        [] => "no key is expected here".to_owned(),
        [one] => format!("expected `{one}`"),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(|name| format!("`{name}`")).collect();
            format!("expected {} or `{last}`", first.join(", "))
        }
    }
}

/// Sections whose own names have dots.
fn quoting(valid: &[&str]) -> Option<String> {
    let example = match valid {
        ["partitions", ..] => "[topic.\"erp.orders\"]",
        ["basic", ..] => return Some(OF_A_HOST.to_owned()),
        _ => return None,
    };
    Some(format!("a name with dots is quoted: {example}"))
}
