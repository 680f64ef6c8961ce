//! JSONPath (RFC 9535) over JSON text: what it selects are pieces of that text, so that no digit and no byte of a record is
//! changed. All of the RFC but functions (`length()`, `match()` …). Owns what a path means; reading it is in `parse.rs`, its
//! filters are in `filter.rs`.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

mod filter;
mod parse;

use filter::Filter;
pub use parse::BadPath;

/// How deep `..` descends.
const DEEPEST: usize = 128;

/// A path that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPath {
    text: String,
    segments: Vec<Segment>,
}

/// A step from nodes to others.
#[derive(Debug, Clone, PartialEq)]
struct Segment {
    /// `..`: of the node and all below it.
    descends: bool,
    selectors: Vec<Selector>,
}

#[derive(Debug, Clone, PartialEq)]
enum Selector {
    Name(String),
    Index(i64),
    All,
    Slice { from: Option<i64>, to: Option<i64>, step: i64 },
    Filter(Filter),
}

impl JsonPath {
    /// # Errors
    /// [`BadPath`], which says where and what was expected.
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        Ok(Self { text: text.to_owned(), segments: parse::path(text)? })
    }

    /// `$`.
    #[must_use]
    pub fn root() -> Self {
        Self { text: "$".to_owned(), segments: Vec::new() }
    }

    /// A field of the outermost object, or below it a field of that one: `$['a']['b']`.
    #[must_use]
    pub fn fields<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        let name = |name: &&str| Segment { descends: false, selectors: vec![Selector::Name((*name).to_owned())] };
        Self { text: names.join("."), segments: names.iter().map(name).collect() }
    }

    /// A path where the text begins with `$`, else the field of that name.
    ///
    /// # Errors
    /// As for [`JsonPath::parse`].
    pub fn path_or_field(text: &str) -> Result<Self, BadPath> {
        if text.starts_with('$') { Self::parse(text) } else { Ok(Self::fields([text])) }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The nodes of `json`, one JSON text, in the order of the RFC.
    ///
    /// # Errors
    /// Where `json` is no JSON.
    pub fn select<'a>(&self, json: &'a str) -> serde_json::Result<Vec<&'a str>> {
        let root: &RawValue = serde_json::from_str(json)?;
        Ok(select(&self.segments, root.get(), root.get()))
    }

    /// The first node, where there is one.
    ///
    /// # Errors
    /// As for [`JsonPath::select`].
    pub fn first<'a>(&self, json: &'a str) -> serde_json::Result<Option<&'a str>> {
        Ok(self.select(json)?.into_iter().next())
    }

    /// The part of the path before its first step that may select several nodes, or none: what has to be there in any answer.
    #[must_use]
    pub fn container(&self) -> Self {
        let single = |segment: &&Segment| segment.is_single();
        let segments: Vec<_> = self.segments.iter().take_while(single).cloned().collect();
        Self { text: self.text.clone(), segments }
    }

    /// The last name of a path to one node: `id` of `$.order.id`.
    #[must_use]
    pub fn last_name(&self) -> Option<&str> {
        match self.segments.last()?.selectors.as_slice() {
            [Selector::Name(name)] if self.is_single() => Some(name),
            _ => None,
        }
    }

    /// Whether it selects at most one node (RFC 9535, 2.3.5.1: a singular query).
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.segments.iter().all(Segment::is_single)
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for JsonPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

impl Segment {
    fn is_single(&self) -> bool {
        !self.descends && matches!(self.selectors.as_slice(), [Selector::Name(_) | Selector::Index(_)])
    }
}

/// `node` and `root` are whole JSON texts that were checked.
fn select<'a>(segments: &[Segment], node: &'a str, root: &'a str) -> Vec<&'a str> {
    let mut nodes = vec![node];
    for segment in segments {
        let mut next = Vec::new();
        for node in nodes {
            if segment.descends {
                descend(segment, node, root, 0, &mut next);
            } else {
                step(segment, node, root, &mut next);
            }
        }
        nodes = next;
    }
    nodes
}

