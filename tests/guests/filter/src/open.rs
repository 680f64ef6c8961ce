//! Whether an order is open. The benchmark runs this same file natively.

use serde::Deserialize;

#[derive(Deserialize)]
struct Order<'a> {
    status: &'a str,
}

/// True where the field `status` says so; what cannot be read is not open.
pub fn is_open(value: &[u8]) -> bool {
    serde_json::from_slice::<Order<'_>>(value).is_ok_and(|order| order.status == "open")
}
