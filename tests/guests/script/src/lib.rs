//! A source that plays a script: each poll gives the records of the next scene, or fails as the scene says. Its position counts
//! the scenes played.
#![expect(clippy::panic, reason = "what this guest is for")]

use std::time::Duration;

use serde::Deserialize;
use wharf_sdk::{Context, Error, Limits, NewRecord, Polled, Position, Result, Source, export_source};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    scenes: Vec<Scene>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scene {
    #[serde(default)]
    records: Vec<Spoken>,
    /// `trap` or `fatal` in place of an answer.
    ends: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spoken {
    topic: Option<String>,
    key: Option<String>,
    value: String,
    timestamp: Option<i64>,
}

struct Script {
    scenes: Vec<Scene>,
    next: usize,
}

impl Source for Script {
    fn open(context: &Context, positions: Vec<Position>) -> Result<Self> {
        let Config { scenes } = context.config()?;
        let next = positions.iter().find(|p| p.slice == "scenes").map(Position::read).transpose()?;
        Ok(Self { scenes, next: next.unwrap_or(0) })
    }

    fn poll(&mut self, _: Limits) -> Result<Polled> {
        let Some(scene) = self.scenes.get(self.next) else { return Ok(Polled::nothing(Duration::from_millis(200))) };
        match scene.ends.as_deref() {
            Some("trap") => panic!("trap in scene {}", self.next),
            Some(why) => return Err(Error::fatal(format!("scene {}: {why}", self.next))),
            None => {}
        }
        let mut polled = Polled::default();
        for Spoken { topic, key, value, timestamp } in &scene.records {
            let mut record = NewRecord::new().value(value);
            if let Some(topic) = topic {
                record = record.topic(topic);
            }
            if let Some(key) = key {
                record = record.key(key);
            }
            if let Some(timestamp) = timestamp {
                record = record.timestamp(*timestamp);
            }
            polled.records.push(record);
        }
        self.next += 1;
        polled.positions.push(Position::json("scenes", &self.next)?);
        Ok(polled)
    }
}

export_source!(Script, manifest = "name = \"script\"\nkind = \"source\"\nsummary = \"Plays a script.\"\n");
