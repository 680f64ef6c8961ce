//! The form in which steps see a record: the original, with what has changed so far laid over it. Owns lazy parsing and
//! writing; knows no step.

use std::borrow::Cow;

use serde_json::Value;

use super::partial;
use super::touched::Touched;
use crate::batch::{Batch, Record};
use crate::dead_letter::Stage;
use crate::outcome::Rejection;

/// Why a record can't go on, and at which stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub stage: Stage,
    pub rejection: Rejection,
}

impl Refused {
    #[must_use]
    pub const fn transform(rejection: Rejection) -> Self {
        Self { stage: Stage::Transformation, rejection }
    }

    #[must_use]
    pub const fn value(rejection: Rejection) -> Self {
        Self { stage: Stage::ValueConverter, rejection }
    }

    #[must_use]
    pub const fn key(rejection: Rejection) -> Self {
        Self { stage: Stage::KeyConverter, rejection }
    }
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        Self::transform(rejection)
    }
}

/// A record on its way through the steps.
#[derive(Debug)]
pub struct Working<'a> {
    original: Record<'a>,
    topic: Option<String>,
    key: Option<Cow<'a, [u8]>>,
    body: Body<'a>,
    /// What steps can reach of the value; `None`: all of it.
    touched: Option<&'a Touched>,
}

#[derive(Debug)]
enum Body<'a> {
    Tombstone,
    Bytes(Cow<'a, [u8]>),
    /// Parsed, but for what no step reaches (`partial.rs`); `text` are the bytes that still say the same.
    Json {
        value: Value,
        rest: Vec<&'a str>,
        text: Option<Cow<'a, [u8]>>,
    },
}

impl<'a> Working<'a> {
    #[must_use]
    pub fn new(mut original: Record<'a>) -> Self {
        let body = original.value.map_or(Body::Tombstone, |v| Body::Bytes(Cow::Borrowed(v)));
        let key = original.key.take().map(Cow::Borrowed);
        Self { original, topic: None, key, body, touched: None }
    }

    /// A record of whose value nothing is asked for but these members.
    #[must_use]
    pub fn touching(original: Record<'a>, touched: Option<&'a Touched>) -> Self {
        Self { touched, ..Self::new(original) }
    }

