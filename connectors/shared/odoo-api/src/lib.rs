//! Odoo's JSON-2 API: `POST /json/2/<model>/<method>`, arguments by name in a JSON body, the result or an error as JSON. Owns the
//! request, what an answer means, and Odoo's form of a time; knows no cursor and no record.

mod refusal;
mod server;
pub mod time;

pub use refusal::{Meaning, Refusal, is_passing};
pub use server::{Answer, BadUrl, Server};

#[cfg(test)]
mod tests;
