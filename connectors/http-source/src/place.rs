//! The position as it is stored: JSON, at most what the host takes. Owns its form and nothing of its meaning.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::cursor::Kind;

/// The most that a position may hold.
pub const LARGEST: usize = 256 << 10;

/// Where reading goes on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Place {
    /// The cursor's field: a position by another one is not gone on from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub by: Option<String>,
    /// The list that is read, as a hash: a position of another one is not gone on from either. One written by hand need not say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub of: Option<u32>,
    /// The highest cursor, as it came.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub high: Option<Box<RawValue>>,
    /// What cursors are, where the configuration does not say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kind: Option<Kind>,
    /// What the round that is being read counts from, or the next one where that is not the highest cursor.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<Box<RawValue>>,
    /// In a round: the highest cursor when it began.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<Box<RawValue>>,
    /// In a round: when it began by the API's clock, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub began: Option<i64>,
    /// The next round counts from `initial`, in spite of a highest cursor.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub anew: bool,
    /// The page that is being read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub page: Option<Step>,
    /// `seen` has left out what was read in the round that is being read.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub cut: bool,
    /// The round that is being read has more records than are remembered.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub large: bool,
    /// Hashes of what was seen, see `Seen::pack`.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub seen: String,
    /// The same of what the round that is being read has not listed so far.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub earlier: String,
    /// The same of records that could not be read.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub odd: String,
}

/// Which page of a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    First,
    /// JSON text of what the API gave for the next page.
    Cursor(String),
    Url(String),
    Page(u64),
    Offset(u64),
}

impl Place {
    /// `None` where it is larger than a position may be.
    #[must_use]
    pub fn write(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok().filter(|bytes| bytes.len() <= LARGEST)
    }
}
