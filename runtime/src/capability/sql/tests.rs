//! Rules of named connections. Those that hold for every database stand in `tests/rules.rs`, `tests/tables.rs`, `tests/versions.rs` and
//! `tests/offsets.rs`, which the integration tests run against PostgreSQL as well.
mod columns;
mod offsets;
mod plan;
mod rules;
mod sqlite;
mod tables;
mod target;
mod versions;

/// What the rules that all databases share are written against.
mod api {
    pub use crate::capability::sql::*;
    pub use crate::topic_log::TopicPartition;
    pub use crate::topic_log::places::{Foreign, OffsetChange, StoredOffset};
}
