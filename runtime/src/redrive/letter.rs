//! A dead letter read back: what its headers say. Pure.

use crate::batch::{Header, Record};
use crate::dead_letter::headers as names;

/// A dead letter, borrowed from its record.
#[derive(Debug, Clone)]
pub struct Letter<'r> {
    pub record: &'r Record<'r>,
    pub deployment: &'r str,
    pub connector: &'r str,
    pub code: &'r str,
    pub stage: &'r str,
    pub message: &'r str,
    /// JSON pointer of the field at fault; empty where none is known.
    pub field: &'r str,
    /// How often the record became a dead letter, from 1.
    pub attempt: u32,
    /// When it did, milliseconds since the epoch; the record's own time where that is not said.
    pub time: i64,
    /// The record's timestamp, milliseconds since the epoch.
    pub timestamp: i64,
    /// Where the record came from, or was to go; empty where it is not said.
    pub topic: &'r str,
    /// Its place there; a source's record has none.
    pub partition: Option<i32>,
    pub offset: Option<i64>,
    /// Which topic of that name it was; empty where it is not said.
    pub topic_id: &'r str,
    /// The parts that were cut, or left out on purpose; empty where none was.
    pub truncated: &'r str,
    pub omitted: &'r str,
}

impl<'r> Letter<'r> {
    /// Whether this deployment wrote it; several may share a topic. Who wrote one without its name is not known.
    #[must_use]
    pub fn is_of(&self, deployment: &str) -> bool {
        self.deployment.is_empty() || self.deployment == deployment
    }

    /// `None`: the record is no dead letter.
    #[must_use]
    pub fn of(record: &'r Record<'r>) -> Option<Self> {
        let header = |name: &str| {
            let found = record.headers.iter().rev().find(|(known, _)| *known == name.as_bytes());
            found.and_then(|(_, value)| std::str::from_utf8((*value)?).ok()).unwrap_or_default()
        };
        let code = [header(names::CODE), header(names::EXCEPTION)].into_iter().find(|code| !code.is_empty())?;
        let time = header(names::TIME).parse::<jiff::Timestamp>().map_or(record.timestamp, jiff::Timestamp::as_millisecond);
        Some(Self {
            record,
            deployment: header(names::DEPLOYMENT),
            connector: header(names::CONNECTOR),
            code,
            stage: header(names::STAGE),
            message: header(names::MESSAGE),
            field: header(names::FIELD),
            attempt: header(names::ATTEMPT).parse().unwrap_or(1),
            time,
            timestamp: header(names::TIMESTAMP).parse().unwrap_or(record.timestamp),
            topic: header(names::TOPIC),
            partition: header(names::PARTITION).parse().ok(),
            offset: header(names::OFFSET).parse().ok(),
            topic_id: header(names::TOPIC_ID),
            truncated: header(names::TRUNCATED),
            omitted: header(names::OMITTED),
        })
    }

    /// Where the letter itself stands.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}/{}/{}", self.record.topic, self.record.partition, self.record.offset)
    }

    /// Where its record came from: `topic/partition/offset`; empty where it had no place (a source's).
    #[must_use]
    pub fn origin(&self) -> String {
        match (self.partition, self.offset) {
            (Some(partition), Some(offset)) => format!("{}/{partition}/{offset}", self.topic),
            _ => String::new(),
        }
    }

    /// The headers that the record had itself.
    pub fn own_headers(&self) -> impl Iterator<Item = Header<'r>> {
        self.record.headers.iter().filter(|(name, _)| !names::is_ours(name)).copied()
    }
}
