//! Validated transforms: what a step is told, as the core works with it. `transform.rs` makes them out of raw TOML.

use super::ComponentRef;
use crate::capability::secret::Secret;

/// One transform, with its predicate.
#[derive(Debug, Clone)]
pub struct TransformConfig {
    pub when: Option<Predicate>,
    pub step: TransformStep,
}

/// Exactly one predicate, possibly negated. Fields are JSON pointers or dotted paths into the value.
#[derive(Debug, Clone)]
pub enum Predicate {
    FieldEquals {
        field: FieldPath,
        value: serde_json::Value,
    },
    FieldMatches {
        field: FieldPath,
        pattern: regex::Regex,
    },
    FieldExists(FieldPath),
    /// The whole topic name matches.
    Topic(regex::Regex),
    Header {
        name: String,
        value: Option<String>,
    },
    Tombstone,
    Not(Box<Predicate>),
    All(Vec<Predicate>),
}

/// A field of the value: names from the outside in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldPath(pub Vec<String>);

#[derive(Debug, Clone)]
pub enum TransformStep {
    /// From, to.
    Rename(Vec<(FieldPath, FieldPath)>),
    /// From, to.
    Copy(Vec<(FieldPath, FieldPath)>),
    Keep(Vec<FieldPath>),
    Drop(Vec<FieldPath>),
    Mask {
        fields: Vec<FieldPath>,
        how: MaskHow,
    },
    Cast(Vec<(FieldPath, CastTo)>),
    Set(Vec<(FieldPath, SetFrom)>),
    Flatten {
        separator: String,
    },
    Key(Vec<FieldPath>),
    Route(Route),
    /// Keep only records for which the predicate holds.
    Filter(Predicate),
    Component {
        component: ComponentRef,
        config: serde_json::Value,
    },
}

#[derive(Debug, Clone)]
pub enum MaskHow {
    Redact {
        with: String,
    },
    /// Hex SHA-256 HMAC of the value with the salt.
    Hash {
        salt: Secret,
    },
    /// Keep the last n characters, stars before.
    Last(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CastTo {
    Text,
    Int,
    Float,
    Decimal,
    Bool,
    /// RFC 3339 UTC with microseconds, from epoch milliseconds or text.
    Timestamp,
    Json,
}

#[derive(Debug, Clone, PartialEq)]
pub enum SetFrom {
    Constant(serde_json::Value),
    Timestamp,
    Header(String),
    Topic,
    Partition,
    Offset,
}

#[derive(Debug, Clone)]
pub enum Route {
    /// The field's text becomes the topic; `{}` in the template stands for it.
    Field { field: FieldPath, template: String },
    /// Whole-name match on the topic; the replacement may use `$1`.
    Regex { pattern: regex::Regex, replacement: String },
    /// Always this topic (with `when`).
    To(String),
}
