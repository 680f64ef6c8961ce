//! Records that came in: views that borrow from the columns and the arena of a batch. Copies nothing.

use std::fmt;

use serde::Deserialize;

use crate::bindings::types;
use crate::outcome::Rejection;

/// Records as they crossed the boundary.
pub struct Batch(types::Batch);

impl Batch {
    /// Number of records.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.value_lens.len()
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.value_lens.is_empty()
    }

    /// The records in order.
    #[must_use]
    pub fn records(&self) -> Iter<'_> {
        Iter { batch: &self.0, index: 0, data: &self.0.data, header_lens: &self.0.header_lens }
    }

    /// The topics that occur in this batch.
    #[must_use]
    pub fn topics(&self) -> &[String] {
        &self.0.topics
    }
}

impl From<types::Batch> for Batch {
    fn from(batch: types::Batch) -> Self {
        Self(batch)
    }
}

impl From<Batch> for types::Batch {
    fn from(batch: Batch) -> Self {
        batch.0
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("records", &self.len()).field("topics", &self.0.topics).finish_non_exhaustive()
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = Record<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.records()
    }
}

/// One record, borrowed from its batch.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Place in the batch, from 0: what verdicts name.
    pub index: u32,
    pub topic: &'a str,
    /// -1 where the record is not in the log yet (a transform of a source).
    pub partition: i32,
    /// -1 where the record is not in the log yet.
    pub offset: i64,
    /// Milliseconds since 1970-01-01T00:00:00Z, where known.
    pub timestamp: Option<i64>,
    /// `None`: null.
    pub key: Option<&'a [u8]>,
    /// `None`: a tombstone.
    pub value: Option<&'a [u8]>,
    /// Delivery attempt, from 1.
    pub attempt: u32,
    headers: Headers<'a>,
}

impl<'a> Record<'a> {
    /// Names and values of the headers. Names are bytes, as the log does not promise UTF-8.
    #[must_use]
    pub const fn headers(&self) -> Headers<'a> {
        self.headers
    }

    /// The last header of this name; the inner `None` is a null value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Option<&'a [u8]>> {
        self.headers().filter(|(n, _)| *n == name.as_bytes()).last().map(|(_, value)| value)
    }

    /// `topic/partition/offset`: stable over retries and restarts, and no two records share it.
    #[must_use]
    pub const fn idempotency_key(&self) -> IdempotencyKey<'a> {
        IdempotencyKey { topic: self.topic, partition: self.partition, offset: self.offset }
    }

    /// The value, read as JSON.
    ///
    /// # Errors
    /// [`Rejection`] `value.null` for a tombstone, `value.json` for what is no JSON or does not fit `T`.
    pub fn json<T: Deserialize<'a>>(&self) -> Result<T, Rejection> {
        let bytes = self.value.ok_or_else(|| Rejection::new("value.null", "the record has no value"))?;
        serde_json::from_slice(bytes).map_err(|e| Rejection::new("value.json", format!("the value cannot be read: {e}")))
    }

    /// The key, read as JSON.
    ///
    /// # Errors
    /// [`Rejection`] `key.null` where there is none, `key.json` for what is no JSON or does not fit `T`.
    pub fn key_json<T: Deserialize<'a>>(&self) -> Result<T, Rejection> {
        let bytes = self.key.ok_or_else(|| Rejection::new("key.null", "the record has no key"))?;
        serde_json::from_slice(bytes).map_err(|e| Rejection::new("key.json", format!("the key cannot be read: {e}")))
    }
}

/// Where a record is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
}

impl fmt::Display for IdempotencyKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// Iterator over the headers of a record.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    lens: &'a [i32],
    data: &'a [u8],
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[name, value], rest) = self.lens.split_first_chunk::<2>()?;
        self.lens = rest;
        Some((take(&mut self.data, name).unwrap_or_default(), take(&mut self.data, value)))
    }
}

/// Iterator over the records of a batch. The host checked the columns; on ones that do not fit it yields empty fields.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    batch: &'a types::Batch,
    index: usize,
    data: &'a [u8],
    header_lens: &'a [i32],
}

impl<'a> Iterator for Iter<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let (batch, i) = (self.batch, self.index);
        let value_len = *batch.value_lens.get(i)?;
        self.index += 1;
        let key = take(&mut self.data, batch.key_lens.get(i).copied().unwrap_or(-1));
        let value = take(&mut self.data, value_len);
        let headers = self.headers(batch.header_counts.get(i).copied().unwrap_or(0));
        let topic = batch.topic_of.get(i).map_or(0, |topic| *topic as usize);
        Some(Record {
            index: u32::try_from(i).unwrap_or(u32::MAX),
            topic: batch.topics.get(topic).map_or("", String::as_str),
            partition: batch.partitions.get(i).copied().unwrap_or(-1),
            offset: batch.offsets.get(i).copied().unwrap_or(-1),
            timestamp: batch.timestamps.get(i).copied().filter(|t| *t >= 0),
            key,
            value,
            attempt: batch.attempts.get(i).copied().unwrap_or(1),
            headers,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.batch.value_lens.len() - self.index;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> Iter<'a> {
    fn headers(&mut self, count: u32) -> Headers<'a> {
        let (lens, rest) = self.header_lens.split_at_checked(count as usize * 2).unwrap_or_default();
        self.header_lens = rest;
        let bytes = lens.iter().filter_map(|len| usize::try_from(*len).ok()).sum();
        let (data, rest) = self.data.split_at_checked(bytes).unwrap_or_default();
        self.data = rest;
        Headers { lens, data }
    }
}

/// Cuts `len` bytes off the front; a negative length is null.
pub(crate) fn take<'a>(data: &mut &'a [u8], len: i32) -> Option<&'a [u8]> {
    let len = usize::try_from(len).ok()?;
    let (bytes, rest) = data.split_at_checked(len).unwrap_or_default();
    *data = rest;
    Some(bytes)
}
