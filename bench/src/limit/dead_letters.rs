//! The file of records that cannot be delivered: one JSON object a line, on disk before the place behind the record is committed.
//! A crash between the two writes a record twice, never not at all.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use serde_json::json;

/// A record and why it was refused.
#[derive(Debug)]
pub struct DeadLetter {
    pub topic: String,
    /// None where the place is one in a file.
    pub partition: Option<i32>,
    pub offset: i64,
    pub reason: String,
    pub value: Vec<u8>,
}

impl DeadLetter {
    fn line(&self) -> String {
        let mut line = json!({ "topic": self.topic, "partition": self.partition, "offset": self.offset, "reason": self.reason });
        let (name, value) = match std::str::from_utf8(&self.value) {
            Ok(text) => ("value", text.to_owned()),
            Err(_) => ("value_hex", hex(&self.value)),
        };
        if let Some(members) = line.as_object_mut() {
            members.insert(name.to_owned(), value.into());
        }
        format!("{line}\n")
    }
}

/// Shared by all that write to it.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    file: Arc<Mutex<File>>,
    path: PathBuf,
}

impl DeadLetters {
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("opening the dead-letter file {}", path.display()))?;
        Ok(Self { file: Arc::new(Mutex::new(file)), path: path.to_owned() })
    }

    /// Returns when the letters are on disk.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, letters: &[DeadLetter]) -> Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        let lines: String = letters.iter().map(DeadLetter::line).collect();
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file.write_all(lines.as_bytes()).and_then(|()| file.sync_data());
        written.with_context(|| format!("writing the dead-letter file {}", self.path.display()))
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing into a string cannot fail.
        if write!(text, "{byte:02x}").is_err() {
            break;
        }
    }
    text
}
