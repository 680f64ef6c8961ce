//! Transforms: change records on their way. Owns the trait that a guest implements and the writer of changes.

use std::fmt;

use crate::batch::{Batch, Record};
use crate::bindings::{transform, types};
use crate::context::Context;
use crate::error::Result;
use crate::export::{Slot, not_open};
use crate::manifest::{Kind, describe};
use crate::outcome::{Rejection, rejected};
use crate::writer::{HeaderList, append, length, topic_index};

/// A transform. It must not keep state that a replay would count twice.
pub trait Transform: Sized + 'static {
    /// # Errors
    /// [`Error::Fatal`](crate::Error::Fatal) for a configuration that cannot work.
    fn open(context: &Context) -> Result<Self>;

    /// Puts into `out`, record by record in order, what becomes of each. One that is not put out is filtered.
    ///
    /// # Errors
    /// For the whole call; one record is rejected with [`Delta::reject`].
    fn apply(&mut self, records: &Batch, out: &mut Delta) -> Result<()>;

    /// The last call of an instance that ends in order.
    fn close(self) {}
}

/// Changes to one record; what is not named stays as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change<'a> {
    key: Option<Option<&'a [u8]>>,
    value: Option<Option<&'a [u8]>>,
    topic: Option<&'a str>,
    headers: Option<HeaderList<'a>>,
}

impl<'a> Change<'a> {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn key(mut self, key: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.key = Some(Some(key.as_ref()));
        self
    }

    #[must_use]
    pub const fn null_key(mut self) -> Self {
        self.key = Some(None);
        self
    }

    #[must_use]
    pub fn value(mut self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.value = Some(Some(value.as_ref()));
        self
    }

    /// Makes a tombstone.
    #[must_use]
    pub const fn null_value(mut self) -> Self {
        self.value = Some(None);
        self
    }

    #[must_use]
    pub const fn topic(mut self, topic: &'a str) -> Self {
        self.topic = Some(topic);
        self
    }

    /// Replaces all headers.
    #[must_use]
    pub const fn headers(mut self, headers: HeaderList<'a>) -> Self {
        self.headers = Some(headers);
        self
    }
}

const UNCHANGED_BYTES: i32 = -2;
const UNCHANGED: i32 = -1;

/// The output of a transform: which input each output record is of, and what is new.
pub struct Delta(transform::exports::wharf::connector::transform_guest::Delta);

impl Default for Delta {
    fn default() -> Self {
        Self(transform::exports::wharf::connector::transform_guest::Delta {
            inputs: Vec::new(),
            key_lens: Vec::new(),
            value_lens: Vec::new(),
            header_counts: Vec::new(),
            header_lens: Vec::new(),
            topic_of: Vec::new(),
            topics: Vec::new(),
            data: Vec::new(),
            rejects: Vec::new(),
        })
    }
}

impl Delta {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a record out as it came.
    pub fn keep(&mut self, record: &Record<'_>) {
        self.push(record, Change::new());
    }

    /// Puts a record out with changes; several times for a split.
    pub fn push(&mut self, record: &Record<'_>, change: Change<'_>) {
        let delta = &mut self.0;
        let row = delta.inputs.len();
        delta.inputs.push(record.index);
        if let Some(key) = change.key {
            let len = append(&mut delta.data, key);
            put(&mut delta.key_lens, row, UNCHANGED_BYTES, len);
        }
        if let Some(value) = change.value {
            let len = append(&mut delta.data, value);
            put(&mut delta.value_lens, row, UNCHANGED_BYTES, len);
        }
        if let Some(headers) = change.headers {
            for (name, value) in headers {
                let name = append(&mut delta.data, Some(name.as_bytes()));
                let value = append(&mut delta.data, *value);
                delta.header_lens.extend([name, value]);
            }
            put(&mut delta.header_counts, row, UNCHANGED, signed(headers.len()));
        }
        if let Some(topic) = change.topic {
            let topic = topic_index(&mut delta.topics, topic);
            put(&mut delta.topic_of, row, UNCHANGED, signed(topic as usize));
        }
    }

    /// This record can never be transformed. A record that is put out must not be rejected too.
    pub fn reject(&mut self, record: &Record<'_>, why: Rejection) {
        self.0.rejects.push(rejected(record.index, why));
    }

    /// Number of output records.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.inputs.len()
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.inputs.is_empty()
    }

    /// Fills up the columns that have an entry, and puts the rejects in order.
    pub(crate) fn finish(mut self) -> transform::exports::wharf::connector::transform_guest::Delta {
        let delta = &mut self.0;
        let rows = delta.inputs.len();
        for (column, unchanged) in [
            (&mut delta.key_lens, UNCHANGED_BYTES),
            (&mut delta.value_lens, UNCHANGED_BYTES),
            (&mut delta.header_counts, UNCHANGED),
            (&mut delta.topic_of, UNCHANGED),
        ] {
            if !column.is_empty() {
                column.resize(rows, unchanged);
            }
        }
        delta.rejects.sort_by_key(|outcome| outcome.index);
        delta.rejects.dedup_by_key(|outcome| outcome.index);
        self.0
    }
}

impl fmt::Debug for Delta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delta").field("len", &self.len()).field("rejects", &self.0.rejects.len()).finish_non_exhaustive()
    }
}

/// Sets the entry of a row that is at or behind the end of its column.
fn put(column: &mut Vec<i32>, row: usize, unchanged: i32, entry: i32) {
    column.resize(row, unchanged);
    column.push(entry);
}

fn signed(len: usize) -> i32 {
    i32::try_from(length(len)).unwrap_or(i32::MAX)
}

impl<E: Slot<Instance: Transform>> transform::exports::wharf::connector::transform_guest::Guest for E {
    fn describe() -> types::Description {
        describe(Self::MANIFEST, Self::VERSION, Kind::Transform).unwrap_or_else(|reason| Self::invalid(&reason))
    }

    fn open(context: types::Context) -> Result<(), types::Error> {
        Self::put(E::Instance::open(&context.into())?);
        Ok(())
    }

    fn apply(records: types::Batch) -> Result<transform::exports::wharf::connector::transform_guest::Delta, types::Error> {
        let records = records.into();
        let mut out = Delta::new();
        Self::with(|t| t.as_mut().map_or_else(not_open, |t| t.apply(&records, &mut out)))?;
        Ok(out.finish())
    }

    fn close() {
        if let Some(transform) = Self::with(Option::take) {
            transform.close();
        }
    }
}
