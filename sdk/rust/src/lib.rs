//! Write Wharf connectors in Rust: a source, a sink or a transform becomes a WebAssembly component with one macro.
//!
//! A guest author sees records and outcomes. The columns in which they cross the boundary stay inside this crate, which
//! must not decide anything for the host: limits, grants, retries and dead letters are the host's.
//!
//! [`http`], [`sql`], [`inbox`] and [`log`] are what the host offers; [`json`] and [`duration`] spare a connector its own copy of
//! what all have to do alike: keys made of fields, and durations as an operator writes them.
//!
//! ```
//! use wharf_sdk::{Batch, Context, Outcomes, Result, Sink};
//!
//! struct Counter(u64);
//!
//! impl Sink for Counter {
//!     fn open(_: &Context) -> Result<Self> {
//!         Ok(Self(0))
//!     }
//!
//!     fn write(&mut self, records: &Batch) -> Result<Outcomes> {
//!         let mut outcomes = Outcomes::accepted();
//!         for record in records {
//!             match record.value {
//!                 Some(_) => self.0 += 1,
//!                 None => outcomes.reject(record.index, "value.null", "this sink counts no tombstones").field(""),
//!             }
//!         }
//!         Ok(outcomes)
//!     }
//! }
//! ```

extern crate self as wharf_sdk;

mod batch;
mod bindings;
mod context;
pub mod duration;
mod error;
mod export;
pub mod http;
pub mod inbox;
pub mod json;
pub mod log;
mod manifest;
mod outcome;
mod sink;
mod source;
pub mod sql;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod transform;
mod writer;

pub use batch::{Batch, Headers, IdempotencyKey, Iter, Record};
pub use context::Context;
pub use error::{Error, Result};
pub use outcome::{Outcomes, Rejected, Rejection, Verdict};
pub use sink::{Partition, Sink};
pub use source::{Limits, Polled, Position, Source};
pub use transform::{Change, Delta, Transform};
pub use writer::{HeaderList, NewRecord, Records};

/// What the macros expand to; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use wit_bindgen::rt;

    pub use crate::bindings::{sink, source, transform, types};
    pub use crate::export::Slot;
    pub use crate::manifest::{Kind, describe};
}

#[cfg(test)]
mod tests;
