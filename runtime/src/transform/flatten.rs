//! `flatten`: members of inner objects become members of the outermost, their names joined. Arrays stay whole and an
//! empty object disappears, as with Connect's Flatten; two fields that would get one name refuse the record.

use serde_json::{Map, Value};

use super::record::{Refused, Working};
use crate::outcome::Rejection;

#[derive(Debug)]
pub struct Flatten {
    separator: String,
}

impl Flatten {
    pub const fn new(separator: String) -> Self {
        Self { separator }
    }

    pub fn apply(&self, record: &mut Working<'_>) -> Result<(), Refused> {
        if let Some(Value::Object(members)) = record.fields_mut()?
            && members.values().any(Value::is_object)
        {
            let nested = std::mem::take(members);
            self.spread("", nested, members)?;
        }
        Ok(())
    }

    fn spread(&self, prefix: &str, nested: Map<String, Value>, into: &mut Map<String, Value>) -> Result<(), Rejection> {
        for (name, value) in nested {
            let name = format!("{prefix}{name}");
            match value {
                Value::Object(inner) => self.spread(&format!("{name}{}", self.separator), inner, into)?,
                value => {
                    if into.contains_key(&name) {
                        let message = format!("flattening gives two fields the name `{name}`; rename or drop one of them first");
                        return Err(Rejection::new("flatten.collision", message));
                    }
                    into.insert(name, value);
                }
            }
        }
        Ok(())
    }
}
