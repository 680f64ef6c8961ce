//! What a token endpoint has answered: a token (RFC 6749, 5.1), or why none (5.2), and whether to wait or to change something. Pure.

use std::time::Duration;

use ::http::StatusCode;
use serde::Deserialize;

use crate::capability::secret::Secret;

/// Of what a server says for people, so many characters are shown.
const SHOWN: usize = 300;

/// A token, and how long it lives; `None`: not told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) value: Secret,
    pub(super) lifetime: Option<Duration>,
}

/// Why there is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// It passes: a server that is away or busy, or something else answers in its place.
    Later(String),
    /// The server understood and says no; what to change is told.
    Never(String),
}

/// No Debug: it holds the token.
#[derive(Deserialize)]
struct Answer {
    access_token: Option<String>,
    token_type: Option<String>,
    expires_in: Option<serde_json::Value>,
    error: Option<String>,
    error_description: Option<String>,
}

/// # Errors
/// [`Denied`].
pub(super) fn read(status: StatusCode, body: &[u8]) -> Result<Granted, Denied> {
    let answer: Option<Answer> = serde_json::from_slice(body).ok();
    let passes = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
    if let Some(Answer { error: Some(error), error_description, .. }) = &answer {
        let told = match error_description {
            Some(description) => format!("it answers {status}, {error}: {description}"),
            None => format!("it answers {status}, {error}"),
        };
        let told: String = told.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
        return Err(match error.as_str() {
            _ if passes => Denied::Later(told),
            "temporarily_unavailable" | "server_error" | "slow_down" => Denied::Later(told),
            code => Denied::Never(format!("{told}. {}", what_to_do(code))),
        });
    }
    if status.is_redirection() {
        return Err(Denied::Never(format!(
            "it answers {status}, and redirects are not followed: write the address of the token endpoint itself into `token-url`"
        )));
    }
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return Err(Denied::Never(format!("it answers {status}. {}", what_to_do("invalid_client"))));
    }
    match answer {
        Some(Answer { access_token: Some(token), token_type, expires_in, .. }) if status.is_success() && !token.is_empty() => {
            match token_type {
                Some(other) if !other.eq_ignore_ascii_case("bearer") => {
                    let other: String = other.chars().take(20).collect();
                    Err(Denied::Never(format!("its token is of the type `{other}`; only bearer tokens can be used (RFC 6750)")))
                }
                // RFC 6749 wants a type; who leaves it out means this one.
                _ => Ok(Granted { value: Secret::new(token), lifetime: expires_in.as_ref().and_then(seconds) }),
            }
        }
        _ => Err(Denied::Later(format!("it answers {status} without a token or an error of OAuth 2.0: is `token-url` right?"))),
    }
}

/// A whole number of seconds; some servers write it as a text.
fn seconds(written: &serde_json::Value) -> Option<Duration> {
    let number = written.as_f64().or_else(|| written.as_str()?.trim().parse().ok())?;
    // A year is as good as for ever, and does not overflow a clock.
    Some(Duration::from_secs_f64(if number.is_finite() { number.clamp(0.0, 31_536_000.0) } else { return None }))
}

fn what_to_do(code: &str) -> &'static str {
    match code {
        "invalid_client" => {
            "Correct `client-id` and `client-secret`; where they are right, the server may want them in the other way: `client-auth`"
        }
        "unauthorized_client" | "unsupported_grant_type" => "Allow this client the grant `client_credentials` at the server",
        "invalid_scope" => "Correct `scope`, or allow it to this client at the server",
        _ => "It may want another `scope`, or more `parameters` (`audience`, `resource`)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Result<Granted, Denied> {
        read(StatusCode::from_u16(status).unwrap(), body.as_bytes())
    }

    #[test]
    fn a_token_has_the_life_that_is_told_however_it_is_written() {
        let token =
            |more: &str| of(200, &format!(r#"{{"access_token":"t"{more}}}"#)).unwrap().lifetime.map(|life| life.as_secs());
        assert_eq!(token(r#","token_type":"Bearer","expires_in":3600"#), Some(3600));
        assert_eq!(token(r#","token_type":"bearer","expires_in":"3599""#), Some(3599));
        assert_eq!(token(r#","expires_in":-5"#), Some(0));
        assert_eq!(token(r#","expires_in":1e300"#), Some(31_536_000));
        for not_told in ["", r#","expires_in":null"#, r#","expires_in":"soon""#] {
            assert_eq!(token(not_told), None, "{not_told}");
        }
    }

    #[test]
    fn what_the_server_says_no_to_is_told_with_what_to_do() {
        for (status, body, told) in [
            (
                401,
                r#"{"error":"invalid_client","error_description":"AADSTS7000215: wrong"}"#,
                "AADSTS7000215: wrong. Correct `client-id`",
            ),
            (400, r#"{"error":"invalid_scope"}"#, "400 Bad Request, invalid_scope. Correct `scope`"),
            (400, r#"{"error":"unauthorized_client"}"#, "client_credentials"),
            (200, r#"{"error":"invalid_request"}"#, "`audience`"),
            (401, "<html>", "`client-secret`"),
            (302, "", "redirects are not followed"),
            (200, r#"{"access_token":"t","token_type":"mac"}"#, "`mac`"),
        ] {
            let denied = of(status, body).unwrap_err();
            assert!(matches!(&denied, Denied::Never(reason) if reason.contains(told)), "{status} {body}: {denied:?}");
        }
    }

    #[test]
    fn a_server_that_is_away_or_busy_is_waited_for() {
        for (status, body) in [
            (500, r#"{"error":"invalid_client"}"#),
            (503, "maintenance"),
            (429, r#"{"error":"invalid_request"}"#),
            (408, ""),
            (400, r#"{"error":"temporarily_unavailable"}"#),
            (200, "<html>back soon</html>"),
            (404, "default backend"),
        ] {
            let denied = of(status, body).unwrap_err();
            assert!(matches!(&denied, Denied::Later(_)), "{status} {body}: {denied:?}");
        }
    }
}
