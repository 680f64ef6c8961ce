//! The position of an entity set as it is stored: JSON, at most what the host takes. Owns its form and nothing of its meaning.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The most that a position may hold.
pub const LARGEST: usize = 256 << 10;

/// Where reading goes on. Hashes of what was seen are in `seen` (see `Seen::pack`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The cursor's property: a position by another one is not gone on from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub by: Option<String>,
    /// The highest cursor, as the service wrote it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cursor: Option<Value>,
    /// Key of the last entity in order, where reading goes on strictly after it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<Map<String, Value>>,
    /// Full read: the page that is being read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub page: Option<String>,
    /// The delta link, or the page of one that is being read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub delta: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub seen: String,
}

impl Place {
    /// # Errors
    /// The reason, for what another program, or another version, wrote.
    pub fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// `None` where it is larger than a position may be.
    #[must_use]
    pub fn write(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok().filter(|bytes| bytes.len() <= LARGEST)
    }
}
