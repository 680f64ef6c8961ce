//! Whether a webhook request was signed with the operator's secret. Every comparison takes the same time wherever it differs.
//!
//! - Shopify ("Verify webhook deliveries"): `X-Shopify-Hmac-Sha256` is the base64 of HMAC-SHA256 over the raw body.
//! - Stripe ("Verify webhook signatures manually"): `Stripe-Signature` is `t=SECONDS,v1=HEX[,v1=HEX…]`, each `v1` the hex
//!   HMAC-SHA256 of `t.body`; several while a secret is rolled, other schemes are ignored; 5 minutes of tolerance.
//! - Plain: hex HMAC-SHA256 of the body in a header of the operator's choice, with or without `sha256=` before it (as GitHub's
//!   `X-Hub-Signature-256` has it).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use http::HeaderMap;
use sha2::Sha256;

use crate::config::{Signature, SignatureScheme};

/// How far a Stripe timestamp may be from now.
const TOLERANCE: Duration = Duration::from_secs(300);

/// Why a request does not count as signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsigned {
    Missing,
    Wrong,
    /// Signed with the secret, but not now: it may be a replay.
    Old,
}

/// Name of the header that holds the signature, in lower case.
pub(super) fn header(scheme: &SignatureScheme) -> &str {
    match scheme {
        SignatureScheme::Shopify => "x-shopify-hmac-sha256",
        SignatureScheme::Stripe => "stripe-signature",
        SignatureScheme::Hmac { header } => header,
    }
}

/// `now` is the time since the Unix epoch.
pub(super) fn verify(signature: &Signature, headers: &HeaderMap, body: &[u8], now: Duration) -> Result<(), Unsigned> {
    let value = headers.get(header(&signature.scheme)).ok_or(Unsigned::Missing)?;
    let value = value.to_str().map_err(|_| Unsigned::Wrong)?.trim();
    let key = signature.secret.expose().as_bytes();
    match signature.scheme {
        SignatureScheme::Shopify => {
            let tag = STANDARD.decode(value).map_err(|_| Unsigned::Wrong)?;
            check(key, &[body], &tag)
        }
        SignatureScheme::Stripe => stripe(key, value, body, now),
        SignatureScheme::Hmac { .. } => {
            let tag = unhex(value.strip_prefix("sha256=").unwrap_or(value)).ok_or(Unsigned::Wrong)?;
            check(key, &[body], &tag)
        }
    }
}

fn stripe(key: &[u8], value: &str, body: &[u8], now: Duration) -> Result<(), Unsigned> {
    let parts = || value.split(',').filter_map(|part| part.trim().split_once('='));
    let time = parts().find_map(|(name, value)| (name == "t").then_some(value)).ok_or(Unsigned::Wrong)?;
    let tags = parts().filter(|(name, _)| *name == "v1").filter_map(|(_, hex)| unhex(hex));
    let signed = tags.map(|tag| check(key, &[time.as_bytes(), b".", body], &tag)).any(|checked| checked.is_ok());
    if !signed {
        return Err(Unsigned::Wrong);
    }
    let seconds: u64 = time.parse().map_err(|_| Unsigned::Wrong)?;
    if now.abs_diff(Duration::from_secs(seconds)) > TOLERANCE { Err(Unsigned::Old) } else { Ok(()) }
}

fn check(key: &[u8], parts: &[&[u8]], tag: &[u8]) -> Result<(), Unsigned> {
    // HMAC takes keys of every length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| Unsigned::Wrong)?;
    parts.iter().for_each(|part| mac.update(part));
    mac.verify_slice(tag).map_err(|_| Unsigned::Wrong)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    bytes.collect::<Option<Vec<_>>>().filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests;
