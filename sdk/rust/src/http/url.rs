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
