//! The position of a model as it is stored: JSON, at most what the host takes. Owns its form and nothing of its meaning.

use serde::{Deserialize, Serialize};

/// The most that a position may hold.
pub const LARGEST: usize = 256 << 10;

/// Where reading goes on. Times are seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// What is read: a position of another database, model or domain is not gone on from.
    pub of: String,
    /// Where the next read begins; `None` before the first one has come to its end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<i64>,
    /// The last record of a read that is under way: its second (`None`: empty) and its id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub at: Option<(Option<i64>, i64)>,
    /// When that read began.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub began: Option<i64>,
    /// See `Seen::pack`.
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
