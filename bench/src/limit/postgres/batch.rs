//! Records on their way to the table: encoded as they come, with what it takes to isolate one of them.

use std::collections::HashSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Message};

use super::copy;
use super::order::Order;
use crate::limit::dead_letters::DeadLetter;
use crate::limit::group::Places;

/// When a batch is full, or due.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub rows: usize,
    pub bytes: usize,
    pub wait: Duration,
}

#[derive(Debug)]
struct Row {
    id: i64,
    partition: i32,
    offset: i64,
    /// In `encoded`, and the value as it came in `values`.
    row: Range<usize>,
    value: Range<usize>,
}

#[derive(Debug)]
pub struct Batch {
    topic: String,
    encoded: Vec<u8>,
    values: Vec<u8>,
    rows: Vec<Row>,
    pub bad: Vec<DeadLetter>,
    /// Where each partition goes on after this batch.
    pub next: Places,
    /// Where the batch before ended.
    pub expected: Places,
    pub first: Option<Instant>,
}

impl Batch {
    pub fn new(topic: &str, limits: &Limits) -> Self {
        let mut encoded = Vec::with_capacity(limits.bytes + 64 * 1024);
        encoded.extend_from_slice(copy::HEAD);
        let (values, rows) = (Vec::with_capacity(limits.bytes + 64 * 1024), Vec::with_capacity(limits.rows));
        let (next, expected) = (Places::new(), Places::new());
        Self { topic: topic.to_owned(), encoded, values, rows, bad: Vec::new(), next, expected, first: None }
    }

    pub const fn is_new(&self) -> bool {
        self.first.is_none()
    }

    /// Rows, without the bad records.
    pub const fn count(&self) -> usize {
        self.rows.len()
    }

    pub const fn is_full(&self, limits: &Limits) -> bool {
        self.rows.len() >= limits.rows || self.values.len() >= limits.bytes
    }

    pub fn is_due(&self, limits: &Limits) -> bool {
        self.first.is_some_and(|first| first.elapsed() >= limits.wait)
    }

    /// A value that does not parse is set aside.
    pub fn push(&mut self, message: &BorrowedMessage<'_>) {
        if self.first.is_none() {
            self.first = Some(Instant::now());
        }
        let (partition, offset) = (message.partition(), message.offset());
        self.next.insert(partition, offset + 1);
        let value = message.payload().unwrap_or_default();
        let start = self.encoded.len();
        match self.encode(value) {
            Ok(id) => {
                let from = self.values.len();
                self.values.extend_from_slice(value);
                let (row, value) = (start..self.encoded.len(), from..self.values.len());
                self.rows.push(Row { id, partition, offset, row, value });
            }
            Err(error) => {
                self.encoded.truncate(start);
                let letter = self.letter(partition, offset, &format!("{error:#}"), value.to_vec());
                self.bad.push(letter);
            }
        }
    }

    fn encode(&mut self, value: &[u8]) -> Result<i64> {
        let order: Order<'_> = serde_json::from_slice(value)?;
        order.encode(&mut self.encoded)?;
        Ok(order.id)
    }

    /// The rows of `range` as COPY takes them, of each key the last one only.
    ///
    /// # Errors
    /// When a range is none of this batch.
    pub fn rows(&self, range: &Range<usize>) -> Result<Bytes> {
        let rows = self.rows.get(range.clone()).context("a range beyond the batch")?;
        let mut of_key: Vec<_> = rows.iter().map(|row| row.id).zip(0..).collect();
        // Stable, and nearly sorted already as ids go up.
        of_key.sort_by_key(|(id, _)| *id);
        let beaten = of_key.iter().zip(of_key.iter().skip(1)).filter(|((id, _), (next, _))| id == next);
        let beaten: HashSet<usize> = beaten.map(|((_, at), _)| *at).collect();
        let mut bytes = Vec::with_capacity(copy::HEAD.len() + rows.iter().map(|row| row.row.len()).sum::<usize>() + 2);
        bytes.extend_from_slice(copy::HEAD);
        for (at, row) in rows.iter().enumerate() {
            if !beaten.contains(&at) {
                bytes.extend_from_slice(self.encoded.get(row.row.clone()).context("a row beyond the batch")?);
            }
        }
        bytes.extend_from_slice(copy::TAIL);
        Ok(bytes.into())
    }

    /// All rows; taken out where no key comes twice, so that nothing is copied. [`Batch::give`] brings them back.
    ///
    /// # Errors
    /// As [`Batch::rows`].
    pub fn all(&mut self) -> Result<Bytes> {
        let mut ids: Vec<_> = self.rows.iter().map(|row| row.id).collect();
        ids.sort_unstable();
        if ids.iter().zip(ids.iter().skip(1)).any(|(id, next)| id == next) {
            return self.rows(&(0..self.rows.len()));
        }
        let mut bytes = std::mem::take(&mut self.encoded);
        bytes.extend_from_slice(copy::TAIL);
        Ok(bytes.into())
    }

    /// Takes back what [`Batch::all`] has taken out.
    pub fn give(&mut self, all: Bytes) {
        if self.encoded.is_empty() {
            self.encoded = all.into();
            self.encoded.truncate(self.encoded.len() - copy::TAIL.len());
        }
    }

    /// Empty again, in the same memory.
    pub fn clear(&mut self) {
        self.encoded.truncate(copy::HEAD.len());
        self.values.clear();
        self.rows.clear();
        self.bad.clear();
        self.next.clear();
        self.expected.clear();
        self.first = None;
    }

    /// The row that the database refused.
    ///
    /// # Errors
    /// When there is no such row.
    pub fn refused(&self, at: usize, reason: &str) -> Result<DeadLetter> {
        let row = self.rows.get(at).context("a row beyond the batch")?;
        let value = self.values.get(row.value.clone()).context("a value beyond the batch")?;
        Ok(self.letter(row.partition, row.offset, reason, value.to_vec()))
    }

    fn letter(&self, partition: i32, offset: i64, reason: &str, value: Vec<u8>) -> DeadLetter {
        DeadLetter { topic: self.topic.clone(), partition: Some(partition), offset, reason: reason.to_owned(), value }
    }
}
