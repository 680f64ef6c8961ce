//! The pause that a remote account asked for. After a 429 or 503 with `Retry-After`, every task of the connector waits
//! before it troubles that account again. Keeps times only; sends nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::http::header::RETRY_AFTER;
use ::http::{HeaderMap, StatusCode};
use tokio::time::{Instant, sleep_until};

use crate::capability::allow::Endpoint;

#[cfg(test)]
mod tests;

/// The longest that a request is held here, within a call that a drain waits for. A longer pause is the guest's to keep (it sees
/// the answer and `Retry-After`); a request of another partition asks meanwhile whether the account is well again.
pub const MAX_HOLD: Duration = Duration::from_secs(5);

/// When each endpoint may be asked again.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<BTreeMap<Endpoint, Pause>>);

#[derive(Debug, Clone, Copy)]
struct Pause {
    /// When it was asked for last.
    since: Instant,
    until: Instant,
}

impl Gate {
    /// Waits for as long as the endpoint asked, at most [`MAX_HOLD`] from now.
    pub(super) async fn pass(&self, endpoint: &Endpoint) {
        if let Some(until) = self.held_until(endpoint, Instant::now()) {
            sleep_until(until).await;
        }
    }

    fn held_until(&self, endpoint: &Endpoint, now: Instant) -> Option<Instant> {
        let mut closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = closed.get(endpoint)?.until;
        if until > now {
            return Some(until.min(now + MAX_HOLD));
        }
        closed.remove(endpoint);
        None
    }

    /// Notes what an answer asks for that came at `now`, to a request that was sent at `begun`.
    pub(super) fn observe(&self, endpoint: &Endpoint, (status, headers): (StatusCode, &HeaderMap), begun: Instant, now: Instant) {
        if status.is_success() {
            // It is well again, whatever it had said before that request.
            let mut closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if closed.get(endpoint).is_some_and(|pause| pause.since <= begun) {
                closed.remove(endpoint);
            }
            return;
        }
        if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            return;
        }
        let Some(pause) = headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| retry_after(v, SystemTime::now()))
        else {
            return;
        };
        let until = now + pause;
        let mut closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = closed.entry(endpoint.clone()).or_insert(Pause { since: now, until });
        *entry = Pause { since: now, until: until.max(entry.until) };
    }
}

/// `Retry-After` as RFC 9110 10.2.3 has it: seconds, or an HTTP date. Capped at a day; `None`: neither.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    const DAY: u64 = 86_400;
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds.min(DAY)));
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp().as_second();
    let now = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let left = u64::try_from(at).unwrap_or(0).saturating_sub(now);
    Some(Duration::from_secs(left.min(DAY)))
}
