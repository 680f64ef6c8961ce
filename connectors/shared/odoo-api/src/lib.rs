//! Odoo's methods by one of two protocols. JSON-2 (19 and later): `POST /json/2/<model>/<method>`, arguments by name in a JSON body, the
//! result or an error as JSON. JSON-RPC (before 19): `rpc.rs`. Owns the request, what an answer means and how it is told, and Odoo's form of
//! a time; knows no cursor and no record.

mod hide;
mod refusal;
mod rpc;
mod server;
pub mod time;

pub use hide::{hide, is_in};
pub use refusal::{Meaning, Refusal, is_passing, shown};
pub use server::{Answer, BadServer, Protocol, Server};

#[cfg(test)]
mod tests;
