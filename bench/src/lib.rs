//! What the benchmarks share: the records they move and the guests they move them through.

pub mod guest;
pub mod records;
pub mod table;
