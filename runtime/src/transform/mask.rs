//! `mask`: makes personal data unreadable. A field that isn't there and a null stay as they are; whatever is there is
//! masked, whatever its type. A member that stood twice can't stay behind: what a mask reaches is always written anew.

use std::fmt;
use std::fmt::Write as _;

use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::field::text;
use super::record::{Refused, Working};
use crate::config::{FieldPath, MaskHow};
use crate::outcome::Rejection;

#[derive(Debug)]
pub struct Mask {
    fields: Vec<FieldPath>,
    how: How,
}

enum How {
    Redact(String),
    /// Keyed with the salt. Boxed: it holds two hash states.
    Hash(Box<Hmac<Sha256>>),
    Last(usize),
    /// The salt can't be used as a key.
    Broken,
}

impl fmt::Debug for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The keyed state is as good as the salt.
        f.write_str(match self {
            Self::Redact(_) => "Redact",
            Self::Hash(_) => "Hash",
            Self::Last(_) => "Last",
            Self::Broken => "Broken",
        })
    }
}

impl Mask {
    pub fn new(fields: Vec<FieldPath>, how: MaskHow) -> Self {
        let how = match how {
            MaskHow::Redact { with } => How::Redact(with),
            MaskHow::Last(n) => How::Last(n),
            MaskHow::Hash { salt } => {
                Hmac::new_from_slice(salt.expose().as_bytes()).map_or(How::Broken, |keyed| How::Hash(Box::new(keyed)))
            }
        };
        Self { fields, how }
    }

    pub fn apply(&self, record: &mut Working<'_>) -> Result<(), Refused> {
        // A lone scalar is masked by the path of no names; any other path can't say what it meant there.
        let root = match record.json_mut()? {
            Some(Value::Object(_) | Value::Array(_)) | None => record.json_mut()?,
            Some(_) if self.fields.iter().any(|f| f.0.is_empty()) => record.json_mut()?,
            Some(_) => record.fields_mut()?,
        };
        let Some(root) = root else { return Ok(()) };
        for field in &self.fields {
            field.change(root, &mut |value| self.how.mask(value))?;
        }
        Ok(())
    }
}

impl How {
    fn mask(&self, value: &mut Value) -> Result<(), Rejection> {
        if value.is_null() {
            return Ok(());
        }
        let masked = match self {
            Self::Redact(with) => with.clone(),
            Self::Hash(keyed) => {
                let mut mac = (**keyed).clone();
                mac.update(text(value).as_bytes());
                hex(&mac.finalize().into_bytes())
            }
            Self::Last(n) => last(value, *n),
            Self::Broken => return Err(Rejection::new("mask.salt", "the salt of this mask can't be used as a key")),
        };
        *value = Value::String(masked);
        Ok(())
    }
}

/// Stars, then the last `n` characters; only stars when there are no more than `n`, and for arrays and objects.
fn last(value: &Value, n: usize) -> String {
    if value.is_array() || value.is_object() {
        return "***".to_owned();
    }
    let text = text(value);
    let count = text.chars().count();
    let hidden = if count > n { count - n } else { count };
    let mut masked = "*".repeat(hidden);
    masked.extend(text.chars().skip(hidden));
    masked
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String can't fail.
        if write!(text, "{byte:02x}").is_err() {
            break;
        }
    }
    text
}
