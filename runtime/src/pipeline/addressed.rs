//! Records that were sent again for one sink: `wharf dlq redrive` puts a dead letter back into its topic, where other sinks of
//! that topic have delivered it long ago. They pass it over, counted as filtered. Looks at one header, changes nothing.

use crate::batch::{Batch, Record};
use crate::dead_letter::headers::REDRIVE_FOR;
use crate::pipeline::chain::Chain;
use crate::transform::Applied;

/// Whether a sink of this group takes the record.
#[must_use]
pub fn takes(group: &str, record: &Record<'_>) -> bool {
    let addressee = record.headers.iter().rev().find(|(name, _)| *name == REDRIVE_FOR.as_bytes());
    addressee.is_none_or(|(_, value)| value.is_none_or(|value| value == group.as_bytes()))
}

/// The records that a sink of this group takes.
pub(super) fn addressed(group: &str, input: Batch) -> Applied {
    // Without any header there is nothing to look for.
    if input.header_counts.is_empty() {
        return Applied::unchanged(input);
    }
    let chosen: Vec<bool> = input.records().map(|record| takes(group, &record)).collect();
    if chosen.iter().all(|takes| *takes) {
        return Applied::unchanged(input);
    }
    let records = input.select(|index| chosen.get(index).copied().unwrap_or(true));
    let origin = (0u32..).zip(&chosen).filter(|(_, takes)| **takes).map(|(index, _)| index).collect();
    Applied { records, origin, rejects: Vec::new() }
}

impl Chain {
    /// Passes over what was sent again for a sink of another group, before anything else looks at it.
    #[must_use]
    pub fn of_group(mut self, group: String) -> Self {
        self.address(group);
        self
    }
}
