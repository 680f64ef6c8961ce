//! `_wharf_offsets` without its key: somebody has made the table by hand, or took the key away. Nothing then says that an
//! offset is stored once, and a compare-and-set of one would move two.

use super::{OffsetScope, SqlError};
use crate::topic_log::TopicPartition;

/// What a row of the table is known by.
pub(super) const KEY: &str = "log_id, consumer_group, topic, topic_id, partition";

/// Rows of the scope's group that are there more than once, one partition and how many.
pub(super) type Doubled = Option<(TopicPartition, i64)>;

/// What the operator has to do.
pub(super) fn keyless(scope: &OffsetScope, doubled: Doubled) -> SqlError {
    let group = &scope.group;
    let (rows, first) = match doubled {
        Some((at, count)) => (
            format!(" holds {count} rows of partition {at} of group `{group}` where there has to be one, as it"),
            "leave one row of each partition (from its next_offset on records are written; a smaller one writes some again) and ",
        ),
        None => (format!(", where the offsets of group `{group}` are kept,"), ""),
    };
    SqlError::Fatal(format!(
        "table `_wharf_offsets`{rows} has no primary key or unique index over ({KEY}). Stop the sinks that use it, then {first}run: \
         CREATE UNIQUE INDEX _wharf_offsets_key ON _wharf_offsets ({KEY})"
    ))
}
