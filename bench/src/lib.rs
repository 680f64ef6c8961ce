//! What the benchmarks share: the records they move, the guests they move them through, and the measurements that need processes.

pub mod compare;
pub mod guest;
pub mod instructions;
pub mod limit;
pub mod records;
pub mod start;
pub mod table;
