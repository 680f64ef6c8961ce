//! Requests that reached the host's listener on this connector's path, with the signature already checked.

use std::time::Duration;

use crate::bindings::inbox;

pub use inbox::Request;

/// Takes at most `max` requests after at most `wait` of waiting for the first. What is taken during one `poll` is answered
/// 2xx when that poll's records are durable, 503 when they are not. Outside Wharf: what
/// [`testing::requests`](crate::testing::requests) left there.
#[must_use]
pub fn take(max: u32, wait: Duration) -> Vec<Request> {
    #[cfg(target_arch = "wasm32")]
    return inbox::take(max, u32::try_from(wait.as_millis()).unwrap_or(u32::MAX));
    #[cfg(not(target_arch = "wasm32"))]
    return crate::testing::take(max, wait);
}

/// Answers now, with a 4xx for what can never be read; the request leaves the held set.
pub fn refuse(id: u64, status: u16, message: &str) {
    #[cfg(target_arch = "wasm32")]
    inbox::refuse(id, status, message);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::refuse(id, status, message);
}
