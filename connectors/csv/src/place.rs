//! How far a file has been read, and what tells that it is still the same file. Owns the form of a stored position.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Longest run of bytes that a print is taken of.
pub const PRINT: usize = 1_024;

/// A file's position: everything before `offset` is durable in the topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// Where the next record begins, in bytes of the uncompressed file.
    pub offset: u64,
    /// Line number of the next record, from 1.
    pub line: u64,
    /// Of the bytes at the beginning of the file, as far as they are before `offset`.
    pub head: Print,
    /// Of the bytes before `offset`.
    pub tail: Print,
    /// The file as it was when its end was reached; `None`: not reached yet.
    pub seen: Option<Seen>,
    /// `seen` had come to rest when it was taken: a file that is replaced within a tick of the file system's clock, by one of
    /// the same size, looks unchanged.
    pub settled: bool,
    /// Bytes after `offset` that are no whole record yet.
    pub rest: u64,
    /// The rest was read as a record although no line end followed; so many bytes.
    pub taken: Option<u64>,
    /// Milliseconds since 1970 when the file was missed.
    pub gone: Option<u64>,
    /// Renamed to a name outside the pattern, and read to its end there.
    pub followed: bool,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            offset: 0,
            line: 1,
            head: Print::default(),
            tail: Print::default(),
            seen: None,
            settled: false,
            rest: 0,
            taken: None,
            gone: None,
            followed: false,
        }
    }
}

/// Length and hash of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Print {
    pub len: usize,
    pub hash: u64,
}

impl Print {
    pub fn of(bytes: &[u8]) -> Self {
        Self { len: bytes.len(), hash: if bytes.is_empty() { 0 } else { hash(bytes) } }
    }
}

/// A stable hash, the same in every version and on every machine.
pub fn hash(bytes: &[u8]) -> u64 {
    Sha256::digest(bytes).first_chunk().copied().map_or(0, u64::from_be_bytes)
}

/// What a folder tells of a file without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Bytes on disk.
    pub size: u64,
    /// Milliseconds since 1970; 0 where the system does not tell.
    pub modified: u64,
}

impl Seen {
    /// Coarsest clock of a usual file system, with some room, in milliseconds.
    const TICK: u64 = 2_500;

    /// Whether another change would show. `now`: milliseconds since 1970.
    pub const fn is_settled(self, now: u64) -> bool {
        self.modified.saturating_add(Self::TICK) < now
    }

    pub fn of(metadata: &std::fs::Metadata) -> Self {
        let since = metadata.modified().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let modified = since.and_then(|since| u64::try_from(since.as_millis()).ok()).unwrap_or_default();
        Self { size: metadata.len(), modified }
    }
}
