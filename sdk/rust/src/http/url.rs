//! URLs as far as a request needs them: scheme, authority, path with query.

use crate::error::{Error, Result};

/// The parts of `http[s]://authority[/path][?query]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Url<'a> {
    pub https: bool,
    pub authority: &'a str,
    /// Begins with `/` or `?`, or is empty.
    pub path: &'a str,
}

impl<'a> Url<'a> {
    pub fn parse(url: &'a str) -> Result<Self> {
        let url = url.split('#').next().unwrap_or_default();
        let (scheme, rest) = url.split_once("://").ok_or_else(|| none(url))?;
        let https = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(none(url)),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or_default();
        if authority.is_empty() {
            return Err(none(url));
        }
        Ok(Self { https, authority, path })
    }
}

fn none(url: &str) -> Error {
    let shown = url.split('?').next().unwrap_or_default();
    Error::fatal(format!("`{shown}` is no URL: expected https://host/path"))
}

/// Host and port of a URL, as the operator writes them in `allow.http` and `auth`, for messages; empty where there is none. A user name
/// that the URL holds is part of it.
#[must_use]
pub fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// Whether `url` can be the root of an API: http or https, a host, no user name, no query and no fragment. `section` is where credentials
/// go, as `[sink.auth]`.
///
/// # Errors
/// One sentence that names `config.url`.
pub fn check_root(url: &str, section: &str) -> Result<(), String> {
    let has_scheme = url.starts_with("https://") || url.starts_with("http://");
    match authority(url) {
        host if !has_scheme || host.is_empty() => Err("`config.url` is no URL: expected https://host/path".to_owned()),
        host if host.contains('@') => Err(format!("`config.url` holds a user name: credentials go into `{section}`")),
        _ if url.contains(['?', '#']) => Err("`config.url` has a query or a fragment: give the root of the API alone".to_owned()),
        _ => Ok(()),
    }
}

/// Percent-encodes everything but unreserved characters (RFC 3986, section 2.3).
#[must_use]
pub fn encode(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| char::from(HEX.get(usize::from(nibble)).copied().unwrap_or(b'0'));
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}
