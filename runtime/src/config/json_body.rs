//! `auth."HOST".json-body`: a secret that stands inside the JSON body of certain requests. Owns its syntax; which request is one of
//! them, and what its body becomes, is `capability::http`'s.

use std::fmt;

use toml::Spanned;

use super::checker::Checker;
use super::node::{Entries, Text};
use super::{JsonBody, Pointer, raw};

/// Why a text is no pointer (RFC 6901) to a part of a document.
pub const POINTER: &str = "expected /name or /name/0/…, with ~1 for a slash in a name and ~0 for ~ (RFC 6901)";

impl Pointer {
    /// Reads RFC 6901's text form. `None`: it is none, or the one of the whole document.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let tokens = text.strip_prefix('/')?.split('/').map(token).collect::<Option<_>>()?;
        Some(Self(tokens))
    }

    /// Names of members, and places in arrays, from the document inwards.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether one of the two is the other, or leads to a part of it.
    fn overlaps(&self, other: &Self) -> bool {
        self.tokens().zip(other.tokens()).all(|(a, b)| a == b)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tokens().try_for_each(|token| write!(f, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

fn token(written: &str) -> Option<String> {
    let valid = written.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    valid.then(|| written.replace("~1", "/").replace("~0", "~"))
}

/// The validated section; `None` where it has errors.
pub fn json_body(checker: &mut Checker<'_>, raw: &Spanned<raw::JsonBody>) -> Option<JsonBody> {
    let (span, raw) = (raw.span(), raw.get_ref());
    let value = checker.required(raw.value.as_ref(), "value", &span).map(|text| checker.secret(text));
    let path = checker.required(raw.path.as_ref(), "path", &span).and_then(|text| path(checker, text));
    let pointer = checker.required(raw.pointer.as_ref(), "pointer", &span).and_then(|text| pointer(checker, text));
    let only = checker.required(raw.only.as_ref(), "only", &span).and_then(|table| only(checker, table, pointer.as_ref()));
    Some(JsonBody { path: path?, pointer: pointer?, value: value?, only: only? })
}

fn path(checker: &mut Checker<'_>, text: &Text) -> Option<String> {
    let path = checker.text(text);
    let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
    if !is_path {
        let label = "expected /name: it is compared as it is, without a query";
        checker.error(text.span(), format!("`{path}` is not a path"), label);
    }
    is_path.then_some(path)
}

fn pointer(checker: &mut Checker<'_>, text: &Text) -> Option<Pointer> {
    let written = checker.text(text);
    let pointer = Pointer::parse(&written);
    if pointer.is_none() {
        checker.error(text.span(), format!("`{written}` is not a pointer"), POINTER);
    }
    pointer
}

/// What texts must stand where.
fn only(
    checker: &mut Checker<'_>,
    raw: &Spanned<Entries<Vec<Text>>>,
    secret: Option<&Pointer>,
) -> Option<Vec<(Pointer, Vec<String>)>> {
    let mut only = Vec::new();
    if raw.get_ref().0.is_empty() {
        let label = "expected what else the body has to say, as { \"/params/service\" = [\"object\"] }";
        checker.error(raw.span(), "`only` is empty: the secret would stand in any request to this path", label);
    }
    for (place, texts) in &raw.get_ref().0 {
        let values: Vec<String> = texts.iter().map(|text| checker.text(text)).collect();
        if values.is_empty() {
            checker.error(place.span(), "no text is allowed here, so no request would be", "expected a list of texts");
        }
        let Some(pointer) = pointer(checker, place) else { continue };
        if secret.is_some_and(|secret| secret.overlaps(&pointer)) {
            checker.error(place.span(), "the secret stands at this place, or within it", "expected the place of another value");
        }
        only.push((pointer, values));
    }
    (only.len() == raw.get_ref().0.len()).then_some(only)
}
