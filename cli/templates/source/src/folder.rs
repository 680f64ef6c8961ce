//! The folder outside: what is in it, and what a document holds. Only granted folders can be opened.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};
use wharf_sdk::{Error, Result};

/// What the names of documents end with.
pub const ENDING: &str = ".json";

/// The position of a document: what its content was when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    pub fingerprint: u64,
}

/// The names of the documents.
///
/// # Errors
/// `retry`: a folder that cannot be read now may be there later.
pub fn list(folder: &str) -> Result<BTreeSet<String>> {
    let cannot = |error| Error::retry(format!("cannot list `{folder}`: {error}"));
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        // Names that are no text are none that end like this.
        if let Ok(name) = entry.map_err(cannot)?.file_name().into_string() {
            if name.ends_with(ENDING) && !name.starts_with('.') {
                names.insert(name);
            }
        }
    }
    Ok(names)
}

/// The bytes of a document; `None` where it is gone.
///
/// # Errors
/// `retry`, as for the folder.
pub fn read(folder: &str, name: &str) -> Result<Option<Vec<u8>>> {
    match fs::read(Path::new(folder).join(name)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::retry(format!(
            "cannot read `{folder}/{name}`: {error}"
        ))),
    }
}

/// FNV-1a: the same in every process and on every machine, as positions outlive both.
pub fn fingerprint(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}
