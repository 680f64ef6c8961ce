//! Integration tests: whole behaviours through the library and the binary. One module a subject.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod clickhouse;
mod csv;
mod durations;
mod flow;
mod http_sink;
mod log;
mod odata;
mod odoo;
mod proxy;
mod sandbox;
mod skipped;
mod sql;
mod topic_log;
