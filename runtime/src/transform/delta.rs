//! What a Wasm transform answered, checked and laid over its input. Owns the meaning of `delta` in `wit/v0.1/worlds.wit`;
//! trusts none of it.

use super::route::is_topic;
use super::{Applied, Reject};
use crate::batch::{Batch, Header, Record};
use crate::dead_letter::Stage;
use crate::outcome::{Delta, Verdict};

/// A delta that can't be meant: a fault of the transform component. Its batch counts as not transformed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeltaError {
    #[error("`{column}` has {found} entries for {expected} output records")]
    Column { column: &'static str, found: usize, expected: usize },
    #[error("`inputs` names record {index}, but {records} records were handed over")]
    Input { index: u32, records: usize },
    #[error("`inputs` is not ascending at record {index}")]
    Order { index: u32 },
    #[error("`rejects` names record {index}, but {records} records were handed over")]
    RejectRange { index: u32, records: usize },
    #[error("`rejects` is not ascending, or names a record twice, at record {index}")]
    RejectOrder { index: u32 },
    #[error("record {index} is both in `inputs` and in `rejects`")]
    Both { index: u32 },
    #[error("record {index} has the verdict retry, but a transform may only reject")]
    Retry { index: u32 },
    #[error("{length} in `{column}` has no meaning there")]
    Length { length: i32, column: &'static str },
    #[error("`header-lens` has {found} entries, `header-counts` announces {expected} headers (two entries each)")]
    Headers { found: usize, expected: usize },
    #[error("lengths add up to {expected} bytes, `data` holds {found}")]
    Arena { found: usize, expected: usize },
    #[error("topic {index}, but `topics` has {topics}")]
    Topic { index: i32, topics: usize },
    #[error("`{0}` can't be a topic: 1 to 249 of a-z A-Z 0-9 . _ - are allowed")]
    TopicName(String),
}

/// Checks and applies what a Wasm transform answered for `input`. Where nothing changed, the records are moved out of `input`.
///
/// # Errors
/// [`DeltaError`], naming what doesn't fit; `input` is then as it was.
pub fn apply_delta(input: &mut Batch, delta: Delta) -> Result<Applied, DeltaError> {
    check_columns(&delta)?;
    check_inputs(input, &delta.inputs)?;
    if let Some(topic) = delta.topics.iter().find(|t| !is_topic(t)) {
        return Err(DeltaError::TopicName(topic.clone()));
    }
    let rejects = rejects(input, &delta)?;
    let records = if is_identity(input, &delta) { std::mem::take(input) } else { lay_over(input, &delta)? };
    Ok(Applied { records, origin: delta.inputs, rejects })
}

/// Every record goes on as it came.
fn is_identity(input: &Batch, delta: &Delta) -> bool {
    let columns = [&delta.key_lens, &delta.value_lens, &delta.header_counts, &delta.header_lens, &delta.topic_of];
    let unchanged = columns.into_iter().all(Vec::is_empty) && delta.data.is_empty();
    unchanged && delta.inputs.len() == input.len() && (0u32..).zip(&delta.inputs).all(|(place, &index)| place == index)
}

fn lay_over(input: &Batch, delta: &Delta) -> Result<Batch, DeltaError> {
    let mut output = Batch { topics: input.topics.clone(), ..Batch::default() };
    output.reserve(delta.inputs.len(), room(input, delta));
    let mut changes = Changes { delta, at: 0, header: 0 };
    let mut records = (0u32..).zip(input.records());
    let mut current: Option<(u32, Record<'_>)> = None;
    for (row, &index) in delta.inputs.iter().enumerate() {
        if current.as_ref().is_none_or(|(i, _)| *i != index) {
            current = records.by_ref().find(|(i, _)| *i == index);
        }
        let Some((_, record)) = &current else { return Err(DeltaError::Input { index, records: input.len() }) };
        output.push(&changes.lay_over(row, record)?);
    }
    changes.finish()?;
    Ok(output)
}

/// Bytes to set aside for the output: a guess, as a filter that keeps little would waste the input's size.
const fn room(input: &Batch, delta: &Delta) -> usize {
    match input.len() {
        0 => 0,
        records if delta.value_lens.is_empty() => input.data.len() / records * delta.inputs.len(),
        _ => delta.data.len(),
    }
}

fn check_columns(delta: &Delta) -> Result<(), DeltaError> {
    let expected = delta.inputs.len();
    let columns = [
        ("key-lens", delta.key_lens.len()),
        ("value-lens", delta.value_lens.len()),
        ("header-counts", delta.header_counts.len()),
        ("topic-of", delta.topic_of.len()),
    ];
    match columns.into_iter().find(|(_, found)| *found != 0 && *found != expected) {
        Some((column, found)) => Err(DeltaError::Column { column, found, expected }),
        None => Ok(()),
    }
}

fn check_inputs(input: &Batch, inputs: &[u32]) -> Result<(), DeltaError> {
    if let Some(&index) = inputs.iter().find(|&&index| index as usize >= input.len()) {
        return Err(DeltaError::Input { index, records: input.len() });
    }
    match inputs.iter().zip(inputs.iter().skip(1)).find(|(before, after)| before > after) {
        Some((_, &index)) => Err(DeltaError::Order { index }),
        None => Ok(()),
    }
}

fn rejects(input: &Batch, delta: &Delta) -> Result<Vec<Reject>, DeltaError> {
    let mut rejects: Vec<Reject> = Vec::with_capacity(delta.rejects.len());
    for outcome in &delta.rejects {
        let index = outcome.index;
        if index as usize >= input.len() {
            return Err(DeltaError::RejectRange { index, records: input.len() });
        }
        if rejects.last().is_some_and(|last| last.index >= index) {
            return Err(DeltaError::RejectOrder { index });
        }
        if delta.inputs.binary_search(&index).is_ok() {
            return Err(DeltaError::Both { index });
        }
        let Verdict::Reject(rejection) = &outcome.verdict else { return Err(DeltaError::Retry { index }) };
        rejects.push(Reject { index, stage: Stage::Transformation, rejection: rejection.clone() });
    }
    Ok(rejects)
}

/// The changes in order of the output records.
struct Changes<'d> {
    delta: &'d Delta,
    at: usize,
    header: usize,
}

impl<'d> Changes<'d> {
    fn lay_over<'r>(&mut self, row: usize, record: &'r Record<'r>) -> Result<Record<'r>, DeltaError>
    where
        'd: 'r,
    {
        let delta = self.delta;
        let key = self.part(delta.key_lens.get(row), record.key, "key-lens")?;
        let value = self.part(delta.value_lens.get(row), record.value, "value-lens")?;
        let headers = match delta.header_counts.get(row) {
            None | Some(-1) => record.headers.clone(),
            Some(&count) => self.headers(count)?,
        };
        let topic = match delta.topic_of.get(row) {
            None | Some(-1) => record.topic,
            Some(&index) => {
                let topic = usize::try_from(index).ok().and_then(|i| delta.topics.get(i));
                topic.ok_or(DeltaError::Topic { index, topics: delta.topics.len() })?
            }
        };
        Ok(Record { topic, key, value, headers, ..*record })
    }

    fn part<'r>(
        &mut self,
        len: Option<&i32>,
        unchanged: Option<&'r [u8]>,
        column: &'static str,
    ) -> Result<Option<&'r [u8]>, DeltaError>
    where
        'd: 'r,
    {
        match len {
            None | Some(-2) => Ok(unchanged),
            Some(-1) => Ok(None),
            Some(&length) => self.take(length, column).map(Some),
        }
    }

    fn headers(&mut self, count: i32) -> Result<Vec<Header<'d>>, DeltaError> {
        let count = usize::try_from(count).map_err(|_| DeltaError::Length { length: count, column: "header-counts" })?;
        // Against a count that no memory holds.
        if count > self.delta.header_lens.len() / 2 {
            return Err(DeltaError::Headers { found: self.delta.header_lens.len(), expected: count });
        }
        (0..count).map(|_| self.header()).collect()
    }

    fn header(&mut self) -> Result<Header<'d>, DeltaError> {
        let lens = &self.delta.header_lens;
        let (Some(&name), Some(&value)) = (lens.get(self.header), lens.get(self.header + 1)) else {
            return Err(DeltaError::Headers { found: lens.len(), expected: self.header / 2 + 1 });
        };
        self.header += 2;
        let name = self.take(name, "header-lens")?;
        let value = if value == -1 { None } else { Some(self.take(value, "header-lens")?) };
        Ok((name, value))
    }

    fn take(&mut self, length: i32, column: &'static str) -> Result<&'d [u8], DeltaError> {
        let count = usize::try_from(length).map_err(|_| DeltaError::Length { length, column })?;
        let end = self.at + count;
        let found = self.delta.data.len();
        let bytes = self.delta.data.get(self.at..end).ok_or(DeltaError::Arena { found, expected: end })?;
        self.at = end;
        Ok(bytes)
    }

    /// Nothing may be left over.
    fn finish(self) -> Result<(), DeltaError> {
        if self.header != self.delta.header_lens.len() {
            return Err(DeltaError::Headers { found: self.delta.header_lens.len(), expected: self.header / 2 });
        }
        if self.at != self.delta.data.len() {
            return Err(DeltaError::Arena { found: self.delta.data.len(), expected: self.at });
        }
        Ok(())
    }
}