/// The children that a segment selects.
fn step<'a>(segment: &Segment, node: &'a str, root: &'a str, into: &mut Vec<&'a str>) {
    let children = Children::of(node);
    for selector in &segment.selectors {
        children.select(selector, root, into);
    }
}

fn descend<'a>(segment: &Segment, node: &'a str, root: &'a str, depth: usize, into: &mut Vec<&'a str>) {
    step(segment, node, root, into);
    if depth < DEEPEST {
        for child in Children::of(node).values() {
            descend(segment, child, root, depth + 1, into);
        }
    }
}

/// What is directly below a node.
enum Children<'a> {
    Items(Vec<&'a RawValue>),
    Members(Vec<(Name, &'a RawValue)>),
    None,
}

impl<'a> Children<'a> {
    fn of(node: &'a str) -> Self {
        match node.as_bytes().first() {
            Some(b'[') => serde_json::from_str(node).map_or(Self::None, Self::Items),
            Some(b'{') => serde_json::from_str::<Members<'a>>(node).map_or(Self::None, |members| Self::Members(members.0)),
            _ => Self::None,
        }
    }

    fn values(&self) -> Vec<&'a str> {
        match self {
            Self::Items(items) => items.iter().map(|item| item.get()).collect(),
            Self::Members(members) => members.iter().map(|(_, value)| value.get()).collect(),
            Self::None => Vec::new(),
        }
    }

    fn select(&self, selector: &Selector, root: &'a str, into: &mut Vec<&'a str>) {
        match (selector, self) {
            // Of a name that stands twice the last counts, as in the rest of Wharf.
            (Selector::Name(name), Self::Members(members)) => {
                into.extend(members.iter().rev().find(|(known, _)| known.0.as_ref() == Some(name)).map(|(_, value)| value.get()));
            }
            (Selector::Index(index), Self::Items(items)) => {
                let found = place(*index, items.len()).and_then(|at| items.get(at));
                into.extend(found.map(|item| item.get()));
            }
            (Selector::Slice { from, to, step }, Self::Items(items)) => {
                let places = slice(*from, *to, *step, items.len());
                into.extend(places.into_iter().filter_map(|at| items.get(at)).map(|item| item.get()));
            }
            (Selector::All, _) => into.extend(self.values()),
            (Selector::Filter(filter), _) => into.extend(self.values().into_iter().filter(|node| filter.holds(node, root))),
            _ => {}
        }
    }
}

/// A negative index counts from the end.
fn place(index: i64, len: usize) -> Option<usize> {
    let from_end = usize::try_from(index.unsigned_abs()).ok()?;
    if index < 0 { len.checked_sub(from_end) } else { Some(from_end) }
}

/// RFC 9535, 2.3.4.2.2.
fn slice(from: Option<i64>, to: Option<i64>, step: i64, len: usize) -> Vec<usize> {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let normal = |at: i64| if at < 0 { at.saturating_add(len) } else { at };
    let (from, to) =
        if step >= 0 { (from.unwrap_or(0), to.unwrap_or(len)) } else { (from.unwrap_or(len - 1), to.unwrap_or(-len - 1)) };
    let (low, high) = if step >= 0 { (0, len) } else { (-1, len - 1) };
    let (mut at, end) = (normal(from).clamp(low, high), normal(to).clamp(low, high));
    let mut places = Vec::new();
    while step > 0 && at < end || step < 0 && at > end {
        places.extend(usize::try_from(at));
        at = at.saturating_add(step);
    }
    places
}

/// The name of a member; `None` where it is no text, as it has half of a character (a lone surrogate): no path names it.
struct Name(Option<String>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_bytes<E>(self, name: &[u8]) -> Result<Name, E> {
                Ok(Name(String::from_utf8(name.to_vec()).ok()))
            }
        }
        deserializer.deserialize_bytes(Text)
    }
}

/// The members of an object, in their order.
struct Members<'a>(Vec<(Name, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = object.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests;
