//! A transform that splits a record which holds a list into one record for each element: an order
//! into its lines, for example. All other fields, the key and the headers stay as they are.

use serde::Deserialize;
use serde_json::{Map, Value};
use wharf_sdk::{
    Batch, Change, Context, Delta, Record, Rejection, Result, Transform, export_transform, json,
};

/// The `config` table, as `connector.toml` describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    field: String,
    separator: Option<String>,
    number: Option<String>,
}

/// Keeps nothing between records: a batch that is applied again must come out the same.
struct Split(Config);

impl Transform for Split {
    fn open(context: &Context) -> Result<Self> {
        Ok(Self(context.config()?))
    }

    /// What is put out is what goes on. A record that is neither put out nor rejected is filtered.
    fn apply(&mut self, records: &Batch, out: &mut Delta) -> Result<()> {
        for record in records {
            match self.elements(&record) {
                Ok(None) => out.keep(&record),
                Ok(Some(elements)) => {
                    for element in elements {
                        out.push(&record, Change::new().value(&element.to_string()));
                    }
                }
                Err(rejection) => out.reject(&record, rejection),
            }
        }
        Ok(())
    }
}

impl Split {
    /// The records that one becomes; none where the list is empty. `None`: there is no list.
    fn elements(&self, record: &Record<'_>) -> Result<Option<Vec<Value>>, Rejection> {
        if record.value.is_none() {
            return Ok(None);
        }
        let object: Map<String, Value> = record.json()?;
        let Some(list) = object.get(&self.0.field).filter(|list| !list.is_null()) else {
            return Ok(None);
        };
        let elements = self.list(list)?;
        Ok(Some(
            (1..)
                .zip(elements)
                .map(|(n, element)| self.one(&object, n, element))
                .collect(),
        ))
    }

    fn list(&self, list: &Value) -> Result<Vec<Value>, Rejection> {
        match (list, &self.0.separator) {
            (Value::Array(elements), _) => Ok(elements.clone()),
            (Value::String(text), Some(_)) if text.is_empty() => Ok(Vec::new()),
            (Value::String(text), Some(at)) => {
                Ok(text.split(at.as_str()).map(Value::from).collect())
            }
            _ => {
                let why = format!("the field `{}` is no list", self.0.field);
                Err(Rejection::new("split.list", why).at(json::pointer(&self.0.field)))
            }
        }
    }

    fn one(&self, object: &Map<String, Value>, number: u64, element: Value) -> Value {
        let mut one = object.clone();
        one.insert(self.0.field.clone(), element);
        if let Some(field) = &self.0.number {
            one.insert(field.clone(), Value::from(number));
        }
        Value::Object(one)
    }
}

export_transform!(Split, manifest = include_str!("../connector.toml"));

#[cfg(test)]
mod tests;
