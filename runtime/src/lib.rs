//! Wharf's runtime: moves records between business systems and topics through sandboxed connector components.
//! `docs/ARCHITECTURE.md` is the map.

pub mod batch;
pub mod capability;
pub mod config;
pub mod dead_letter;
pub mod fault_point;
pub mod format;
pub mod guest;
pub mod listen;
pub mod offsets;
pub mod outcome;
pub mod pipeline;
pub mod redrive;
pub mod retry;
pub mod supervisor;
pub mod telemetry;
pub mod topic_log;
pub mod transform;
