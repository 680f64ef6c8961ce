//! draft
pub mod address;
pub mod config;
pub mod cursor;
pub mod edm;
pub mod key;
pub mod literal;
pub mod page;
pub mod plan;
pub mod seen;
pub mod time;
pub mod value;
