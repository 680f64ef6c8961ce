//! Dead letters: the form in which a record that can't go on is kept, byte for byte, with place and reason in headers.
//! Owns that form; writing it to a topic is the pipeline's.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};

use crate::batch::{Batch, Header, Record};
use crate::outcome::Rejection;

pub mod headers;
pub mod window;

pub use window::Window;

use headers::Owned;

/// Longest part that is kept of a value above the limit, bytes.
const KEPT: usize = 64 * 1024;
/// What a record and each of its headers take beside their bytes: lengths, and the fields of the record's own head (KIP-98), at most.
const OVERHEAD: usize = 40;
/// Code of a record that is larger than the log takes.
pub const OVERSIZE: &str = "record.oversize";
/// Code of a record that the log takes in no size: its time, or what it is made of.
pub const REFUSED: &str = "record.refused";

/// Where a record failed; Kafka Connect's names, so that tools for its dead letters work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// The source read something that is no record.
    TaskPoll,
    /// A format's decoding or encoding of the key.
    KeyConverter,
    /// A format's decoding or encoding of the value; a value that a transform could not parse.
    ValueConverter,
    Transformation,
    /// The log refused the record.
    KafkaProduce,
    /// The record could not be read from the log.
    KafkaConsume,
    /// The target refused the record.
    TaskPut,
}

impl Stage {
    /// Kafka Connect's value of `__connect.errors.stage`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TaskPoll => "TASK_POLL",
            Self::KeyConverter => "KEY_CONVERTER",
            Self::ValueConverter => "VALUE_CONVERTER",
            Self::Transformation => "TRANSFORMATION",
            Self::KafkaProduce => "KAFKA_PRODUCE",
            Self::KafkaConsume => "KAFKA_CONSUME",
            Self::TaskPut => "TASK_PUT",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the dead letters of one task have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetters {
    pub topic: String,
    /// Name of the deployment.
    pub deployment: String,
    /// Name of the source or sink.
    pub connector: String,
    pub task: u32,
    /// The component, by bundled name or path.
    pub component: String,
    /// False: place and reason only, without key, value and headers, which may hold personal data.
    pub keep_value: bool,
    /// Larger records (key, value and headers) are cut; bytes.
    pub max_record_bytes: usize,
    /// Ids of the topics that are read, by name, as far as they are known.
    pub topic_ids: BTreeMap<String, String>,
}

impl DeadLetters {
    /// Appends the dead letter of `record` to `into`: topic `self.topic`, partition and offset -1, its own timestamp, and
    /// key, value and headers byte for byte, then the headers named in [`headers`]. `record` is what came in, before any
    /// transform. Headers that an earlier dead letter left on it are replaced, and `wharf.attempt` goes up.
    ///
    /// Where the letter would be larger than `max_record_bytes`, or the log refused the record itself for its size, key and value are
    /// cut to their first 64 KiB each (a quarter of the limit where that is less) and headers go from where they pass it;
    /// `wharf.truncated` names the parts.
    pub fn push(&self, into: &mut Batch, record: &Record<'_>, stage: Stage, rejection: &Rejection) {
        let most = if rejection.code == OVERSIZE { 0 } else { self.max_record_bytes };
        self.letter(into, record, (stage, rejection), most);
    }

    /// Appends a letter that was made before and that the log refused, changed so that it takes it, with all that is said in it: for
    /// its size (`code` is [`OVERSIZE`]) what it holds is cut as in [`push`](Self::push), for what else it is ([`REFUSED`]) it has the time
    /// of now, and that of the record in a header. False: it is changed so already, or holds nothing to cut, and nothing is appended.
    pub fn push_again(&self, into: &mut Batch, letter: &Record<'_>, code: &str) -> bool {
        let has = |name: &str| letter.headers.iter().any(|(known, _)| *known == name.as_bytes());
        let mut own: Vec<Owned<'_>> = Vec::new();
        let mut again = letter.clone();
        if code == REFUSED {
            if has(headers::TIMESTAMP) {
                return false;
            }
            own.push((headers::TIMESTAMP, letter.timestamp.to_string().into()));
            again.timestamp = jiff::Timestamp::now().as_millisecond();
        } else {
            if has(headers::TRUNCATED) || !self.keep_value {
                return false;
            }
            let (key, value, kept) = self.contents(letter, &mut own, 0);
            if own.is_empty() {
                return false;
            }
            let said = letter.headers.iter().filter(|(name, _)| headers::is_ours(name)).copied();
            again = Record { key, value, headers: kept.into_iter().chain(said).collect(), ..again };
        }
        again.headers.extend(own.iter().map(|(name, value)| (name.as_bytes(), Some(value.as_bytes()))));
        into.push(&again);
        true
    }

