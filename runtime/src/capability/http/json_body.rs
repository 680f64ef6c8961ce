//! Credentials inside a JSON body: which requests get the secret, and their bodies with it. The rest of a body stays byte for byte as the
//! guest wrote it. Sends nothing; knows no endpoint.
//!
//! A guest must not be able to have the secret put where the server stores or tells it. So the secret goes to one path alone, written as
//! the operator wrote it, and only where the body says what the operator wants it to say. A request to another path goes out as it is:
//! it has no secret. One to this path that does not fit is refused, not sent without the secret: the server would answer that the password
//! is wrong, and nobody would know why.
//!
//! Host and server must read the same out of a body. So whatever another reader could take otherwise is refused: names that are there
//! twice, or in another case, encodings, and headers that lead frameworks to another path.

use std::time::Duration;

use ::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use ::http::{Method, Request};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::body::Body;
use crate::config::{JsonBody, Pointer};
use member::{Found, member};

mod member;

#[cfg(test)]
mod tests;

/// The longest body that is read for its secret.
pub(super) const LONGEST: usize = 16 << 20;

/// Headers by which frameworks take a request for one with another path or method.
const DETOURS: [&str; 5] = ["x-original-url", "x-rewrite-url", "x-http-method-override", "x-http-method", "x-method-override"];

/// Why a request to the path of a secret was not sent. Texts hold nothing of its body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("it has a query, or is no POST")]
    Target,
    #[error("its content-type is not application/json, in UTF-8")]
    ContentType,
    #[error("its header `{0}` could make another request of it")]
    Header(String),
    #[error("its body is longer than {} MiB: make the component send less at once", LONGEST >> 20)]
    TooLong,
    #[error("its body was not there after {0:?}")]
    Late(Duration),
    #[error("its body broke off: {0}")]
    Broken(String),
    #[error("its body is no JSON")]
    NotJson,
    #[error("its body has nothing at `{0}`")]
    Missing(Pointer),
    #[error("its body has a name on the way to `{0}` twice, or in another case too: which one the server takes is not known")]
    Twice(Pointer),
    #[error("its body has neither null nor a string at `{0}`, the place of the secret")]
    Place(Pointer),
    #[error("its body has at `{place}` none of what `only` allows ({allowed})")]
    Guard { place: Pointer, allowed: String },
}

/// The request with the secret in its body; one to another path as it was. `limit`: how long the guest may take to write the body.
///
/// # Errors
/// [`Unfit`]: it goes to the path, and the secret cannot stand in it.
pub(super) async fn fill(rule: &JsonBody, request: Request<Body>, limit: Duration) -> Result<Request<Body>, Unfit> {
    if request.uri().path() != rule.path {
        return Ok(request);
    }
    if request.uri().query().is_some() || request.method() != Method::POST {
        return Err(Unfit::Target);
    }
    check_headers(request.headers())?;
    let (mut head, body) = request.into_parts();
    let whole = timeout(limit, whole(body)).await.map_err(|_| Unfit::Late(limit))??;
    let rule = rule.clone();
    // Megabytes are not to be searched where other requests wait.
    let filled = tokio::task::spawn_blocking(move || with_secret(&whole, &rule)).await;
    let filled = filled.map_err(|error| Unfit::Broken(error.to_string()))??;
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(filled.len()));
    Ok(Request::from_parts(head, Full::new(Bytes::from(filled)).map_err(|never| match never {}).boxed_unsync()))
}

async fn whole(mut body: Body) -> Result<Vec<u8>, Unfit> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| Unfit::Broken(error.to_string()))?.into_data() else { continue };
        if whole.len().saturating_add(data.len()) > LONGEST {
            return Err(Unfit::TooLong);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole)
}

fn check_headers(headers: &HeaderMap) -> Result<(), Unfit> {
    if let Some(name) = DETOURS.into_iter().find(|name| headers.contains_key(*name)) {
        return Err(Unfit::Header(name.to_owned()));
    }
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(Unfit::Header(CONTENT_ENCODING.to_string()));
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let written = types.next().filter(|_| types.next().is_none()).and_then(|value| value.to_str().ok());
    if written.is_some_and(is_json) { Ok(()) } else { Err(Unfit::ContentType) }
}

/// Whether a media type (RFC 9110, 8.3.1) is JSON's, without parameters or with the one that says UTF-8.
fn is_json(written: &str) -> bool {
    let mut parts = written.split(';').map(|part| part.trim().to_ascii_lowercase());
    let media = parts.next().unwrap_or_default();
    (media == "application/json" || (media.starts_with("application/") && media.ends_with("+json")))
        && parts.all(|parameter| matches!(parameter.as_str(), "charset=utf-8" | "charset=\"utf-8\""))
}

/// The body with the secret as a JSON string in place of what stands at its pointer.
///
/// # Errors
/// [`Unfit`].
pub(super) fn with_secret(body: &[u8], rule: &JsonBody) -> Result<Vec<u8>, Unfit> {
    let text = std::str::from_utf8(body).map_err(|_| Unfit::NotJson)?;
    let document: &RawValue = serde_json::from_str(text).map_err(|_| Unfit::NotJson)?;
    for (place, allowed) in &rule.only {
        let said: Option<String> = serde_json::from_str(find(document, place)?.get()).ok();
        if !said.is_some_and(|said| allowed.contains(&said)) {
            return Err(Unfit::Guard { place: place.clone(), allowed: allowed.join(", ") });
        }
    }
    let place = find(document, &rule.pointer)?.get();
    if place != "null" && !place.starts_with('"') {
        return Err(Unfit::Place(rule.pointer.clone()));
    }
    // `place` is a part of `text`.
    let start = place.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
    let (head, rest) = text.split_at_checked(start).ok_or(Unfit::NotJson)?;
    let tail = rest.strip_prefix(place).ok_or(Unfit::NotJson)?;
    let secret = serde_json::to_string(rule.value.expose()).map_err(|_| Unfit::NotJson)?;
    Ok([head, &secret, tail].concat().into_bytes())
}

/// The value at a pointer, as the body has it.
fn find<'b>(document: &'b RawValue, pointer: &Pointer) -> Result<&'b RawValue, Unfit> {
    pointer.tokens().try_fold(document, |at, token| match member(at, token) {
        Found::One(value) => Ok(value),
        Found::None => Err(Unfit::Missing(pointer.clone())),
        Found::Doubtful => Err(Unfit::Twice(pointer.clone())),
    })
}
