//! Logical types in envelopes: numbers and base64 that a schema calls a decimal, date or time become the plain JSON that
//! guests know (decimal: string; time: RFC 3339 UTC with microseconds; date: `YYYY-MM-DD`). Owns the names by Connect and Debezium.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{Span, Timestamp, civil};
use serde_json::Value;

use crate::outcome::Rejection;
use crate::transform::field;

/// What to convert in the payloads of one schema.
#[derive(Debug, Default)]
pub struct Plan(Option<Node>);

#[derive(Debug)]
enum Node {
    Leaf(Kind),
    Items(Box<Node>),
    /// A map's values: of an object, or of pairs where its keys are no texts.
    Values(Box<Node>),
    Fields(Vec<(String, Node)>),
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Two's complement, big endian, base64; digits after the point, below zero: zeros to add. `None`: the schema doesn't say.
    Decimal(Option<i32>),
    /// Days since 1970-01-01.
    Date,
    /// Units of a second since 1970-01-01T00:00:00Z: how many in a second.
    Instant(i64),
}

impl Plan {
    /// What the schema asks for; a schema of no logical types asks for nothing.
    #[must_use]
    pub fn of(schema: &Value) -> Self {
        Self(node(schema))
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Converts a payload.
    ///
    /// # Errors
    /// `envelope.logical` with the field whose value isn't what its schema says.
    pub fn apply(&self, payload: &mut Value) -> Result<(), Rejection> {
        self.0.as_ref().map_or(Ok(()), |node| node.apply(payload))
    }
}

fn node(schema: &Value) -> Option<Node> {
    if let Some(kind) = schema.get("name").and_then(Value::as_str).and_then(|name| kind(name, schema)) {
        return Some(Node::Leaf(kind));
    }
    match schema.get("type")?.as_str()? {
        "array" => Some(Node::Items(Box::new(node(schema.get("items")?)?))),
        "map" => Some(Node::Values(Box::new(node(schema.get("values")?)?))),
        "struct" => {
            let fields = schema.get("fields")?.as_array()?.iter();
            let fields: Vec<_> = fields.filter_map(|f| Some((f.get("field")?.as_str()?.to_owned(), node(f)?))).collect();
            (!fields.is_empty()).then_some(Node::Fields(fields))
        }
        _ => None,
    }
}

fn kind(name: &str, schema: &Value) -> Option<Kind> {
    Some(match name {
        "org.apache.kafka.connect.data.Decimal" => {
            let scale = schema.pointer("/parameters/scale").and_then(Value::as_str).and_then(|s| s.parse().ok());
            Kind::Decimal(scale.filter(|s: &i32| s.abs() <= 400))
        }
        "org.apache.kafka.connect.data.Date" | "io.debezium.time.Date" => Kind::Date,
        "org.apache.kafka.connect.data.Timestamp" | "io.debezium.time.Timestamp" => Kind::Instant(1_000),
        "io.debezium.time.MicroTimestamp" => Kind::Instant(1_000_000),
        "io.debezium.time.NanoTimestamp" => Kind::Instant(1_000_000_000),
        _ => return None,
    })
}

impl Node {
    fn apply(&self, value: &mut Value) -> Result<(), Rejection> {
        match (self, &mut *value) {
            (_, Value::Null) => Ok(()),
            (Self::Items(item), Value::Array(elements)) => each(elements.iter_mut(), item),
            (Self::Values(node), Value::Array(pairs)) => each(pairs.iter_mut().filter_map(|pair| pair.get_mut(1)), node),
            (Self::Values(node), Value::Object(members)) => {
                members.iter_mut().try_for_each(|(name, v)| node.apply(v).map_err(|r| field::under(name, r)))
            }
            (Self::Fields(fields), Value::Object(members)) => {
                for (name, node) in fields {
                    if let Some(member) = members.get_mut(name) {
                        node.apply(member).map_err(|r| field::under(name, r))?;
                    }
                }
                Ok(())
            }
            (Self::Leaf(kind), _) => {
                let converted = kind.convert(value).ok_or_else(|| wrong(value))?;
                *value = Value::String(converted);
                Ok(())
            }
            (Self::Items(_) | Self::Values(_) | Self::Fields(_), other) => Err(wrong(other)),
        }
    }
}

fn each<'v>(elements: impl Iterator<Item = &'v mut Value>, node: &Node) -> Result<(), Rejection> {
    elements.enumerate().try_for_each(|(at, e)| node.apply(e).map_err(|r| field::under(&at.to_string(), r)))
}

fn wrong(value: &Value) -> Rejection {
    Rejection::new("envelope.logical", format!("the field holds {}, which is not what its schema says", field::kind(value)))
}

impl Kind {
    fn convert(self, value: &Value) -> Option<String> {
        match self {
            Self::Decimal(scale) => match value {
                Value::String(base64) => decimal(&STANDARD.decode(base64).ok()?, scale?),
                // Connect's `decimal.format=NUMERIC`.
                Value::Number(n) => Some(n.as_str().to_owned()),
                _ => None,
            },
            Self::Date => {
                let days = Span::new().try_days(value.as_i64()?).ok()?;
                civil::date(1970, 1, 1).checked_add(days).ok().map(|d| d.to_string())
            }
            Self::Instant(per_second) => {
                let nanos = i128::from(value.as_i64()?) * (1_000_000_000 / i128::from(per_second));
                Timestamp::from_nanosecond(nanos).ok().map(|t| format!("{t:.6}"))
            }
        }
    }
}

/// Plain digits of a two's complement number of at most 16 bytes (38 digits, as databases have).
fn decimal(bytes: &[u8], scale: i32) -> Option<String> {
    let first = bytes.first()?;
    if bytes.len() > 16 {
        return None;
    }
    let start: i128 = if *first >= 0x80 { -1 } else { 0 };
    let unscaled = bytes.iter().fold(start, |n, byte| (n << 8) | i128::from(*byte));
    let sign = if unscaled < 0 { "-" } else { "" };
    let whole = unscaled.unsigned_abs().to_string();
    let Ok(scale) = usize::try_from(scale) else {
        let zeros = if unscaled == 0 { 0 } else { usize::try_from(scale.unsigned_abs()).ok()? };
        return Some(format!("{sign}{whole}{}", "0".repeat(zeros)));
    };
    let digits = format!("{whole:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at_checked(digits.len() - scale)?;
    Some(if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}
