//! Keys of entities: from their properties, and from the id of one that is gone. Owns no types: it is told them.

use serde_json::{Map, Value};

use crate::Version;
use crate::edm::Simple;
use crate::value::primitive;

/// A property of the key, or the cursor, with its type; `None`: no `$metadata` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub simple: Option<Simple>,
}

/// The key of an entity as a JSON object, in the order of its fields.
///
/// # Errors
/// The name of the first property that is missing or null.
pub fn of<'a>(entity: &Map<String, Value>, fields: &'a [Field]) -> Result<Map<String, Value>, &'a str> {
    let mut key = Map::with_capacity(fields.len());
    for Field { name, .. } in fields {
        match entity.get(name) {
            Some(value) if !value.is_null() => key.insert(name.clone(), value.clone()),
            _ => return Err(name),
        };
    }
    Ok(key)
}

/// The key out of an entity's id, `…/Orders(ID='x',Line=2)` or `…/Orders('x')`, absolute or relative (OData 4.01 Part 2,
/// 4.3.1; OData V2 "URI Conventions", 3.2). `None` where it does not name all fields.
#[must_use]
pub fn of_id(id: &str, fields: &[Field], version: Version) -> Option<Map<String, Value>> {
    let path = id.split('?').next()?;
    let segment = decoded(path.rsplit('/').next()?);
    let inner = segment.split_once('(')?.1.strip_suffix(')')?;
    let pairs = predicate(inner)?;
    let mut key = Map::with_capacity(fields.len());
    for field in fields {
        let named = pairs.iter().find(|(name, _)| name.as_deref() == Some(field.name.as_str()));
        let alone = pairs.first().filter(|(name, _)| name.is_none() && pairs.len() == 1 && fields.len() == 1);
        let (_, literal) = named.or(alone)?;
        key.insert(field.name.clone(), value(literal, field.simple, version)?);
    }
    Some(key)
}

/// `a=1,b='x,y'` into names and literals; a quote inside a string is doubled.
fn predicate(text: &str) -> Option<Vec<(Option<String>, String)>> {
    let mut pairs = Vec::new();
    let (mut name, mut literal, mut in_string) = (None, String::new(), false);
    for c in text.chars() {
        match c {
            '\'' => {
                in_string = !in_string;
                literal.push(c);
            }
            '=' if !in_string && name.is_none() => name = Some(std::mem::take(&mut literal).trim().to_owned()),
            ',' if !in_string => pairs.push((name.take(), std::mem::take(&mut literal).trim().to_owned())),
            c => literal.push(c),
        }
    }
    pairs.push((name, literal.trim().to_owned()));
    (!in_string && pairs.iter().all(|(_, literal)| !literal.is_empty())).then_some(pairs)
}

/// A literal of a key as the value that a record holds for it.
fn value(literal: &str, simple: Option<Simple>, version: Version) -> Option<Value> {
    let quoted = literal.find('\'').filter(|_| literal.ends_with('\'')).and_then(|at| literal.get(at + 1..literal.len() - 1));
    let is_string = literal.starts_with('\'');
    let text = quoted.map_or_else(|| literal.to_owned(), |inner| inner.replace("''", "'"));
    let bare = match version {
        Version::V2 if quoted.is_none() => text.trim_end_matches(['L', 'l', 'M', 'm', 'd', 'D', 'f', 'F']),
        _ => &text,
    };
    match simple {
        Some(Simple::Boolean) => bare.parse().ok().map(Value::Bool),
        Some(simple) => Some(primitive(simple, Value::String(bare.to_owned()))),
        None if is_string || quoted.is_some() => Some(Value::String(text)),
        None => Some(serde_json::from_str(bare).unwrap_or_else(|_| Value::String(text.clone()))),
    }
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = (byte == b'%').then(|| text.get(at + 1..at + 3)).flatten().and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(hex.unwrap_or(byte));
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&str, Option<Simple>)]) -> Vec<Field> {
        list.iter().map(|(name, simple)| Field { name: (*name).to_owned(), simple: *simple }).collect()
    }

    fn from_id(id: &str, list: &[(&str, Option<Simple>)], version: Version) -> Option<String> {
        of_id(id, &fields(list), version).map(|key| Value::Object(key).to_string())
    }

    #[test]
    fn a_key_is_the_object_of_its_fields_in_their_order() {
        let entity = serde_json::from_str(r#"{"b": "x", "c": null, "a": 7}"#).unwrap();
        let key = of(&entity, &fields(&[("a", None), ("b", None)])).unwrap();
        assert_eq!(Value::Object(key).to_string(), r#"{"a":7,"b":"x"}"#);
        assert_eq!(of(&entity, &fields(&[("a", None), ("c", None)])), Err("c"));
        assert_eq!(of(&entity, &fields(&[("d", None)])), Err("d"));
    }

    #[test]
    fn the_key_of_a_deleted_entity_is_read_from_its_id() {
        let text = Some(Simple::Text);
        for (id, list, version, expected) in [
            ("Orders('O''N%2F%C3%A9')", vec![("ID", text)], Version::V4, r#"{"ID":"O'N/é"}"#),
            ("https://h/s/Orders(0b1c-22)", vec![("ID", Some(Simple::Guid))], Version::V4, r#"{"ID":"0b1c-22"}"#),
            (
                "/s/Items(Order='a,b=(1)',Line=2)",
                vec![("Line", Some(Simple::Int64)), ("Order", text)],
                Version::V4,
                r#"{"Line":2,"Order":"a,b=(1)"}"#,
            ),
            (
                "Items(Order='1',Line=2L)",
                vec![("Order", text), ("Line", Some(Simple::Int64))],
                Version::V2,
                r#"{"Order":"1","Line":2}"#,
            ),
            ("S(guid'0b1c')", vec![("ID", Some(Simple::Guid))], Version::V2, r#"{"ID":"0b1c"}"#),
            (
                "S(datetime'2024-05-01T00%3A00%3A00')",
                vec![("D", Some(Simple::LocalMoment))],
                Version::V2,
                r#"{"D":"2024-05-01T00:00:00.000000Z"}"#,
            ),
            ("S(1.50M)", vec![("D", Some(Simple::Decimal))], Version::V2, r#"{"D":"1.50"}"#),
            ("S(true)", vec![("D", Some(Simple::Boolean))], Version::V4, r#"{"D":true}"#),
            ("S(17)", vec![("D", None)], Version::V4, r#"{"D":17}"#),
            ("S('17')", vec![("D", None)], Version::V4, r#"{"D":"17"}"#),
        ] {
            assert_eq!(from_id(id, &list, version).as_deref(), Some(expected), "{id}");
        }
        for id in ["Orders", "Orders()", "Orders('a", "Orders(Other='a')", "Orders(ID=)"] {
            assert_eq!(from_id(id, &[("ID", text)], Version::V4), None, "{id}");
        }
    }
}
