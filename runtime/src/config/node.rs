//! TOML values of free shape that keep their places: `config`, `[kafka]`, constants. Owns the conversion to JSON's types;
//! resolves no references.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

/// A text with its place.
pub type Text = Spanned<String>;

/// A TOML value; dates have become texts before (`document.rs`).
#[derive(Debug, Clone)]
pub enum Node {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Array(Vec<Spanned<Self>>),
    Table(Entries<Spanned<Self>>),
}

/// A table in the order in which it was written.
#[derive(Debug, Clone)]
pub struct Entries<T>(pub Vec<(Text, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// One value, or several in an array.
#[derive(Debug, Clone)]
pub struct OneOrMany(pub Vec<Text>);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        i64::try_from(value).map(Node::Int).map_err(|_| E::custom("the number is larger than 9223372036854775807"))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        if value.is_finite() { Ok(Node::Float(value)) } else { Err(E::custom("JSON has no such number")) }
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Table(Entries(entries)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Spanned::<Node>::deserialize(deserializer)?;
        let span = node.span();
        let wrong =
            |found: &Node| D::Error::custom(format!("invalid type: {}, expected a string or an array of strings", found.kind()));
        match node.into_inner() {
            Node::Text(text) => Ok(Self(vec![Spanned::new(span, text)])),
            Node::Array(items) => items
                .into_iter()
                .map(|item| {
                    let span = item.span();
                    match item.into_inner() {
                        Node::Text(text) => Ok(Spanned::new(span, text)),
                        other => Err(wrong(&other)),
                    }
                })
                .collect::<Result<_, _>>()
                .map(Self),
            other => Err(wrong(&other)),
        }
    }
}

impl Node {
    /// What a person calls it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Int(_) => "integer",
            Self::Float(_) => "floating point number",
            Self::Bool(_) => "boolean",
            Self::Array(_) => "array",
            Self::Table(_) => "table",
        }
    }
}

/// A leaf of a table whose dotted keys are one name: librdkafka's and Kafka's properties.
pub struct Property {
    pub name: String,
    pub key: Range<usize>,
    pub value: Spanned<Node>,
}

/// The leaves of nested tables, with dots between the names: `bootstrap.servers = …` is one property, not a table.
#[must_use]
pub fn properties(entries: &Entries<Spanned<Node>>) -> Vec<Property> {
    let mut found = Vec::new();
    collect(entries, "", &mut found);
    found
}

fn collect(entries: &Entries<Spanned<Node>>, prefix: &str, found: &mut Vec<Property>) {
    for (key, value) in &entries.0 {
        let name = if prefix.is_empty() { key.get_ref().clone() } else { format!("{prefix}.{}", key.get_ref()) };
        match value.get_ref() {
            Node::Table(inner) => collect(inner, &name, found),
            _ => found.push(Property { name, key: key.span(), value: value.clone() }),
        }
    }
}
