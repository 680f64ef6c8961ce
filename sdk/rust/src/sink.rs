//! Sinks: write to a business system. Owns the trait that a guest implements; only `open` and `write` are needed.

use crate::batch::Batch;
use crate::bindings::{sink, types};
use crate::context::Context;
use crate::error::Result;
use crate::export::{Slot, not_open};
use crate::manifest::{Kind, describe};
use crate::outcome::Outcomes;

/// A sink. Calls come one at a time: `open`, `assign`, then `write` and `flush`, then `close` (which a crash leaves out).
pub trait Sink: Sized + 'static {
    /// # Errors
    /// [`Error::Fatal`](crate::Error::Fatal) for a configuration that cannot work.
    fn open(context: &Context) -> Result<Self>;

    /// Writes records in order. What the answer does not name was accepted, and is durable unless it says `buffered`.
    ///
    /// # Errors
    /// After [`Error::Retry`](crate::Error::Retry) the same records come again.
    fn write(&mut self, records: &Batch) -> Result<Outcomes>;

    /// These partitions are now this instance's: the whole list, after each change. Answers, for each, the offset to go on
    /// from where the target itself keeps it (exactly once); `None`: the group's committed offset holds.
    ///
    /// # Errors
    /// As for `write`.
    fn assign(&mut self, partitions: &[Partition]) -> Result<Vec<Option<i64>>> {
        Ok(vec![None; partitions.len()])
    }

    /// Makes all that is buffered durable, as one.
    ///
    /// # Errors
    /// The host then discards the instance and delivers again from the last committed offset.
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    /// The last call of an instance that ends in order.
    fn close(self) {}
}

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    pub topic: String,
    pub number: i32,
}

impl<E: Slot<Instance: Sink>> sink::exports::wharf::connector::sink_guest::Guest for E {
    fn describe() -> types::Description {
        describe(Self::MANIFEST, Self::VERSION, Kind::Sink).unwrap_or_else(|reason| Self::invalid(&reason))
    }

    fn open(context: types::Context) -> Result<(), types::Error> {
        Self::put(E::Instance::open(&context.into())?);
        Ok(())
    }

    fn assign(partitions: Vec<sink::exports::wharf::connector::sink_guest::Partition>) -> Result<Vec<Option<i64>>, types::Error> {
        let partitions: Vec<Partition> = partitions.into_iter().map(|p| Partition { topic: p.topic, number: p.number }).collect();
        Ok(Self::with(|sink| sink.as_mut().map_or_else(not_open, |sink| sink.assign(&partitions)))?)
    }

    fn write(records: types::Batch) -> Result<sink::exports::wharf::connector::sink_guest::Written, types::Error> {
        let records = records.into();
        let outcomes = Self::with(|sink| sink.as_mut().map_or_else(not_open, |sink| sink.write(&records)))?;
        Ok(outcomes.into())
    }

    fn flush() -> Result<(), types::Error> {
        Ok(Self::with(|sink| sink.as_mut().map_or_else(not_open, Sink::flush))?)
    }

    fn close() {
        if let Some(sink) = Self::with(Option::take) {
            sink.close();
        }
    }
}
