//! Names of the headers on a dead letter, once. Values are UTF-8 text, numbers too, as Kafka Connect writes them.

use std::borrow::Cow;

use crate::batch::{Header, Record};

/// A header that we write.
pub type Owned<'a> = (&'static str, Cow<'a, str>);

/// Place of the record; partition and offset are left out where the record had none (sources).
pub const TOPIC: &str = "__connect.errors.topic";
pub const PARTITION: &str = "__connect.errors.partition";
pub const OFFSET: &str = "__connect.errors.offset";
/// Id of the topic that the place is in (KIP-516): one that was deleted and made anew has the same name and other records.
pub const TOPIC_ID: &str = "wharf.topic-id";
pub const CONNECTOR: &str = "__connect.errors.connector.name";
pub const TASK: &str = "__connect.errors.task.id";
pub const STAGE: &str = "__connect.errors.stage";
/// The component.
pub const CLASS: &str = "__connect.errors.class.name";
/// The rejection's code.
pub const EXCEPTION: &str = "__connect.errors.exception.class.name";
pub const MESSAGE: &str = "__connect.errors.exception.message";
/// Name of the deployment.
pub const DEPLOYMENT: &str = "wharf.deployment";
/// The rejection's code again, under a name of its own.
pub const CODE: &str = "wharf.code";
/// JSON pointer of the field at fault, where one is.
pub const FIELD: &str = "wharf.field";
/// How often this record became a dead letter, from 1. A redriven record carries that of its letter, so that it counts on.
pub const ATTEMPT: &str = "wharf.attempt";
/// When it did: RFC 3339 UTC. The letter's own timestamp is the record's.
pub const TIME: &str = "wharf.time";
/// The record's timestamp, in milliseconds since the epoch, where the log does not take it and the letter has that of its making.
pub const TIMESTAMP: &str = "wharf.timestamp";
/// Parts that were cut (`key,value,headers`), with size and SHA-256 (hex) of the whole value.
pub const TRUNCATED: &str = "wharf.truncated";
pub const SIZE: &str = "wharf.size";
pub const SHA256: &str = "wharf.sha256";
/// Parts that were left out because the operator wants no content in dead letters.
pub const OMITTED: &str = "wharf.omitted";

/// On a redriven record, not on a letter: the group (`wharf.<deployment>.<sink>`) of the one sink that it is meant for.
pub const REDRIVE_FOR: &str = "wharf.redrive-for";

/// Bytes of a message that are kept: headers count towards the log's limit of a record.
const MESSAGE_LIMIT: usize = 4096;

/// Whether a header comes from an earlier dead letter, ours or Kafka Connect's.
#[must_use]
pub fn is_ours(name: &[u8]) -> bool {
    let ours = [TOPIC_ID, DEPLOYMENT, CODE, FIELD, ATTEMPT, TIME, TIMESTAMP, TRUNCATED, SIZE, SHA256, OMITTED, REDRIVE_FOR];
    name.starts_with(b"__connect.errors.") || ours.iter().any(|own| own.as_bytes() == name)
}

/// Number of this dead letter of the record, from 1.
#[must_use]
pub fn attempt(record: &Record<'_>) -> u32 {
    let earlier = record.headers.iter().rev().find(|(name, _)| *name == ATTEMPT.as_bytes());
    let text = earlier.and_then(|(_, value)| std::str::from_utf8(value.as_ref()?).ok());
    // What someone else wrote there counts as one.
    earlier.map_or(1, |_| text.and_then(|t| t.parse::<u32>().ok()).unwrap_or(1).saturating_add(1))
}

/// Bytes of headers.
#[must_use]
pub fn size(headers: &[Header<'_>]) -> usize {
    headers.iter().map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len)).sum()
}

/// The leading headers that together have at most `limit` bytes.
#[must_use]
pub fn within<'r>(headers: &[Header<'r>], limit: usize) -> Vec<Header<'r>> {
    let mut left = limit;
    let fits = |header: &&Header<'r>| {
        let rest = left.checked_sub(size(&[**header]));
        left = rest.unwrap_or(0);
        rest.is_some()
    };
    headers.iter().take_while(fits).copied().collect()
}

/// The start of a message, cut between characters.
#[must_use]
pub fn short(message: &str) -> &str {
    let mut end = message.len().min(MESSAGE_LIMIT);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.get(..end).unwrap_or_default()
}
