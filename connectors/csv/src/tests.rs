//! Polls over real files: what reaches the log, and where reading goes on after growth, restart, rotation and replacement.

mod bad_rows;
mod growth;
mod rotation;
mod shapes;
mod sharing;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use wharf_sdk::Error;

use super::*;

/// A folder with a source over it. Positions are kept between restarts, as the host keeps them.
struct Bench {
    folder: TempDir,
    config: String,
    source: Option<Csv>,
    positions: Vec<Position>,
    limits: Limits,
    task: (u32, u32),
}

/// A record, or a rejection by its code.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Got {
    file: String,
    line: u64,
    key: String,
    value: String,
    code: Option<String>,
}

impl Bench {
    /// `config`: JSON members besides `path`.
    fn new(config: &str) -> Self {
        Self::of("", config)
    }

    fn of(path: &str, config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let full = folder.path().join(path).display().to_string();
        let comma = if config.is_empty() { "" } else { "," };
        let config = format!("{{\"path\":{}{comma}{config}}}", serde_json::Value::from(full));
        let limits = Limits { records: 1_000, bytes: 1 << 20, wait: Duration::ZERO };
        Self { folder, config, source: None, positions: Vec::new(), limits, task: (0, 1) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    fn append(&self, name: &str, content: &str) {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(content.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn restart(&mut self) {
        self.source = None;
    }

    fn try_poll(&mut self) -> Result<(Vec<Got>, Duration)> {
        if self.source.is_none() {
            let context = Context::new("wms", self.config.clone()).as_task(self.task.0, self.task.1);
            self.source = Some(Csv::open(&context, self.positions.clone())?);
        }
        let polled = self.source.as_mut().unwrap().poll(self.limits)?;
        for position in polled.positions {
            self.positions.retain(|known| known.slice != position.slice);
            if !position.place.is_empty() {
                self.positions.push(position);
            }
        }
        Ok((got(polled.records), polled.idle))
    }

    /// Polls until everything is read: one look.
    fn look(&mut self) -> Vec<Got> {
        let mut all = Vec::new();
        loop {
            let (got, idle) = self.try_poll().unwrap();
            all.extend(got);
            let source = self.source.as_mut().unwrap();
            if source.pause.is_on() {
                // As if the interval had passed.
                source.pause = Pause::default();
                return all;
            }
            if !idle.is_zero() {
                return all;
            }
        }
    }

    /// Values of one look.
    fn values(&mut self) -> Vec<String> {
        self.look().into_iter().map(|got| got.code.map_or(got.value, |code| format!("!{code}"))).collect()
    }

    fn slices(&self) -> Vec<&str> {
        let mut slices: Vec<&str> = self.positions.iter().map(|p| p.slice.as_str()).collect();
        slices.sort_unstable();
        slices
    }

    fn place(&self, slice: &str) -> place::Place {
        self.positions.iter().find(|p| p.slice == slice).unwrap().read().unwrap()
    }
}

fn got(records: Records) -> Vec<Got> {
    let codes: std::collections::BTreeMap<u32, String> = records.unreadable().map(|(index, why)| (index, why.code)).collect();
    let batch = records.into_batch();
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let records = batch.records().map(|record| Got {
        file: text(record.header("wharf.file").unwrap()),
        line: text(record.header("wharf.line").unwrap()).parse().unwrap(),
        key: text(record.key),
        value: text(record.value),
        code: codes.get(&record.index).cloned(),
    });
    records.collect()
}

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}
