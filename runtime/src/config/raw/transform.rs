//! `[[source.transform]]` and `[[sink.transform]]` as written: a struct of options of which exactly one is set (serde's tags
//! would lose the place of an error). Holds no rules.

use serde::Deserialize;
use toml::Spanned;

use crate::config::node::{Entries, Node, OneOrMany, Text};

/// One transform.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Transform {
    pub when: Option<Spanned<Predicate>>,
    pub rename: Option<Entries<Text>>,
    pub copy: Option<Entries<Text>>,
    pub keep: Option<OneOrMany>,
    pub drop: Option<OneOrMany>,
    pub mask: Option<Spanned<Mask>>,
    pub cast: Option<Entries<Cast>>,
    pub set: Option<Entries<Spanned<Set>>>,
    pub flatten: Option<Flatten>,
    pub key: Option<OneOrMany>,
    pub route: Option<Spanned<Route>>,
    pub filter: Option<Spanned<Predicate>>,
    pub component: Option<Text>,
    /// With `component` only.
    pub config: Option<Spanned<Node>>,
}

/// Exactly one of field, topic, header, tombstone, not, all.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Predicate {
    pub field: Option<Text>,
    pub header: Option<Text>,
    /// With `field` or `header`.
    pub equals: Option<Spanned<Node>>,
    /// With `field`.
    pub matches: Option<Text>,
    /// With `field`.
    pub exists: Option<bool>,
    pub topic: Option<Text>,
    pub tombstone: Option<bool>,
    pub not: Option<Box<Spanned<Self>>>,
    pub all: Option<Vec<Spanned<Self>>>,
}

/// Fields, and exactly one way.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mask {
    pub fields: Option<OneOrMany>,
    pub redact: Option<Text>,
    pub hash: Option<Hash>,
    pub last: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hash {
    pub salt: Text,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cast {
    Text,
    Int,
    Float,
    Decimal,
    Bool,
    Timestamp,
    Json,
}

/// `{ constant = … }`, `{ header = "…" }`, or a word.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Set {
    Constant(Spanned<Node>),
    Header(String),
    Timestamp,
    Topic,
    Partition,
    Offset,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flatten {
    pub separator: Option<String>,
}

/// `{ to }`, `{ field, to }` or `{ match, to }`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    pub field: Option<Text>,
    pub r#match: Option<Text>,
    pub to: Option<Text>,
}
