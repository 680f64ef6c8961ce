//! Built-in transforms: runs of configured steps over a batch, in the order written, with the format's decoding before
//! and encoding after. Owns which records go on, which are filtered and which are refused; does no I/O and starts no guest.
//!
//! A value's JSON is parsed when the first step asks for a field, once, and only what steps can reach of it; it is written again
//! only when a step changed it: records that no step touches keep their bytes, and of plain records so do the other members.
//! Field steps pass tombstones (and a JSON `null`) as they are; `key` and `route` by field refuse them, as they need a field.

use crate::batch::Batch;
use crate::config::{Format, TransformConfig, TransformStep};
use crate::dead_letter::Stage;
use crate::format;
use crate::outcome::Rejection;

pub mod cast;
mod copy;
pub mod decimal;
pub mod delta;
mod drop;
pub mod field;
mod flatten;
mod keep;
mod key;
mod mask;
mod partial;
mod predicate;
pub mod record;
mod rename;
mod route;
mod set;
mod touched;

pub use mask::hex;
pub use predicate::select;
pub use record::{Refused, Working};

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    pub records: Batch,
    /// Input index of each output record, ascending, may repeat.
    pub origin: Vec<u32>,
    /// Ascending; an index is here or in `origin` or, when filtered, in neither.
    pub rejects: Vec<Reject>,
}

/// A record that can't go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Index into the input batch.
    pub index: u32,
    pub stage: Stage,
    pub rejection: Rejection,
}

/// A run of consecutive built-in steps, with the format's decoding before and/or encoding after it.
#[derive(Debug)]
pub struct BuiltIns {
    decode: Option<Format>,
    steps: Vec<Conditional>,
    encode: Option<Format>,
    /// What the steps can reach of a value; `None`: all of it.
    touched: Option<touched::Touched>,
}

#[derive(Debug)]
struct Conditional {
    when: Option<crate::config::Predicate>,
    step: Step,
}

/// A configured step with what can be prepared once.
#[derive(Debug)]
enum Step {
    Rename(rename::Rename),
    Copy(copy::Copy),
    Keep(keep::Keep),
    Drop(drop::Drop),
    Mask(mask::Mask),
    Cast(cast::Cast),
    Set(set::Set),
    Flatten(flatten::Flatten),
    Key(key::Key),
    Route(route::Route),
    Filter(crate::config::Predicate),
    Component,
}

impl BuiltIns {
    /// `steps` in the order written, without component steps: those run in a guest, between two runs of built-in ones.
    #[must_use]
    pub fn new(decode: Option<Format>, steps: Vec<TransformConfig>, encode: Option<Format>) -> Self {
        let whole = |format: Option<Format>| matches!(format, Some(Format::JsonEnvelope | Format::Text));
        let touched = if whole(decode) || whole(encode) { None } else { touched::Touched::by(&steps) };
        let steps = steps.into_iter().map(|c| Conditional { when: c.when.map(predicate::prepared), step: Step::new(c.step) });
        Self { decode, steps: steps.collect(), encode, touched }
    }

    /// True when `apply` would hand every batch on as it is.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        let plain = |f: Option<Format>| matches!(f, None | Some(Format::Json | Format::Bytes));
        self.steps.is_empty() && plain(self.decode) && plain(self.encode)
    }

    /// Runs the steps over each record. A record that a step refuses is in `rejects`, and only that one.
    #[must_use]
    pub fn apply(&self, input: Batch) -> Applied {
        let count = u32::try_from(input.len()).unwrap_or(u32::MAX);
        if self.is_identity() {
            return Applied { records: input, origin: (0..count).collect(), rejects: Vec::new() };
        }
        let mut applied = Applied::default();
        applied.records.topics.clone_from(&input.topics);
        applied.records.data.reserve(input.data.len());
        applied.origin.reserve(input.len());
        let mut decoder = self.decode.map(format::Decoder::new);
        let mut scratch = Vec::new();
        for (index, record) in (0..count).zip(input.records()) {
            let mut working = Working::touching(record, self.touched.as_ref());
            let kept = self.run(&mut working, decoder.as_mut()).and_then(|keep| {
                if keep {
                    working.write(&mut applied.records, &mut scratch)?;
                }
                Ok(keep)
            });
            match kept {
                Ok(true) => applied.origin.push(index),
                Ok(false) => {}
                Err(Refused { stage, rejection }) => applied.rejects.push(Reject { index, stage, rejection }),
            }
        }
        applied
    }

    /// True: the record goes on; false: filtered.
    fn run(&self, record: &mut Working<'_>, decoder: Option<&mut format::Decoder>) -> Result<bool, Refused> {
        if let Some(decoder) = decoder {
            decoder.decode(record)?;
        }
        for Conditional { when, step } in &self.steps {
            if let Some(when) = when
                && !when.matches(record)?
            {
                continue;
            }
            if !step.apply(record)? {
                return Ok(false);
            }
        }
        if let Some(encode) = self.encode {
            format::encode(encode, record)?;
        }
        Ok(true)
    }
}

impl Step {
    fn new(step: TransformStep) -> Self {
        match step {
            TransformStep::Rename(pairs) => Self::Rename(rename::Rename::new(pairs)),
            TransformStep::Copy(fields) => Self::Copy(copy::Copy::new(fields)),
            TransformStep::Keep(fields) => Self::Keep(keep::Keep::new(fields)),
            TransformStep::Drop(fields) => Self::Drop(drop::Drop::new(fields)),
            TransformStep::Mask { fields, how } => Self::Mask(mask::Mask::new(fields, how)),
            TransformStep::Cast(casts) => Self::Cast(cast::Cast::new(casts)),
            TransformStep::Set(sets) => Self::Set(set::Set::new(sets)),
            TransformStep::Flatten { separator } => Self::Flatten(flatten::Flatten::new(separator)),
            TransformStep::Key(fields) => Self::Key(key::Key::new(fields)),
            TransformStep::Route(route) => Self::Route(route::Route::new(route)),
            TransformStep::Filter(predicate) => Self::Filter(predicate::prepared(predicate)),
            TransformStep::Component { .. } => Self::Component,
        }
    }

    /// False: the record is filtered.
    fn apply(&self, record: &mut Working<'_>) -> Result<bool, Refused> {
        match self {
            Self::Rename(step) => step.apply(record)?,
            Self::Copy(step) => step.apply(record)?,
            Self::Keep(step) => step.apply(record)?,
            Self::Drop(step) => step.apply(record)?,
            Self::Mask(step) => step.apply(record)?,
            Self::Cast(step) => step.apply(record)?,
            Self::Set(step) => step.apply(record)?,
            Self::Flatten(step) => step.apply(record)?,
            Self::Key(step) => step.apply(record)?,
            Self::Route(step) => step.apply(record)?,
            Self::Filter(predicate) => return predicate.matches(record),
            Self::Component => {
                let message =
                    "a component step was handed to the built-in transforms, which is a fault in Wharf: please report it";
                return Err(Refused::transform(Rejection::new("transform.component", message)));
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
