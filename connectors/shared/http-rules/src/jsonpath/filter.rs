//! Filters of a path, `[?@.state == 'open']`: RFC 9535, 2.3.5, without functions.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Segment, select};
use crate::decimal;

/// A condition on a node.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filter {
    Any(Vec<Filter>),
    All(Vec<Filter>),
    Not(Box<Filter>),
    /// The query selects something.
    Exists(Query),
    Compare(Operand, Operator, Operand),
}

/// `@…` or `$…`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Query {
    pub(super) from_root: bool,
    pub(super) segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Literal(Value),
    /// At most one node.
    Query(Query),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Filter {
    pub(super) fn holds(&self, node: &str, root: &str) -> bool {
        match self {
            Self::Any(filters) => filters.iter().any(|filter| filter.holds(node, root)),
            Self::All(filters) => filters.iter().all(|filter| filter.holds(node, root)),
            Self::Not(filter) => !filter.holds(node, root),
            Self::Exists(query) => !query.select(node, root).is_empty(),
            Self::Compare(left, operator, right) => operator.holds(left.value(node, root), right.value(node, root)),
        }
    }
}

impl Query {
    fn select<'a>(&self, node: &'a str, root: &'a str) -> Vec<&'a str> {
        select(&self.segments, if self.from_root { root } else { node }, root)
    }
}

impl Operand {
    /// `None`: nothing is there.
    fn value(&self, node: &str, root: &str) -> Option<Value> {
        match self {
            Self::Literal(value) => Some(value.clone()),
            Self::Query(query) => serde_json::from_str(query.select(node, root).first()?).ok(),
        }
    }
}

impl Operator {
    fn holds(self, left: Option<Value>, right: Option<Value>) -> bool {
        let same = match (&left, &right) {
            (None, None) => true,
            (Some(left), Some(right)) => equal(left, right),
            _ => false,
        };
        let order = left.zip(right).and_then(|(left, right)| order(&left, &right));
        match self {
            Self::Equal => same,
            Self::NotEqual => !same,
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => same || order == Some(Ordering::Less),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => same || order == Some(Ordering::Greater),
        }
    }
}

fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(_), Value::Number(_)) => order(left, right) == Some(Ordering::Equal),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same = |(name, value): (&String, &Value)| right.get(name).is_some_and(|other| equal(value, other));
            left.len() == right.len() && left.iter().all(same)
        }
        _ => left == right,
    }
}

/// Numbers by what they are, texts by their characters; nothing else has an order.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => Some(decimal::order(&left.to_string(), &right.to_string())),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => None,
    }
}
