//! Records to rows: which column a field goes to, of which type it is, and what is rejected. Owns the rules that README.md
//! states; knows no database.

mod cell;
mod fields;
mod key;
mod rows;
mod table;
mod time;

pub use rows::Rows;
pub use table::Table;
