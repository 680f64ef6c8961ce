//! How long a database may take. Who knows most tells of it: the server first, which names the statement, the lock or the table; then
//! the host, which names the connection. `limits.call-deadline`, 120 s by default, ends the instance of the guest and knows neither: it comes last.

use std::time::Duration;

/// Longest wait of PostgreSQL for a lock (`lock_timeout`).
pub(super) const LOCK: &str = "30s";
/// Longest statement of PostgreSQL (`statement_timeout`); the URL's `options` may set another.
pub(super) const STATEMENT: &str = "90s";
/// Longest call of a guest on a connection.
pub(super) const CALL: Duration = Duration::from_secs(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::GuestLimits;

    #[test]
    fn server_then_host_tell_what_took_long_before_the_guest_is_ended() {
        let seconds = |text: &str| Duration::from_secs(text.strip_suffix('s').unwrap().parse().unwrap());
        let limits = [seconds(LOCK), seconds(STATEMENT), CALL, GuestLimits::default().call_deadline];
        assert!(limits.is_sorted_by(|a, b| a < b), "{limits:?}");
    }
}
