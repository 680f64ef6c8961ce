//! The columnar batch: the one record representation on the hot path. Owns the layout that crosses the
//! component boundary (`wit/v0.1/types.wit`, record `batch`) and its checks; knows neither wasmtime nor Kafka.

/// Length in a column that means null.
const NULL: i32 = -1;

/// Records as columns plus one arena; see `wit/v0.1/types.wit` for the meaning of each column.
/// Inside the host every column is filled, except `header_*` (empty: no headers), `topic_of` (empty: all in
/// `topics[0]`) and `attempts` (empty: all 1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    pub data: Vec<u8>,
    pub key_lens: Vec<i32>,
    pub value_lens: Vec<i32>,
    pub header_counts: Vec<u32>,
    pub header_lens: Vec<i32>,
    pub timestamps: Vec<i64>,
    pub topic_of: Vec<u32>,
    pub topics: Vec<String>,
    pub partitions: Vec<i32>,
    pub offsets: Vec<i64>,
    pub attempts: Vec<u32>,
}

/// A header: its name's bytes as they stand in the log (not always UTF-8), and its value (`None`: null).
pub type Header<'a> = (&'a [u8], Option<&'a [u8]>);

/// One record, borrowed from a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    pub topic: &'a str,
    /// -1: not yet chosen.
    pub partition: i32,
    /// -1: not yet written.
    pub offset: i64,
    /// Milliseconds since the epoch; -1: unknown.
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    /// `None`: a tombstone.
    pub value: Option<&'a [u8]>,
    pub headers: Vec<Header<'a>>,
    /// Delivery attempt, from 1.
    pub attempt: u32,
}

