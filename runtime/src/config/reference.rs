//! References in values: `${var:X}` everywhere, `${env:X}` and `${file:…}` only where secrets may stand. Owns who may read
//! what; the secrets it finds go straight into [`Secret`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use crate::capability::secret::{self, Piece, Secret};

use super::diagnostic::suggest;
use super::node::Node;

/// Where plain and secret values come from.
pub struct Values<'a> {
    pub vars: BTreeMap<String, Node>,
    /// Reads an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<std::ffi::OsString>,
    /// Relative files start here.
    pub base_dir: &'a Path,
}

impl fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values").field("vars", &self.vars).field("base_dir", &self.base_dir).finish_non_exhaustive()
    }
}

/// A reference that cannot be resolved: title and help.
#[derive(Debug, PartialEq, Eq)]
pub struct Unresolved {
    pub title: String,
    pub help: String,
}

fn unresolved(title: impl Into<String>, help: impl Into<String>) -> Unresolved {
    Unresolved { title: title.into(), help: help.into() }
}

fn plain(text: &str) -> Piece {
    Piece { text: text.to_owned(), file: None }
}

/// What may stand in a value.
#[derive(Debug, Clone, Copy)]
pub enum Allowed {
    /// `${env:}`, `${file:}` and `${var:}`.
    Secrets,
    /// `${var:}` only; the text says where a secret belongs instead.
    Plain(&'static str),
}

impl Values<'_> {
    /// A value that may hold secrets, and knows the files that they are from.
    pub fn secret(&self, text: &str) -> Result<Secret, Unresolved> {
        self.pieces(text, Allowed::Secrets).map(Secret::of)
    }

    /// Replaces every reference. `$${` is a plain `${`.
    pub fn resolve(&self, text: &str, allowed: Allowed) -> Result<String, Unresolved> {
        Ok(self.pieces(text, allowed)?.into_iter().map(|piece| piece.text).collect())
    }

    fn pieces(&self, text: &str, allowed: Allowed) -> Result<Vec<Piece>, Unresolved> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (head, tail) = rest.split_at(at);
            let tail = tail.get(2..).unwrap_or_default();
            if let Some(head) = head.strip_suffix('$') {
                pieces.extend([plain(head), plain("${")]);
                rest = tail;
                continue;
            }
            pieces.push(plain(head));
            let Some((reference, after)) = tail.split_once('}') else {
                return Err(unresolved("a reference is not closed", "write ${env:NAME}, or $${ for a plain ${"));
            };
            pieces.push(self.one(reference, allowed)?);
            rest = after;
        }
        pieces.push(plain(rest));
        Ok(pieces)
    }

    /// The variable when the whole text is one reference: it keeps its type.
    #[must_use]
    pub fn whole(&self, text: &str) -> Option<&Node> {
        self.vars.get(text.strip_prefix("${var:")?.strip_suffix('}')?)
    }

    fn one(&self, reference: &str, allowed: Allowed) -> Result<Piece, Unresolved> {
        let kinds = "write ${var:NAME}, ${env:NAME} or ${file:/path}; $${ is a plain ${";
        let Some((kind, name)) = reference.split_once(':') else {
            return Err(unresolved(format!("`${{{reference}}}` has no kind"), kinds));
        };
        match (kind, allowed) {
            ("var", _) => self.var(name).map(|text| plain(&text)),
            ("env" | "file", Allowed::Plain(section)) => {
                Err(unresolved(format!("a secret (`${{{reference}}}`) cannot stand here"), section))
            }
            ("env", Allowed::Secrets) => match (self.env)(name).map(std::ffi::OsString::into_string) {
                Some(Ok(value)) => Ok(plain(&value)),
                Some(Err(_)) => Err(unresolved(format!("environment variable `{name}` is not UTF-8"), "set it to a text")),
                None => Err(unresolved(format!("environment variable `{name}` is not set"), format!("set it: export {name}=…"))),
            },
            ("file", Allowed::Secrets) => {
                let path = self.base_dir.join(name);
                let text = secret::read(&path).map_err(|error| {
                    unresolved(
                        format!("cannot read the secret file {}: {error}", path.display()),
                        "create it, or correct the path",
                    )
                })?;
                Ok(Piece { text, file: Some(path) })
            }
            _ => Err(unresolved(format!("unknown kind of reference `{kind}`"), kinds)),
        }
    }

    fn var(&self, name: &str) -> Result<String, Unresolved> {
        match self.vars.get(name) {
            Some(Node::Text(text)) => Ok(text.clone()),
            Some(Node::Int(value)) => Ok(value.to_string()),
            Some(Node::Float(value)) => Ok(value.to_string()),
            Some(Node::Bool(value)) => Ok(value.to_string()),
            Some(Node::Array(_) | Node::Table(_)) => {
                Err(unresolved(format!("`{name}` is not a plain value"), "only a whole value can be an array or a table"))
            }
            None => Err(unresolved(
                format!("`{name}` is not in [vars]"),
                suggest(name, "[vars]", self.vars.keys().map(String::as_str)),
            )),
        }
    }
}
