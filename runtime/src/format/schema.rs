//! Connect's JSON schema, inferred from a value. Owns the inference; every field is optional, as one record can't show
//! that another lacks it.

use serde_json::{Map, Value, json};

use crate::outcome::Rejection;
use crate::transform::field;

/// What a value shows of its type.
#[derive(Debug, Clone, PartialEq)]
enum Shape {
    /// Only null seen.
    Unknown,
    Scalar(&'static str),
    Array(Box<Shape>),
    Struct(Vec<(String, Shape)>),
}

/// The schema of a value: struct, array, string, int64, double, boolean; what is only ever null counts as a string.
///
/// # Errors
/// `envelope.integer` for a whole number above 64 bits, `envelope.array` for elements of different types: Connect has no
/// schema for them.
pub fn infer(value: &Value) -> Result<Value, Rejection> {
    Ok(written(&shape(value)?))
}

fn shape(value: &Value) -> Result<Shape, Rejection> {
    Ok(match value {
        Value::Null => Shape::Unknown,
        Value::Bool(_) => Shape::Scalar("boolean"),
        Value::String(_) => Shape::Scalar("string"),
        Value::Number(n) if n.is_i64() => Shape::Scalar("int64"),
        Value::Number(n) if n.as_str().bytes().any(|b| matches!(b, b'.' | b'e' | b'E')) => Shape::Scalar("double"),
        Value::Number(_) => {
            let message =
                "a whole number needs more than 64 bits, which Connect's JSON has no type for; make it a text with `cast`";
            return Err(Rejection { field: Some(String::new()), ..Rejection::new("envelope.integer", message) });
        }
        Value::Array(elements) => {
            let shapes = elements.iter().map(shape).collect::<Result<Vec<_>, _>>()?;
            Shape::Array(Box::new(shapes.into_iter().try_fold(Shape::Unknown, merged)?))
        }
        Value::Object(members) => {
            let members = members.iter().map(|(name, v)| Ok((name.clone(), shape(v).map_err(|r| field::under(name, r))?)));
            Shape::Struct(members.collect::<Result<_, Rejection>>()?)
        }
    })
}

/// The shape that both fit into.
fn merged(a: Shape, b: Shape) -> Result<Shape, Rejection> {
    Ok(match (a, b) {
        (Shape::Unknown, known) | (known, Shape::Unknown) => known,
        (Shape::Scalar("int64" | "double"), Shape::Scalar("double")) | (Shape::Scalar("double"), Shape::Scalar("int64")) => {
            Shape::Scalar("double")
        }
        (Shape::Array(a), Shape::Array(b)) => Shape::Array(Box::new(merged(*a, *b)?)),
        (Shape::Struct(mut a), Shape::Struct(b)) => {
            for (name, shape) in b {
                match a.iter_mut().find(|(n, _)| *n == name) {
                    Some((_, known)) => *known = merged(std::mem::replace(known, Shape::Unknown), shape)?,
                    None => a.push((name, shape)),
                }
            }
            Shape::Struct(a)
        }
        (a, b) if a == b => a,
        _ => {
            let message = "an array holds elements of different types, which Connect's JSON has no schema for";
            return Err(Rejection::new("envelope.array", message));
        }
    })
}

fn written(shape: &Shape) -> Value {
    match shape {
        Shape::Unknown => json!({ "type": "string", "optional": true }),
        Shape::Scalar(name) => json!({ "type": name, "optional": true }),
        Shape::Array(items) => json!({ "type": "array", "items": written(items), "optional": true }),
        Shape::Struct(members) => {
            let fields = members.iter().map(|(name, shape)| {
                let mut field = Map::new();
                field.insert("field".to_owned(), Value::String(name.clone()));
                if let Value::Object(rest) = written(shape) {
                    field.extend(rest);
                }
                Value::Object(field)
            });
            json!({ "type": "struct", "fields": fields.collect::<Vec<_>>(), "optional": true })
        }
    }
}