    /// The record as it came in: place, timestamp and headers, which no step changes. Its key is in [`Working::key`].
    #[must_use]
    pub const fn original(&self) -> &Record<'a> {
        &self.original
    }

    #[must_use]
    pub fn topic(&self) -> &str {
        self.topic.as_deref().unwrap_or(self.original.topic)
    }

    pub fn set_topic(&mut self, topic: String) {
        self.topic = Some(topic);
    }

    #[must_use]
    pub const fn key(&self) -> Option<&Cow<'a, [u8]>> {
        self.key.as_ref()
    }

    pub fn set_key(&mut self, key: Option<Cow<'a, [u8]>>) {
        self.key = key;
    }

    #[must_use]
    pub const fn is_tombstone(&self) -> bool {
        matches!(self.body, Body::Tombstone)
    }

    /// The value's bytes as they came, while no step has looked into them; `None` for a tombstone and for what is parsed.
    #[must_use]
    pub const fn raw(&self) -> Option<&Cow<'a, [u8]>> {
        match &self.body {
            Body::Bytes(bytes) => Some(bytes),
            Body::Tombstone | Body::Json { .. } => None,
        }
    }

    pub fn set_bytes(&mut self, bytes: Option<Cow<'a, [u8]>>) {
        self.body = bytes.map_or(Body::Tombstone, Body::Bytes);
    }

    pub fn set_json(&mut self, value: Value) {
        self.body = Body::Json { value, rest: Vec::new(), text: None };
    }

    /// The value, parsed; `None`: a tombstone.
    ///
    /// # Errors
    /// [`Refused`] at `VALUE_CONVERTER` when the bytes are not JSON.
    pub fn json(&mut self) -> Result<Option<&Value>, Refused> {
        self.parse()?;
        Ok(match &self.body {
            Body::Json { value, .. } => Some(value),
            Body::Tombstone | Body::Bytes(_) => None,
        })
    }

    /// The value to change: it will be written anew. `None`: a tombstone.
    ///
    /// # Errors
    /// As [`Working::json`].
    pub fn json_mut(&mut self) -> Result<Option<&mut Value>, Refused> {
        self.parse()?;
        Ok(match &mut self.body {
            Body::Json { value, text, .. } => {
                *text = None;
                Some(value)
            }
            Body::Tombstone | Body::Bytes(_) => None,
        })
    }

    /// The fields to change: an object or an array. `None`: a tombstone or `null`, which field steps pass.
    ///
    /// # Errors
    /// As [`Working::json`]; `transform.shape` when the value is a lone string, number or boolean and so has no fields.
    pub fn fields_mut(&mut self) -> Result<Option<&mut Value>, Refused> {
        match self.json_mut()? {
            None | Some(Value::Null) => Ok(None),
            Some(value @ (Value::Object(_) | Value::Array(_))) => Ok(Some(value)),
            Some(_) => {
                let message = "the value is a single JSON scalar, but a transform names fields of it; \
                               add a `when` that leaves such records out, or drop them with `filter`";
                Err(Rejection::new("transform.shape", message).into())
            }
        }
    }

    fn parse(&mut self) -> Result<(), Refused> {
        let Body::Bytes(bytes) = &mut self.body else { return Ok(()) };
        let (value, rest) = match (self.touched, &*bytes) {
            (Some(touched), Cow::Borrowed(bytes)) => partial::parse(bytes, touched),
            _ => None,
        }
        .map_or_else(|| parse(bytes).map(|value| (value, Vec::new())), Ok)
        .map_err(Refused::value)?;
        let text = Some(std::mem::take(bytes));
        self.body = Body::Json { value, rest, text };
        Ok(())
    }

    /// Appends the record as it is now. `scratch` is a buffer to reuse.
    ///
    /// # Errors
    /// [`Refused`] when the value can't be written, which no value that was parsed causes.
    pub fn write(&self, into: &mut Batch, scratch: &mut Vec<u8>) -> Result<(), Refused> {
        let value = match &self.body {
            Body::Tombstone => None,
            Body::Bytes(bytes) | Body::Json { text: Some(bytes), .. } => Some(&**bytes),
            Body::Json { value, rest, text: None } => {
                scratch.clear();
                let written = match rest.as_slice() {
                    [] => serde_json::to_writer(&mut *scratch, value),
                    rest => partial::write(value, rest, scratch),
                };
                written.map_err(|e| {
                    Refused::value(Rejection::new("json.write", format!("the changed value can't be written: {e}")))
                })?;
                Some(scratch.as_slice())
            }
        };
        let headers = self.original.headers.clone();
        into.push(&Record { topic: self.topic(), key: self.key.as_deref(), value, headers, ..self.original });
        Ok(())
    }
}

/// Parses JSON. Of a member that occurs twice the last one counts; more than 128 levels are refused.
///
/// # Errors
/// `json.depth`, or `json.syntax` with line and column. The text itself is not repeated: it may hold personal data.
pub fn parse(bytes: &[u8]) -> Result<Value, Rejection> {
    serde_json::from_slice(bytes).map_err(|e| syntax(&e))
}

/// The rejection for what serde_json could not read.
#[must_use]
pub fn syntax(error: &serde_json::Error) -> Rejection {
    let (line, column) = (error.line(), error.column());
    // serde_json has no other way to tell: its category for this is Syntax, like the rest.
    if error.to_string().starts_with("recursion limit exceeded") {
        let message = format!("JSON is nested deeper than 128 levels (line {line}, column {column})");
        return Rejection::new("json.depth", message);
    }
    Rejection::new("json.syntax", format!("not valid JSON: {error}"))
}
