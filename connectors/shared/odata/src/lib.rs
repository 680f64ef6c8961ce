//! What the connectors of OData have in common: addresses, the service's types, keys, literals and values in both versions, and
//! what an answer means. Reads no entity set and writes none; that is the business of the guests.

use serde::Deserialize;

pub mod address;
pub mod edm;
pub mod key;
pub mod literal;
pub mod message;
pub mod service;
pub mod time;
pub mod value;

/// Which OData a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    V4,
    V2,
}