    fn letter(&self, into: &mut Batch, record: &Record<'_>, (stage, rejection): (Stage, &Rejection), most: usize) {
        let mut own = self.reason(record, stage, rejection);
        let (key, value, kept) = self.contents(record, &mut own, most);
        let mut headers: Vec<Header<'_>> = kept;
        headers.extend(own.iter().map(|(name, value)| (name.as_bytes(), Some(value.as_bytes()))));
        let letter = Record {
            topic: &self.topic,
            partition: -1,
            offset: -1,
            timestamp: record.timestamp,
            key,
            value,
            headers,
            attempt: 1,
        };
        into.push(&letter);
    }

    fn reason<'r>(&'r self, record: &Record<'r>, stage: Stage, rejection: &'r Rejection) -> Vec<Owned<'r>> {
        let message = headers::short(&rejection.message);
        let mut own: Vec<Owned<'r>> = Vec::with_capacity(16);
        if !record.topic.is_empty() {
            own.push((headers::TOPIC, record.topic.into()));
        }
        // A source's record has no place in a topic yet: no header is better than a wrong one.
        if record.partition >= 0 && record.offset >= 0 {
            own.push((headers::PARTITION, record.partition.to_string().into()));
            own.push((headers::OFFSET, record.offset.to_string().into()));
            if let Some(id) = self.topic_ids.get(record.topic) {
                own.push((headers::TOPIC_ID, Cow::from(id)));
            }
        }
        own.extend([
            (headers::CONNECTOR, Cow::from(&self.connector)),
            (headers::TASK, self.task.to_string().into()),
            (headers::STAGE, stage.as_str().into()),
            (headers::CLASS, Cow::from(&self.component)),
            (headers::EXCEPTION, Cow::from(&rejection.code)),
            (headers::MESSAGE, message.into()),
            (headers::DEPLOYMENT, Cow::from(&self.deployment)),
            (headers::CODE, Cow::from(&rejection.code)),
            (headers::ATTEMPT, headers::attempt(record).to_string().into()),
            (headers::TIME, format!("{:.6}", jiff::Timestamp::now()).into()),
        ]);
        if let Some(field) = &rejection.field {
            own.push((headers::FIELD, Cow::from(field)));
        }
        own
    }

    /// Key, value and headers to keep; says in `own` what is not kept. `most`: bytes of a whole letter.
    fn contents<'r>(
        &self,
        record: &Record<'r>,
        own: &mut Vec<Owned<'_>>,
        most: usize,
    ) -> (Option<&'r [u8]>, Option<&'r [u8]>, Vec<Header<'r>>) {
        if !self.keep_value {
            own.push((headers::OMITTED, "key,value,headers".into()));
            return (None, None, Vec::new());
        }
        let theirs: Vec<Header<'r>> = record.headers.iter().filter(|(name, _)| !headers::is_ours(name)).copied().collect();
        let said: usize = own.iter().map(|(name, value)| name.len() + value.len() + OVERHEAD).sum();
        let brought = size(record.key) + size(record.value) + headers::size(&theirs) + OVERHEAD * theirs.len();
        if OVERHEAD + brought + said <= most {
            return (record.key, record.value, theirs);
        }
        let limit = KEPT.min(self.max_record_bytes / 4);
        let cut = |part: Option<&'r [u8]>| part.map(|bytes| bytes.get(..limit).unwrap_or(bytes));
        let (key, value) = (cut(record.key), cut(record.value));
        let kept = headers::within(&theirs, limit);
        let parts = [("key", key != record.key), ("value", value != record.value), ("headers", kept.len() != theirs.len())];
        let parts: Vec<&str> = parts.into_iter().filter(|(_, cut)| *cut).map(|(part, _)| part).collect();
        if !parts.is_empty() {
            let whole = record.value.unwrap_or_default();
            own.push((headers::TRUNCATED, parts.join(",").into()));
            own.push((headers::SIZE, whole.len().to_string().into()));
            own.push((headers::SHA256, crate::transform::hex(&Sha256::digest(whole)).into()));
        }
        (key, value, kept)
    }
}

fn size(part: Option<&[u8]>) -> usize {
    part.map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests;