/// A batch whose columns do not fit each other; only a guest can make one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Malformed {
    #[error("column `{column}` has {found} entries for {expected} records")]
    Column { column: &'static str, found: usize, expected: usize },
    #[error("lengths add up to {found} bytes, `data` holds {expected}")]
    Arena { found: usize, expected: usize },
    #[error("length {0} in column `{1}` is neither -1 nor a length")]
    Length(i32, &'static str),
    #[error("`header-lens` has {found} entries for {expected} headers")]
    Headers { found: usize, expected: usize },
    #[error("topic index {index} of record {record}, but there are {topics} topics")]
    Topic { record: usize, index: u32, topics: usize },
}

impl Batch {
    /// Number of records.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.value_lens.len()
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.value_lens.is_empty()
    }

    /// Checks what a guest handed over; every other method relies on it.
    ///
    /// # Errors
    /// [`Malformed`], naming the first column that does not fit.
    pub fn check(&self) -> Result<(), Malformed> {
        let n = self.len();
        self.check_columns(n)?;
        let headers: usize = self.header_counts.iter().map(|&c| c as usize).sum();
        if self.header_lens.len() != headers * 2 {
            return Err(Malformed::Headers { found: self.header_lens.len(), expected: headers * 2 });
        }
        let sum = total(&self.key_lens, "key-lens")?
            + total(&self.value_lens, "value-lens")?
            + total(&self.header_lens, "header-lens")?;
        if let Some(&name) = self.header_lens.iter().step_by(2).find(|&&l| l < 0) {
            return Err(Malformed::Length(name, "header-lens"));
        }
        if sum != self.data.len() {
            return Err(Malformed::Arena { found: sum, expected: self.data.len() });
        }
        for (record, &index) in self.topic_of.iter().enumerate() {
            if index as usize >= self.topics.len() {
                return Err(Malformed::Topic { record, index, topics: self.topics.len() });
            }
        }
        Ok(())
    }

    fn check_columns(&self, n: usize) -> Result<(), Malformed> {
        let columns = [
            ("key-lens", self.key_lens.len(), true),
            ("header-counts", self.header_counts.len(), false),
            ("timestamps", self.timestamps.len(), false),
            ("topic-of", self.topic_of.len(), false),
            ("partitions", self.partitions.len(), false),
            ("offsets", self.offsets.len(), false),
            ("attempts", self.attempts.len(), false),
        ];
        for (column, found, always) in columns {
            if found != n && (always || found != 0) {
                return Err(Malformed::Column { column, found, expected: n });
            }
        }
        Ok(())
    }

    /// The records in order, each borrowing from this batch.
    #[must_use]
    pub const fn records(&self) -> Records<'_> {
        Records { batch: self, index: 0, at: 0, header: 0 }
    }

    /// Topic, partition and offset of a record; `None` where there is no such record.
    #[must_use]
    pub fn place(&self, index: usize) -> Option<(&str, i32, i64)> {
        let topic = self.topics.get(self.topic_of.get(index).copied().unwrap_or(0) as usize).map_or("", String::as_str);
        Some((topic, *self.partitions.get(index)?, *self.offsets.get(index)?))
    }

    /// Bytes of each record: its key, value and headers.
    pub fn sizes(&self) -> impl Iterator<Item = usize> {
        let mut headers = self.header_lens.chunks_exact(2);
        let of = |len: i32| usize::try_from(len).unwrap_or(0);
        self.key_lens.iter().zip(&self.value_lens).enumerate().map(move |(index, (key, value))| {
            let count = self.header_counts.get(index).copied().unwrap_or(0) as usize;
            let headers = headers.by_ref().take(count).flatten().map(|len| of(*len)).sum::<usize>();
            of(*key) + of(*value) + headers
        })
    }

    /// Appends all records of another batch, column by column.
    pub fn append(&mut self, mut other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        let (here, there) = (self.len(), other.len());
        // Both name their topics: most often one, the same.
        if self.topics != other.topics || !self.topic_of.is_empty() || !other.topic_of.is_empty() {
            let places: Vec<u32> = other.topics.iter().map(|topic| self.topic_index(topic)).collect();
            other.topic_of.resize(there, 0);
            self.topic_of.resize(here, 0);
            self.topic_of.extend(other.topic_of.iter().map(|at| places.get(*at as usize).copied().unwrap_or(0)));
        }
        if !(self.header_counts.is_empty() && other.header_counts.is_empty()) {
            other.header_counts.resize(there, 0);
            self.header_counts.resize(here, 0);
            self.header_counts.append(&mut other.header_counts);
            self.header_lens.append(&mut other.header_lens);
        }
        if !(self.attempts.is_empty() && other.attempts.is_empty()) {
            other.attempts.resize(there, 1);
            self.attempts.resize(here, 1);
            self.attempts.append(&mut other.attempts);
        }
        self.data.append(&mut other.data);
        self.key_lens.append(&mut other.key_lens);
        self.timestamps.append(&mut other.timestamps);
        self.partitions.append(&mut other.partitions);
        self.offsets.append(&mut other.offsets);
        self.value_lens.append(&mut other.value_lens);
    }

    /// Makes room for so many more records of so many bytes together.
    pub fn reserve(&mut self, records: usize, bytes: usize) {
        self.data.reserve(bytes);
        self.key_lens.reserve(records);
        self.value_lens.reserve(records);
        self.timestamps.reserve(records);
        self.partitions.reserve(records);
        self.offsets.reserve(records);
    }

    /// Appends a record. The topic is looked up from the end, as neighbours mostly share it.
    pub fn push(&mut self, record: &Record<'_>) {
        let topic = self.topic_index(record.topic);
        if topic != 0 || !self.topic_of.is_empty() {
            self.topic_of.resize(self.len(), 0);
            self.topic_of.push(topic);
        }
        if !record.headers.is_empty() || !self.header_counts.is_empty() {
            self.header_counts.resize(self.len(), 0);
            self.header_counts.push(u32::try_from(record.headers.len()).unwrap_or(u32::MAX));
        }
        if record.attempt != 1 || !self.attempts.is_empty() {
            self.attempts.resize(self.len(), 1);
            self.attempts.push(record.attempt);
        }
        let key = self.put(record.key);
        let value = self.put(record.value);
        self.key_lens.push(key);
        for (name, value) in &record.headers {
            let name = self.put(Some(name));
            let value = self.put(*value);
            self.header_lens.extend([name, value]);
        }
        self.timestamps.push(record.timestamp);
        self.partitions.push(record.partition);
        self.offsets.push(record.offset);
        self.value_lens.push(value);
    }

    fn put(&mut self, bytes: Option<&[u8]>) -> i32 {
        let Some(bytes) = bytes else { return NULL };
        self.data.extend_from_slice(bytes);
        // Records are far below 2 GiB: every log refuses them above its message size.
        i32::try_from(bytes.len()).unwrap_or(i32::MAX)
    }

    fn topic_index(&mut self, topic: &str) -> u32 {
        let found = self.topics.iter().rposition(|t| t == topic);
        let index = found.unwrap_or_else(|| {
            self.topics.push(topic.to_owned());
            self.topics.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    /// A batch of those records whose index `keep` accepts, in order.
    #[must_use]
    pub fn select(&self, mut keep: impl FnMut(usize) -> bool) -> Self {
        let mut selected = Self { topics: self.topics.clone(), ..Self::default() };
        for (index, record) in self.records().enumerate() {
            if keep(index) {
                selected.push(&record);
            }
        }
        selected
    }
}

fn total(lens: &[i32], column: &'static str) -> Result<usize, Malformed> {
    lens.iter().try_fold(0usize, |sum, &len| match usize::try_from(len) {
        Ok(len) => Ok(sum.saturating_add(len)),
        Err(_) if len == NULL => Ok(sum),
        Err(_) => Err(Malformed::Length(len, column)),
    })
}

/// Iterator over the records of a batch. On a batch that [`Batch::check`] refuses it ends early or yields
/// empty fields; it never panics.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    batch: &'a Batch,
    index: usize,
    at: usize,
    header: usize,
}

impl<'a> Records<'a> {
    fn take(&mut self, len: i32) -> Option<&'a [u8]> {
        let len = usize::try_from(len).ok()?;
        let bytes = self.batch.data.get(self.at..self.at + len).unwrap_or_default();
        self.at += len;
        Some(bytes)
    }

    fn header_pair(&mut self) -> Header<'a> {
        let name = self.batch.header_lens.get(self.header).copied().unwrap_or(0);
        let value = self.batch.header_lens.get(self.header + 1).copied().unwrap_or(NULL);
        self.header += 2;
        (self.take(name).unwrap_or_default(), self.take(value))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let (batch, i) = (self.batch, self.index);
        let value_len = *batch.value_lens.get(i)?;
        let key = self.take(batch.key_lens.get(i).copied().unwrap_or(NULL));
        let value = self.take(value_len);
        let headers = batch.header_counts.get(i).copied().unwrap_or(0);
        let headers = (0..headers).map(|_| self.header_pair()).collect();
        let topic = batch.topic_of.get(i).copied().unwrap_or(0) as usize;
        self.index += 1;
        Some(Record {
            topic: batch.topics.get(topic).map_or("", String::as_str),
            partition: batch.partitions.get(i).copied().unwrap_or(-1),
            offset: batch.offsets.get(i).copied().unwrap_or(-1),
            timestamp: batch.timestamps.get(i).copied().unwrap_or(-1),
            key,
            value,
            headers,
            attempt: batch.attempts.get(i).copied().unwrap_or(1),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.batch.len().saturating_sub(self.index);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Records<'_> {}

#[cfg(test)]
mod tests;
