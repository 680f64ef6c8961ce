//! Dead letters after the fact: reading them, and sending the records in them back. Owns what may be sent back, to where, and
//! the memory of what was; asks nobody and prints nothing.
//!
//! A sink's record goes back to the topic that it came from, under its key, so that it meets its partition and the order there,
//! with two headers: `wharf.attempt` counts on when it dies again, and `wharf.redrive-for` has every other sink of the
//! deployments on this log pass it over (not where the topic is compacted, and only this record would be left of the key). Records and the memory of them move in one transaction, as a source's records and
//! positions do: the redrive of a connector is an owner of positions by the name `<connector>/redrive` (no connector can have
//! it), with a slice for each partition of the dead-letter topic. So a crash sends nothing twice, and of two redrives at once
//! the later one fences the first.

mod filter;
mod letter;
mod memory;
mod newer;
mod plan;
mod scan;
mod send;

pub use filter::Filter;
pub use letter::Letter;
pub use memory::Memory;
pub use plan::{Held, Plan, Request, Side};
pub use scan::Scan;
pub use send::{Redrive, Sent, look};

use crate::topic_log::LogError;

/// Why nothing, or not everything, could be sent back.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    #[error("topic log: {0}")]
    Log(#[from] LogError),
    /// What was asked for cannot be; the text says what can.
    #[error("{0}")]
    Refused(String),
}

/// The name under which positions of a connector's redrives are kept; `/` stands in no connector's name.
#[must_use]
pub fn owner_of(connector: &str) -> String {
    format!("{connector}/redrive")
}
