//! Reads a file of JSON Lines ahead, on a thread of its own: whole lines in blocks, each line a JSON object. The end of the file
//! is no end: what is appended is read too.

use std::fmt::Formatter;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::limit::dead_letters::DeadLetter;

const LINES: usize = 10_000;
const BYTES: usize = 8 << 20;

/// Whole lines, without their ends.
#[derive(Debug, Default)]
pub struct Block {
    text: Vec<u8>,
    lines: Vec<Range<usize>>,
    pub bad: Vec<DeadLetter>,
    /// Where the file goes on after them.
    pub place: u64,
}

impl Block {
    pub fn lines(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.lines.iter().map(|line| self.text.get(line.clone()).unwrap_or_default())
    }
}

/// Any object, looked through to its end.
struct Object;

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Looks;
        impl<'de> Visitor<'de> for Looks {
            type Value = Object;
            fn expecting(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Object)
            }
        }
        deserializer.deserialize_map(Looks)
    }
}

/// Hands blocks over until told to stop, or until nobody takes them.
///
/// # Errors
/// When the file cannot be read.
pub fn read(path: &Path, place: u64, blocks: &SyncSender<Block>, stop: &AtomicBool) -> Result<()> {
    let failed = || format!("reading {}", path.display());
    let mut file = File::open(path).with_context(failed)?;
    file.seek(SeekFrom::Start(place)).with_context(failed)?;
    let mut reader = BufReader::with_capacity(256 * 1024, file);
    let mut block = Block { place, ..Block::default() };
    // What the last line has before its end is there.
    let mut partial = 0;
    while !stop.load(Ordering::Acquire) {
        let start = block.text.len() - partial;
        let read = reader.read_until(b'\n', &mut block.text).with_context(failed)?;
        if read > 0 && block.text.ends_with(b"\n") {
            partial = 0;
            take(&mut block, start, path)?;
            if block.lines.len() < LINES && block.text.len() < BYTES {
                continue;
            }
        } else {
            partial += read;
            if block.lines.is_empty() && block.bad.is_empty() {
                thread::sleep(Duration::from_millis(20));
                continue;
            }
        }
        let rest = block.text.split_off(block.text.len() - partial);
        let text = Vec::with_capacity(BYTES + (64 << 10));
        let next = Block { text, lines: Vec::with_capacity(LINES), bad: Vec::new(), place: block.place };
        if blocks.send(std::mem::replace(&mut block, next)).is_err() {
            return Ok(());
        }
        block.text.extend_from_slice(&rest);
    }
    Ok(())
}

/// The line from `start` to the end of the text.
fn take(block: &mut Block, start: usize, path: &Path) -> Result<()> {
    let line = block.text.get(start..).unwrap_or_default();
    let length = u64::try_from(line.len())?;
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let checked = std::str::from_utf8(line).map_err(anyhow::Error::new);
    let checked = checked.and_then(|text| serde_json::from_str::<Object>(text).map_err(anyhow::Error::new));
    match checked {
        Ok(_) => block.lines.push(start..start + line.len()),
        Err(error) => block.bad.push(DeadLetter {
            topic: path.display().to_string(),
            partition: None,
            offset: i64::try_from(block.place)?,
            reason: format!("{error:#}"),
            value: line.to_vec(),
        }),
    }
    block.place += length;
    Ok(())
}
