//! An order as it stands in a record, and as a row.

use std::borrow::Cow;
use std::fmt::Formatter;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use super::copy;

pub const COLUMNS: [&str; 10] =
    ["id", "customer", "email", "status", "channel", "quantity", "total", "created", "version", "note"];

/// An absent or null column is null.
#[derive(Debug, Deserialize)]
pub struct Order<'a> {
    pub id: i64,
    #[serde(borrow)]
    customer: Option<Text<'a>>,
    #[serde(borrow)]
    email: Option<Text<'a>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    channel: Option<Text<'a>>,
    quantity: Option<i32>,
    #[serde(borrow)]
    total: Option<Text<'a>>,
    #[serde(borrow)]
    created: Option<Text<'a>>,
    version: Option<i64>,
    #[serde(borrow)]
    note: Option<Text<'a>>,
}

/// Borrowed where it holds no escapes. `Option<Cow<str>>` would always own: serde borrows a bare `Cow` only.
#[derive(Debug)]
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads;
        impl<'de> Visitor<'de> for Reads {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Reads)
    }
}

impl Order<'_> {
    /// Appends the row.
    ///
    /// # Errors
    /// When a column's value is not of its type.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&10i16.to_be_bytes());
        copy::bigint(out, Some(self.id));
        for text in [&self.customer, &self.email, &self.status, &self.channel] {
            column(out, text.as_ref(), copy::text)?;
        }
        copy::integer(out, self.quantity);
        column(out, self.total.as_ref(), copy::numeric).context("total")?;
        column(out, self.created.as_ref(), copy::timestamptz).context("created")?;
        copy::bigint(out, self.version);
        column(out, self.note.as_ref(), copy::text)?;
        Ok(())
    }
}

type Encode = fn(&mut Vec<u8>, &str) -> Result<(), copy::Wrong>;

fn column(out: &mut Vec<u8>, value: Option<&Text<'_>>, encode: Encode) -> Result<(), copy::Wrong> {
    if let Some(value) = value {
        return encode(out, &value.0);
    }
    copy::null(out);
    Ok(())
}
