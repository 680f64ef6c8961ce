//! How values stand in topics, on the host's side of a guest: decoding before the first step of a sink, encoding after
//! the last one of a source. Owns what each [`Format`] means; knows no schema registry.
//!
//! - `json`, `bytes`: as they are. Whether a value is JSON shows when a step asks for a field, or in the guest.
//! - `json-envelope`: Connect's `{"schema": …, "payload": …}`; a payload of null is a tombstone. Keys too, where they
//!   are enveloped.
//! - `text`: UTF-8; steps and guests see a JSON string. Keys stay as they are.

use std::borrow::Cow;

use serde_json::Value;

use crate::config::Format;
use crate::outcome::Rejection;
use crate::transform::{Refused, Working};

mod envelope;
mod logical;
mod schema;

/// Decodes the records of one batch.
#[derive(Debug)]
pub struct Decoder {
    format: Format,
    envelopes: envelope::Envelopes,
}

impl Decoder {
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, envelopes: envelope::Envelopes::default() }
    }

    /// Puts the record into the form that steps and guests see.
    ///
    /// # Errors
    /// [`Refused`] at `VALUE_CONVERTER` or `KEY_CONVERTER` when the bytes are not what the format says.
    pub fn decode(&mut self, record: &mut Working<'_>) -> Result<(), Refused> {
        match self.format {
            Format::Json | Format::Bytes => Ok(()),
            Format::JsonEnvelope => self.envelopes.open(record),
            Format::Text => decode_text(record),
        }
    }
}

fn decode_text(record: &mut Working<'_>) -> Result<(), Refused> {
    let Some(bytes) = record.raw() else { return Ok(()) };
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let message =
            format!("not UTF-8 text: byte {} can't be read; use `format = \"bytes\"` for binary values", e.valid_up_to());
        Refused::value(Rejection::new("text.utf8", message))
    })?;
    let value = Value::String(text.to_owned());
    record.set_json(value);
    Ok(())
}

/// Puts a record into the form in which it stands in the topic.
///
/// # Errors
/// [`Refused`] at `VALUE_CONVERTER` or `KEY_CONVERTER` when the record has no such form.
pub fn encode(format: Format, record: &mut Working<'_>) -> Result<(), Refused> {
    match format {
        Format::Json | Format::Bytes => Ok(()),
        Format::JsonEnvelope => envelope::wrap(record),
        Format::Text => encode_text(record),
    }
}

/// A JSON string becomes its text; anything else stays JSON.
fn encode_text(record: &mut Working<'_>) -> Result<(), Refused> {
    if let Some(Value::String(text)) = record.json()? {
        let bytes = text.clone().into_bytes();
        record.set_bytes(Some(Cow::Owned(bytes)));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
