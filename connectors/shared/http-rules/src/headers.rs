//! Headers that an operator may not set: those of credentials, and those that the host sets by itself.

use wharf_sdk::http::authority;

const SECRET: [&str; 6] =
    ["authorization", "proxy-authorization", "cookie", "apikey", "x-functions-key", "ocp-apim-subscription-key"];
/// How names of credentials end: `X-Api-Key`, `X-Shopify-Access-Token`.
const SECRET_ENDS: [&str; 8] =
    ["api-key", "access-token", "auth-token", "private-token", "security-token", "vault-token", "-secret", "-password"];
const OWN: [&str; 4] = ["host", "content-length", "transfer-encoding", "connection"];

/// `section` is where credentials go, as `[sink.auth]`.
///
/// # Errors
/// One sentence that names the header at fault.
pub fn check<'a>(names: impl IntoIterator<Item = &'a str>, section: &str) -> Result<(), String> {
    for name in names {
        let lower = name.to_ascii_lowercase();
        if SECRET.contains(&lower.as_str()) || SECRET_ENDS.iter().any(|end| lower.ends_with(end)) {
            return Err(format!("`config.headers` has `{name}`: credentials go into `{section}`, which the host puts on"));
        }
        if OWN.contains(&lower.as_str()) {
            return Err(format!("`config.headers` has `{name}`, which the host sets by itself"));
        }
    }
    Ok(())
}

/// `url` begins with a scheme and a host, without a user name.
///
/// # Errors
/// One sentence that names `config.url`.
pub fn check_url(url: &str, section: &str) -> Result<(), String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default()) {
        None | Some("") => Err("`config.url` is no URL: expected https://host/path".to_owned()),
        Some(authority) if authority.contains('@') => {
            Err(format!("`config.url` holds a user name: credentials go into `{section}`"))
        }
        Some(authority) if authority.contains("{{") => {
            Err("`config.url` has a template in its host: the host must be the one that `allow.http` names".to_owned())
        }
        Some(_) if url.contains('#') => {
            Err("`config.url` has a `#`: what stands behind it is never sent. Write %23 where it belongs to the path".to_owned())
        }
        Some(_) => Ok(()),
    }
}

/// Host and port of a URL, for messages: without a user name and its password.
#[must_use]
pub fn host(url: &str) -> &str {
    let authority = authority(url);
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_shows_no_password_of_a_url() {
        assert_eq!(host("https://me:p@ss@api.example.com:8443/x@y"), "api.example.com:8443");
        assert_eq!(host("api.example.com/x"), "api.example.com");
    }

    #[test]
    fn headers_of_credentials_and_urls_with_a_part_that_is_never_sent_are_refused() {
        assert!(check(["X-Auth-Token"], "[sink.auth]").unwrap_err().contains("[sink.auth]"));
        for name in ["X-Shopify-Access-Token", "X-Amz-Security-Token", "X-Vault-Token", "DD-API-KEY", "X-Client-Secret"] {
            assert!(check([name], "[sink.auth]").is_err(), "{name}");
        }
        for name in ["X-Tenant", "Idempotency-Key", "X-Partition-Key", "X-Continuation-Token"] {
            assert!(check([name], "[sink.auth]").is_ok(), "{name}");
        }
        assert!(check_url("https://h/a#b", "[sink.auth]").unwrap_err().contains('#'));
    }
}
