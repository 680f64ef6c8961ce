//! Between the interface's records and host types: columns are moved, not copied.

use std::time::Duration;

use super::{sink, source, transform, types};
use crate::batch::Batch;
use crate::guest::{Context, Description, GuestError};
use crate::outcome::{Delta, Outcome, Polled, Rejection, Verdict, Written};
use crate::topic_log::Position;

impl From<Batch> for types::Batch {
    fn from(b: Batch) -> Self {
        Self {
            data: b.data,
            key_lens: b.key_lens,
            value_lens: b.value_lens,
            header_counts: b.header_counts,
            header_lens: b.header_lens,
            timestamps: b.timestamps,
            topic_of: b.topic_of,
            topics: b.topics,
            partitions: b.partitions,
            offsets: b.offsets,
            attempts: b.attempts,
        }
    }
}

impl From<types::Batch> for Batch {
    fn from(b: types::Batch) -> Self {
        Self {
            data: b.data,
            key_lens: b.key_lens,
            value_lens: b.value_lens,
            header_counts: b.header_counts,
            header_lens: b.header_lens,
            timestamps: b.timestamps,
            topic_of: b.topic_of,
            topics: b.topics,
            partitions: b.partitions,
            offsets: b.offsets,
            attempts: b.attempts,
        }
    }
}

impl From<types::Error> for GuestError {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::Retry(later) => {
                Self::Retry { message: later.message, after: later.after_ms.map(Duration::from_millis) }
            }
            types::Error::Reject(reason) => Self::Reject(reason),
            types::Error::Fatal(reason) => Self::Fatal(reason),
        }
    }
}

impl From<types::Outcome> for Outcome {
    fn from(outcome: types::Outcome) -> Self {
        let verdict = match outcome.verdict {
            types::Verdict::Retry(after) => Verdict::Retry(after.map(Duration::from_millis)),
            types::Verdict::Reject(r) => Verdict::Reject(Rejection { code: r.code, message: r.message, field: r.field }),
        };
        Self { index: outcome.index, verdict }
    }
}

fn outcomes(list: Vec<types::Outcome>) -> Vec<Outcome> {
    list.into_iter().map(Into::into).collect()
}

impl From<types::Position> for Position {
    fn from(p: types::Position) -> Self {
        Self { slice: p.slice, place: p.place }
    }
}

impl From<Position> for types::Position {
    fn from(p: Position) -> Self {
        Self { slice: p.slice, place: p.place }
    }
}

impl From<types::Description> for Description {
    fn from(d: types::Description) -> Self {
        Self { name: d.name, version: d.version, wants: d.wants, manifest: d.manifest }
    }
}

impl From<Context> for types::Context {
    fn from(c: Context) -> Self {
        Self { name: c.name, task: c.task, tasks: c.tasks, config: c.config, extra: "{}".to_owned() }
    }
}

impl From<source::exports::wharf::connector::source_guest::Polled> for Polled {
    fn from(p: source::exports::wharf::connector::source_guest::Polled) -> Self {
        Self {
            records: p.records.into(),
            rejects: outcomes(p.rejects),
            positions: p.positions.into_iter().map(Into::into).collect(),
            idle: Duration::from_millis(u64::from(p.idle_ms)),
            finished: p.finished,
        }
    }
}

impl From<sink::exports::wharf::connector::sink_guest::Written> for Written {
    fn from(w: sink::exports::wharf::connector::sink_guest::Written) -> Self {
        Self { outcomes: outcomes(w.outcomes), buffered: w.buffered }
    }
}

impl From<transform::exports::wharf::connector::transform_guest::Delta> for Delta {
    fn from(d: transform::exports::wharf::connector::transform_guest::Delta) -> Self {
        Self {
            inputs: d.inputs,
            key_lens: d.key_lens,
            value_lens: d.value_lens,
            header_counts: d.header_counts,
            header_lens: d.header_lens,
            topic_of: d.topic_of,
            topics: d.topics,
            data: d.data,
            rejects: outcomes(d.rejects),
        }
    }
}
