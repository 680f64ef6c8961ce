//! What tests need around them: real servers, started once for the whole run, and those of our own that misbehave. Holds no assertions.
#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "code of tests alone"
)]

pub mod odoo;
pub mod sap;
pub mod servers;
pub mod tokens;
