//! Records that go out of a source: a builder for one, and the writer that appends them to columns and arena.

use std::fmt;

use crate::batch::Batch;
use crate::bindings::types;
use crate::outcome::{Rejection, rejected};

/// Names and values of headers; a `None` is a null value.
pub type HeaderList<'a> = &'a [(&'a str, Option<&'a [u8]>)];

/// A record to write. Everything is borrowed and copied once, when it is pushed.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewRecord<'a> {
    topic: Option<&'a str>,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    timestamp: Option<i64>,
    headers: HeaderList<'a>,
}

impl<'a> NewRecord<'a> {
    /// A record without key, whose value is null until it is given: a tombstone.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn key(mut self, key: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.key = Some(key.as_ref());
        self
    }

    #[must_use]
    pub fn value(mut self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.value = Some(value.as_ref());
        self
    }

    /// Another topic than that of the source's configuration.
    #[must_use]
    pub const fn topic(mut self, topic: &'a str) -> Self {
        self.topic = Some(topic);
        self
    }

    /// Milliseconds since 1970-01-01T00:00:00Z; without it the log sets its own time.
    #[must_use]
    pub const fn timestamp(mut self, milliseconds: i64) -> Self {
        self.timestamp = Some(milliseconds);
        self
    }

    /// All headers; a `None` is a null value.
    #[must_use]
    pub const fn headers(mut self, headers: HeaderList<'a>) -> Self {
        self.headers = headers;
        self
    }
}

/// Records that one poll has read, in order.
pub struct Records {
    batch: types::Batch,
    rejects: Vec<types::Outcome>,
}

impl Default for Records {
    fn default() -> Self {
        let batch = types::Batch {
            data: Vec::new(),
            key_lens: Vec::new(),
            value_lens: Vec::new(),
            header_counts: Vec::new(),
            header_lens: Vec::new(),
            timestamps: Vec::new(),
            topic_of: Vec::new(),
            topics: Vec::new(),
            partitions: Vec::new(),
            offsets: Vec::new(),
            attempts: Vec::new(),
        };
        Self { batch, rejects: Vec::new() }
    }
}

impl Records {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes room for so many more records of so many bytes together.
    pub fn reserve(&mut self, records: usize, bytes: usize) {
        self.batch.data.reserve(bytes);
        self.batch.key_lens.reserve(records);
        self.batch.value_lens.reserve(records);
    }

    /// Appends a record.
    pub fn push(&mut self, record: NewRecord<'_>) {
        let batch = &mut self.batch;
        let index = batch.value_lens.len();
        if record.topic.is_some() || !batch.topic_of.is_empty() {
            if batch.topic_of.len() < index {
                // Those before named none: the empty name stands for the topic of the configuration.
                let configured = topic_index(&mut batch.topics, "");
                batch.topic_of.resize(index, configured);
            }
            let topic = topic_index(&mut batch.topics, record.topic.unwrap_or_default());
            batch.topic_of.push(topic);
        }
        if !record.headers.is_empty() || !batch.header_counts.is_empty() {
            batch.header_counts.resize_with(index, u32::default);
            batch.header_counts.push(length(record.headers.len()));
        }
        if record.timestamp.is_some() || !batch.timestamps.is_empty() {
            batch.timestamps.resize(index, -1);
            batch.timestamps.push(record.timestamp.unwrap_or(-1));
        }
        let key = append(&mut batch.data, record.key);
        batch.key_lens.push(key);
        let value = append(&mut batch.data, record.value);
        batch.value_lens.push(value);
        for (name, value) in record.headers {
            let name = append(&mut batch.data, Some(name.as_bytes()));
            let value = append(&mut batch.data, *value);
            batch.header_lens.extend([name, value]);
        }
    }

    /// Appends raw input that could not be read; it goes to the dead-letter topic with the reason.
    pub fn push_unreadable(&mut self, raw: NewRecord<'_>, why: Rejection) {
        self.rejects.push(rejected(length(self.len()), why));
        self.push(raw);
    }

    /// Number of records, unreadable ones included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.batch.value_lens.len()
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.batch.value_lens.is_empty()
    }

    /// Bytes of keys, values and headers.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.batch.data.len()
    }

    /// The records as a sink would see them: for tests.
    #[must_use]
    pub fn into_batch(self) -> Batch {
        self.batch.into()
    }

    /// What could not be read, and why: the index of the record, with code, message and field. For tests.
    pub fn unreadable(&self) -> impl Iterator<Item = (u32, Rejection)> {
        self.rejects.iter().filter_map(|outcome| match &outcome.verdict {
            types::Verdict::Reject(types::Rejection { code, message, field }) => {
                let (code, message, field) = (code.clone(), message.clone(), field.clone());
                Some((outcome.index, Rejection { code, message, field }))
            }
            types::Verdict::Retry(_) => None,
        })
    }

    /// As if the records had been read from partition 0, from offset 0.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn into_placed_batch(mut self) -> Batch {
        let count = i64::from(length(self.len()));
        self.batch.partitions = vec![0; self.len()];
        self.batch.offsets = (0..count).collect();
        self.batch.into()
    }

    pub(crate) fn finish(self) -> (types::Batch, Vec<types::Outcome>) {
        (self.batch, self.rejects)
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("len", &self.len()).field("unreadable", &self.rejects.len()).finish_non_exhaustive()
    }
}

/// Neighbours mostly share their topic, so the search begins at the end.
pub(crate) fn topic_index(topics: &mut Vec<String>, topic: &str) -> u32 {
    let found = topics.iter().rposition(|t| t == topic).unwrap_or_else(|| {
        topics.push(topic.to_owned());
        topics.len() - 1
    });
    length(found)
}

/// Appends bytes to an arena and gives their length, -1 for null.
pub(crate) fn append(data: &mut Vec<u8>, bytes: Option<&[u8]>) -> i32 {
    let Some(bytes) = bytes else { return -1 };
    data.extend_from_slice(bytes);
    // A guest's memory is far below 2 GiB.
    i32::try_from(bytes.len()).unwrap_or(i32::MAX)
}

pub(crate) fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
