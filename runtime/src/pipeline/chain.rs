//! The transforms of one connector in the order they are written: runs of built-in steps and Wasm steps between them.
//! Owns the Wasm steps' instances; a trap ends one, the batch is replayed in a fresh one and halved down to the record at fault.

use crate::batch::Batch;
use crate::config::{Format, Predicate, TransformConfig, TransformStep};
use crate::dead_letter::Stage;
use crate::guest::{Component, Context, Grants, GuestError, TransformGuest};
use crate::outcome::Rejection;
use crate::pipeline::addressed::addressed;
use crate::pipeline::{TaskError, poison};
use crate::transform::{Applied, BuiltIns, Reject, delta::apply_delta, select};

/// All transforms of one task.
#[derive(Debug)]
pub struct Chain(Vec<Segment>);

#[derive(Debug)]
enum Segment {
    /// The group of the sink.
    Addressed(String),
    BuiltIns(BuiltIns),
    Wasm(Box<WasmStep>),
}

/// A Wasm step; its instance is made when it is first needed.
#[derive(Debug)]
pub struct WasmStep {
    pub component: Component,
    pub context: Context,
    pub grants: Grants,
    pub when: Option<Predicate>,
    pub guest: Option<TransformGuest>,
}

impl Chain {
    /// `decode` before the first step (sinks), `encode` after the last (sources). `wasm` makes the step of a component.
    ///
    /// # Errors
    /// What `wasm` says.
    pub fn new(
        decode: Option<Format>,
        steps: &[TransformConfig],
        encode: Option<Format>,
        mut wasm: impl FnMut(usize, &TransformConfig) -> Result<WasmStep, TaskError>,
    ) -> Result<Self, TaskError> {
        let mut segments = Vec::new();
        let mut run = Vec::new();
        let mut decode = decode;
        for (index, step) in steps.iter().enumerate() {
            if matches!(step.step, TransformStep::Component { .. }) {
                segments.push(Segment::BuiltIns(BuiltIns::new(decode.take(), std::mem::take(&mut run), None)));
                segments.push(Segment::Wasm(Box::new(wasm(index, step)?)));
            } else {
                run.push(step.clone());
            }
        }
        segments.push(Segment::BuiltIns(BuiltIns::new(decode, run, encode)));
        segments.retain(|s| !matches!(s, Segment::BuiltIns(b) if b.is_identity()));
        Ok(Self(segments))
    }

    pub(super) fn address(&mut self, group: String) {
        self.0.insert(0, Segment::Addressed(group));
    }

    /// Whether this batch comes out as it goes in, with nobody looking at it.
    #[must_use]
    pub fn passes(&self, input: &Batch) -> bool {
        self.0.iter().all(|segment| matches!(segment, Segment::Addressed(_) if input.header_counts.is_empty()))
    }

    /// Applies all steps. Rejections name the stage; indices are those of `input`. The children of a split may end apart: their
    /// index is then in `origin` and in `rejects`, or there more than once.
    ///
    /// # Errors
    /// Only when a Wasm step cannot go on at all (fatal, or it asks to try again later).
    pub async fn apply(&mut self, input: Batch) -> Result<Applied, TaskError> {
        let mut all = Applied::unchanged(input);
        for segment in &mut self.0 {
            let step = match segment {
                Segment::Addressed(group) => addressed(group, all.records),
                Segment::BuiltIns(steps) => steps.apply(all.records),
                Segment::Wasm(step) => step.apply(all.records).await?,
            };
            let to_input = |index: u32| all.origin.get(index as usize).copied().unwrap_or(u32::MAX);
            all.rejects.extend(step.rejects.into_iter().map(|r| Reject { index: to_input(r.index), ..r }));
            all.origin = step.origin.into_iter().map(to_input).collect();
            all.records = step.records;
        }
        all.rejects.sort_by_key(|r| r.index);
        Ok(all)
    }
}

impl WasmStep {
    async fn apply(&mut self, input: Batch) -> Result<Applied, TaskError> {
        let Some(when) = &self.when else {
            return self.apply_isolating(input).await;
        };
        let chosen = select(when, &input);
        let step = self.apply_isolating(input.select(|i| chosen.get(i).copied().unwrap_or(false))).await?;
        Ok(merge(&input, &chosen, step))
    }

