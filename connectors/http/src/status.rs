//! What a status of the receiver means. No I/O.

use crate::config::Config;

/// The meaning of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    Delivered,
    Later,
    Never,
    /// It is about the credentials, not about a record.
    Refused,
    /// It is about the address: redirects are not followed.
    Elsewhere,
}

/// What a status means: what the operator lists goes first, in the order accept, reject, retry.
#[must_use]
pub fn meaning(config: &Config, status: u16) -> Meaning {
    match status {
        _ if config.accept.has(status) => Meaning::Delivered,
        _ if config.reject.has(status) => Meaning::Never,
        _ if config.retry.has(status) => Meaning::Later,
        401 | 403 | 407 => Meaning::Refused,
        300..=399 => Meaning::Elsewhere,
        400..=499 | 501 => Meaning::Never,
        _ => Meaning::Later,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Config {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn statuses_mean_by_default_what_http_means_by_them() {
        let config = config(r#"{"url": "https://h"}"#);
        for (statuses, expected) in [
            (vec![200, 202, 204], Meaning::Delivered),
            (vec![408, 425, 429, 500, 502, 503, 504], Meaning::Later),
            (vec![400, 404, 409, 413, 422, 501], Meaning::Never),
            (vec![401, 403, 407], Meaning::Refused),
            (vec![301, 302, 304, 308], Meaning::Elsewhere),
        ] {
            for status in statuses {
                assert_eq!(meaning(&config, status), expected, "{status}");
            }
        }
    }

    #[test]
    fn what_the_operator_lists_goes_first() {
        let config =
            config(r#"{"url": "https://h", "accept": ["200..204", 409], "retry": [423, "500..599"], "reject": [403, 503]}"#);
        for (status, expected) in [
            (409, Meaning::Delivered),
            (205, Meaning::Later),
            (423, Meaning::Later),
            (403, Meaning::Never),
            (503, Meaning::Never),
            (501, Meaning::Later),
        ] {
            assert_eq!(meaning(&config, status), expected, "{status}");
        }
    }
}
