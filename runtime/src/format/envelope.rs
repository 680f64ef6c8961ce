//! Connect's JSON envelope: opening it without parsing the payload, and putting one on. Owns the outer object only.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::logical::Plan;
use super::schema;
use crate::outcome::Rejection;
use crate::transform::record::{parse, syntax};
use crate::transform::{Refused, Working};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    schema: &'a RawValue,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// Opens envelopes; keeps what it learned of the last schema, as neighbours mostly share it.
#[derive(Debug, Default)]
pub struct Envelopes {
    value: Known,
    key: Known,
}

#[derive(Debug, Default)]
struct Known {
    schema: String,
    plan: Plan,
}

impl Envelopes {
    /// Takes the payloads of value and key out of their envelopes; a key without one stays as it is.
    pub fn open(&mut self, record: &mut Working<'_>) -> Result<(), Refused> {
        if let Some(bytes) = record.raw().cloned() {
            let opened = self.value.payload(&bytes).map_err(Refused::value)?;
            match opened {
                Opened::Null => record.set_bytes(None),
                Opened::Same(range) => record.set_bytes(Some(cut(bytes, range))),
                Opened::Converted(value) => record.set_json(value),
            }
        }
        if let Some(key) = record.key().cloned() {
            match self.key.payload(&key) {
                Ok(Opened::Null) => record.set_key(None),
                Ok(Opened::Same(range)) => record.set_key(Some(cut(key, range))),
                Ok(Opened::Converted(value)) => record.set_key(Some(Cow::Owned(value.to_string().into_bytes()))),
                Err(rejection) if rejection.code == "envelope.shape" || rejection.code == "json.syntax" => {}
                Err(rejection) => return Err(Refused::key(rejection)),
            }
        }
        Ok(())
    }
}

enum Opened {
    Null,
    /// The payload is these bytes of the envelope.
    Same(std::ops::Range<usize>),
    Converted(Value),
}

fn cut(bytes: Cow<'_, [u8]>, range: std::ops::Range<usize>) -> Cow<'_, [u8]> {
    match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(range).unwrap_or_default()),
        Cow::Owned(bytes) => Cow::Owned(bytes.get(range).unwrap_or_default().to_vec()),
    }
}

impl Known {
    fn payload(&mut self, bytes: &[u8]) -> Result<Opened, Rejection> {
        let envelope: Envelope<'_> = serde_json::from_slice(bytes).map_err(|e| shape(&e))?;
        let payload = envelope.payload.get();
        if payload == "null" {
            return Ok(Opened::Null);
        }
        if self.schema != envelope.schema.get() {
            self.plan = Plan::of(&parse(envelope.schema.get().as_bytes())?);
            envelope.schema.get().clone_into(&mut self.schema);
        }
        if self.plan.is_empty() {
            // Where the payload lies in the envelope: both are slices of the same bytes.
            let start = payload.as_ptr() as usize - bytes.as_ptr() as usize;
            return Ok(Opened::Same(start..start + payload.len()));
        }
        let mut value = parse(payload.as_bytes())?;
        self.plan.apply(&mut value)?;
        Ok(Opened::Converted(value))
    }
}

fn shape(error: &serde_json::Error) -> Rejection {
    if !error.is_data() {
        return syntax(error);
    }
    let message =
        "the value is not an object of exactly `schema` and `payload`; if the topic holds plain JSON, use `format = \"json\"`";
    Rejection::new("envelope.shape", message)
}

/// Puts value and key into envelopes, with the schema that they show.
pub fn wrap(record: &mut Working<'_>) -> Result<(), Refused> {
    if let Some(value) = record.json_mut()? {
        let wrapped = enveloped(value.take()).map_err(Refused::value)?;
        record.set_json(wrapped);
    }
    if let Some(key) = record.key() {
        let value = parse(key).map_err(Refused::key)?;
        let wrapped = enveloped(value).map_err(Refused::key)?;
        record.set_key(Some(Cow::Owned(wrapped.to_string().into_bytes())));
    }
    Ok(())
}

fn enveloped(payload: Value) -> Result<Value, Rejection> {
    let schema = schema::infer(&payload)?;
    let mut members = Map::with_capacity(2);
    members.insert("schema".to_owned(), schema);
    members.insert("payload".to_owned(), payload);
    Ok(Value::Object(members))
}
