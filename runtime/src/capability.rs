//! What a guest may reach. Everything a guest asks of the host ends in one of these modules, each of which checks the
//! operator's grant itself. None of them knows wasmtime.

pub mod allow;
pub mod http;
pub mod inbox;
pub mod secret;
pub mod sql;
pub mod veil;
