//! Values that must not be seen: credentials and what may hold them. Owns redaction, and the files that secrets are read from; reads
//! no environment.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(test)]
mod tests;

/// A resolved secret. Debug and Display show `***`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret {
    value: String,
    /// Where it is from files.
    origin: Option<Arc<Origin>>,
}

/// What a secret is put together from. All that was read of it shares this.
struct Origin {
    pieces: Vec<Piece>,
    /// As it was read last.
    last: Mutex<String>,
}

/// A part of a text: written in the configuration, of a variable, or the content of a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Piece {
    /// Of a file: as it was read first.
    pub text: String,
    pub file: Option<PathBuf>,
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Piece").field("file", &self.file).finish_non_exhaustive()
    }
}

/// A secret's file that is of no use now. The text names the file, never what it holds.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the secret file {}: {reason}", path.display())]
pub struct Unread {
    pub path: PathBuf,
    reason: String,
}

impl Secret {
    #[must_use]
    pub const fn new(value: String) -> Self {
        Self { value, origin: None }
    }

    /// The pieces one after another.
    #[must_use]
    pub fn of(pieces: Vec<Piece>) -> Self {
        let value: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
        let from_file = pieces.iter().any(|piece| piece.file.is_some());
        let origin = from_file.then(|| Arc::new(Origin { pieces, last: Mutex::new(value.clone()) }));
        Self { value, origin }
    }

    /// The value itself: only where it is put on the wire.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// Whether a file is read for it, so that it may be another one later.
    #[must_use]
    pub const fn has_file(&self) -> bool {
        self.origin.is_some()
    }

    /// The secret as its files have it now; the same where it has none. Blocks.
    ///
    /// # Errors
    /// [`Unread`]: a file that is not there, or is empty, as it may be while it is being replaced.
    pub fn read_again(&self) -> Result<Self, Unread> {
        let Some(origin) = &self.origin else { return Ok(self.clone()) };
        let mut value = String::new();
        for Piece { text, file } in &origin.pieces {
            let Some(path) = file else {
                value.push_str(text);
                continue;
            };
            let unread = |reason| Unread { path: path.clone(), reason };
            match read(path) {
                Ok(text) if text.is_empty() => return Err(unread("it is empty".to_owned())),
                Ok(text) => value.push_str(&text),
                Err(error) => return Err(unread(error.to_string())),
            }
        }
        origin.last().clone_from(&value);
        Ok(Self { value, origin: self.origin.clone() })
    }

    /// As [`Secret::read_again`], away from the threads that requests wait on. Where a file is of no use now, a WARN says so, and the
    /// secret is the one that was read last.
    pub async fn as_it_is_now(&self) -> Self {
        let Some(origin) = &self.origin else { return self.clone() };
        let secret = self.clone();
        let read = tokio::task::spawn_blocking(move || secret.read_again().map_err(|unread| unread.to_string())).await;
        match read.unwrap_or_else(|ended| Err(ended.to_string())) {
            Ok(secret) => secret,
            Err(reason) => {
                tracing::warn!(reason, "a secret could not be read again: what was read before is used");
                Self { value: origin.last().clone(), origin: self.origin.clone() }
            }
        }
    }
}

impl Origin {
    fn last(&self) -> MutexGuard<'_, String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.pieces == other.pieces
    }
}

impl Eq for Origin {}

/// What a secret's file holds, without the line break at its end.
///
/// # Errors
/// As [`std::fs::read_to_string`].
pub fn read(path: &Path) -> io::Result<String> {
    let text = std::fs::read_to_string(path)?;
    Ok(text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t)).to_owned())
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
