//! What a transform makes of a batch, as the host does it: the changes laid over their records. For tests only; what a component
//! answers is checked and applied by the host.

use crate::batch::{Batch, Record, take};
use crate::bindings::transform::exports::wharf::connector::transform_guest::Delta as Columns;
use crate::bindings::types;
use crate::error::{Error, Result};
use crate::outcome::Rejection;
use crate::transform::{Delta, Transform};
use crate::writer::{NewRecord, Records};

/// What came out of a transform.
#[derive(Debug)]
pub struct Transformed {
    /// The records that go on, in order, at the places of those they were made of.
    pub records: Batch,
    /// Index in the input of each of them. What is neither here nor rejected is filtered.
    pub origin: Vec<u32>,
    /// Index in the input and reason of what was rejected, ascending.
    pub rejected: Vec<(u32, Rejection)>,
}

/// Applies a transform to a batch.
///
/// # Errors
/// What `apply` answers, and [`Error::Fatal`] where it puts out a record that is not of this batch.
pub fn transform(transform: &mut impl Transform, records: &Batch) -> Result<Transformed> {
    let mut out = Delta::new();
    transform.apply(records, &mut out)?;
    let delta = out.finish();
    let mut rejected = Vec::new();
    for outcome in &delta.rejects {
        if let types::Verdict::Reject(why) = &outcome.verdict {
            let why = Rejection { code: why.code.clone(), message: why.message.clone(), field: why.field.clone() };
            rejected.push((outcome.index, why));
        }
    }
    Ok(Transformed { records: lay_over(records, &delta)?, origin: delta.inputs, rejected })
}

fn lay_over(batch: &Batch, delta: &Columns) -> Result<Batch> {
    let inputs: Vec<Record<'_>> = batch.records().collect();
    let (mut data, mut lens) = (delta.data.as_slice(), delta.header_lens.as_slice());
    let mut out = Records::new();
    let (mut partitions, mut offsets) = (Vec::new(), Vec::new());
    for (row, index) in delta.inputs.iter().enumerate() {
        let record = inputs
            .get(*index as usize)
            .ok_or_else(|| Error::fatal(format!("record {index} was put out, but the batch has {}", inputs.len())))?;
        let key = changed(delta.key_lens.get(row), &mut data, record.key);
        let value = changed(delta.value_lens.get(row), &mut data, record.value);
        let headers = match delta.header_counts.get(row).and_then(|count| usize::try_from(*count).ok()) {
            Some(count) => (0..count).map(|_| header(&mut lens, &mut data)).collect(),
            None => record.headers().map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), value)).collect::<Vec<_>>(),
        };
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let topic = delta.topic_of.get(row).and_then(|topic| delta.topics.get(usize::try_from(*topic).ok()?));
        let mut new = NewRecord::new().topic(topic.map_or(record.topic, String::as_str)).headers(&headers);
        if let Some(key) = key {
            new = new.key(key);
        }
        if let Some(value) = value {
            new = new.value(value);
        }
        if let Some(timestamp) = record.timestamp {
            new = new.timestamp(timestamp);
        }
        out.push(new);
        partitions.push(record.partition);
        offsets.push(record.offset);
    }
    let placed: types::Batch = out.into_batch().into();
    Ok(types::Batch { partitions, offsets, ..placed }.into())
}

/// A key or a value: the old one where the delta says nothing, or -2.
fn changed<'a>(len: Option<&i32>, data: &mut &'a [u8], old: Option<&'a [u8]>) -> Option<&'a [u8]> {
    match len {
        None | Some(-2) => old,
        Some(len) => take(data, *len),
    }
}

fn header<'a>(lens: &mut &[i32], data: &mut &'a [u8]) -> (String, Option<&'a [u8]>) {
    let Some((&[name, value], rest)) = lens.split_first_chunk::<2>() else { return (String::new(), None) };
    *lens = rest;
    let name = String::from_utf8_lossy(take(data, name).unwrap_or_default()).into_owned();
    (name, take(data, value))
}