    /// Applies the guest to the batch; when it dies twice, halves the batch until the record at fault stands alone.
    async fn apply_isolating(&mut self, mut input: Batch) -> Result<Applied, TaskError> {
        let mut done = Applied::unchanged(Batch::default());
        let count = input.len();
        let mut pieces = vec![(0, count, 0)];
        while let Some((from, to, deaths)) = pieces.pop() {
            self.make_ready().await?;
            let answered = if to - from == count {
                // The input is whole again unless this succeeds, and then it was the last piece.
                self.apply_once(&mut input).await
            } else {
                self.apply_once(&mut input.select(|i| i >= from && i < to)).await
            };
            match answered {
                Ok(applied) => done.append(applied, from),
                Err(error @ GuestError::Died { .. }) => {
                    self.guest = None;
                    tracing::warn!(connector = self.grants.connector, %error, records = to - from, "transform ended, replaying in a fresh instance");
                    if deaths == 0 {
                        pieces.push((from, to, 1));
                    } else if to - from <= 1 {
                        done.reject(from, poison(&error));
                    } else {
                        let middle = usize::midpoint(from, to);
                        pieces.push((middle, to, 0));
                        pieces.push((from, middle, 0));
                    }
                }
                Err(GuestError::Reject(reason)) if to - from <= 1 => {
                    done.reject(from, Rejection::new("transform.rejected", reason));
                }
                Err(GuestError::Reject(_)) => {
                    let middle = usize::midpoint(from, to);
                    pieces.push((middle, to, 0));
                    pieces.push((from, middle, 0));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(done)
    }

    /// An open instance. That one can't be opened is no record's fault: it ends the task, and buries none.
    async fn make_ready(&mut self) -> Result<(), TaskError> {
        if self.guest.is_none() {
            let mut fresh = TransformGuest::start(&self.component, self.grants.clone()).await?;
            fresh.open(self.context.clone()).await?;
            self.guest = Some(fresh);
        }
        Ok(())
    }

    async fn apply_once(&mut self, input: &mut Batch) -> Result<Applied, GuestError> {
        if input.is_empty() {
            return Ok(Applied::unchanged(Batch::default()));
        }
        let Some(guest) = &mut self.guest else {
            return Err(GuestError::Fatal("no instance of the transform is running".to_owned()));
        };
        let delta = guest.apply(input).await?;
        apply_delta(input, delta).map_err(|e| guest.malformed(e))
    }
}

/// Puts the records that the step did not see back in their places.
fn merge(input: &Batch, chosen: &[bool], step: Applied) -> Applied {
    let places: Vec<u32> = (0u32..).zip(chosen).filter(|(_, c)| **c).map(|(i, _)| i).collect();
    let place = |index: u32| places.get(index as usize).copied().unwrap_or(u32::MAX);
    let mut merged = Applied::unchanged(Batch::default());
    merged.rejects = step.rejects.into_iter().map(|r| Reject { index: place(r.index), ..r }).collect();
    let mut changed = step.origin.iter().map(|&o| place(o)).zip(step.records.records()).peekable();
    for ((index, record), chosen) in (0u32..).zip(input.records()).zip(chosen) {
        if !chosen {
            merged.records.push(&record);
            merged.origin.push(index);
        }
        while let Some((_, record)) = changed.next_if(|(place, _)| *place == index) {
            merged.records.push(&record);
            merged.origin.push(index);
        }
    }
    merged
}

impl Applied {
    /// Every record as it came.
    #[must_use]
    pub fn unchanged(records: Batch) -> Self {
        let origin = (0..u32::try_from(records.len()).unwrap_or(u32::MAX)).collect();
        Self { records, origin, rejects: Vec::new() }
    }

    fn append(&mut self, piece: Self, from: usize) {
        if from == 0 {
            *self = piece;
            return;
        }
        let from = u32::try_from(from).unwrap_or(u32::MAX);
        piece.records.records().for_each(|r| self.records.push(&r));
        self.origin.extend(piece.origin.iter().map(|o| o + from));
        self.rejects.extend(piece.rejects.into_iter().map(|r| Reject { index: r.index + from, ..r }));
    }

    fn reject(&mut self, index: usize, rejection: Rejection) {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        self.rejects.push(Reject { index, stage: Stage::Transformation, rejection });
    }
}

#[cfg(test)]
mod tests;
