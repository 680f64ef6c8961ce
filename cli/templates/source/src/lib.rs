//! A source that reads a folder of JSON documents: a new or changed file is a record, a removed one
//! a deletion. The key is `{"document": "<name without .json>"}`.
//!
//! Write a document under a name that begins with a dot and rename it when it is whole: names with a
//! dot in front are not read.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use wharf_sdk::{
    Context, Limits, NewRecord, Polled, Position, Rejection, Result, Source, duration,
    export_source, json,
};

mod folder;

use folder::{Print, fingerprint};

/// The `config` table, as `connector.toml` describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    folder: String,
    #[serde(default = "five_seconds", deserialize_with = "duration::above_zero")]
    interval: Duration,
}

const fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

struct Documents {
    config: Config,
    /// Which share of the documents is this task's.
    task: u64,
    tasks: u64,
    /// What was read of each document, by its file's name.
    known: BTreeMap<String, Print>,
}

impl Source for Documents {
    /// `positions` is all that was stored for this source. Each document is a slice of its own, so
    /// that documents can move between tasks when their number changes.
    fn open(context: &Context, positions: Vec<Position>) -> Result<Self> {
        let (task, tasks) = (u64::from(context.task), u64::from(context.tasks));
        let mut source = Self {
            config: context.config()?,
            task,
            tasks,
            known: BTreeMap::new(),
        };
        for position in positions {
            if source.is_mine(&position.slice) {
                let print = position.read()?;
                source.known.insert(position.slice, print);
            }
        }
        Ok(source)
    }

    /// Records and the positions that they lead to are stored together, or not at all: then this
    /// instance is thrown away, and the next one begins at what is stored.
    fn poll(&mut self, limits: Limits) -> Result<Polled> {
        let mut polled = Polled::default();
        let names = folder::list(&self.config.folder)?;
        for name in &names {
            if !self.is_mine(name) {
                continue;
            }
            if limits.reached(&polled.records) {
                // The rest comes with the next poll, at once.
                return Ok(polled);
            }
            // A file that went away since the look is gone in the next one.
            let Some(bytes) = folder::read(&self.config.folder, name)? else {
                continue;
            };
            let print = Print {
                fingerprint: fingerprint(&bytes),
            };
            if self.known.get(name) != Some(&print) {
                push(&mut polled, name, &bytes);
                polled
                    .positions
                    .push(Position::json(name.as_str(), &print)?);
                self.known.insert(name.clone(), print);
            }
        }
        let gone: Vec<String> = self
            .known
            .keys()
            .filter(|name| !names.contains(*name))
            .cloned()
            .collect();
        for name in gone {
            // Without a value the record is a tombstone: a deletion. The slice is done with.
            polled.records.push(NewRecord::new().key(&key(&name)));
            self.known.remove(&name);
            polled.positions.push(Position::forget(name));
        }
        polled.idle = self.config.interval;
        Ok(polled)
    }
}

impl Documents {
    fn is_mine(&self, name: &str) -> bool {
        fingerprint(name.as_bytes()) % self.tasks.max(1) == self.task
    }
}

/// A document as a record; what is no JSON goes to the dead letters as it stands in the file.
fn push(polled: &mut Polled, name: &str, bytes: &[u8]) {
    let key = key(name);
    let record = NewRecord::new().key(&key).value(bytes);
    match serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
        Ok(_) => polled.records.push(record),
        Err(error) => {
            let why = format!("{name} is no JSON: {error}");
            polled
                .records
                .push_unreadable(record, Rejection::new("document.json", why));
        }
    }
}

fn key(name: &str) -> String {
    format!(
        r#"{{"document":{}}}"#,
        json::json_string(name.trim_end_matches(folder::ENDING))
    )
}

export_source!(Documents, manifest = include_str!("../connector.toml"));

#[cfg(test)]
mod tests;
