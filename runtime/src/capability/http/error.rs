//! Failures of a guest's request, sorted by what the operator has to do. Texts name the endpoint only.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use hyper_util::client::legacy;

use super::copy;
use super::dial::ResolveError;
use super::json_body::Unfit;
use super::oauth::NoToken;
use crate::capability::allow::Endpoint;

/// Why a request got no answer. The text is for the log; a guest sees only a kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The operator's list does not have it.
    #[error("request to {authority} denied: {reason}")]
    Denied { authority: String, reason: String },
    /// Its body was to carry credentials and cannot.
    #[error("request to {endpoint} not sent: its path is that of `json-body` in this connector's auth section, but {reason}")]
    Unfit { endpoint: Endpoint, reason: Unfit },
    /// Its endpoint wants a token, and there is none.
    #[error("request to {endpoint} not sent: {no}")]
    NoToken { endpoint: Endpoint, no: NoToken },
    /// It was not carried out, and has to come again from the guest.
    #[error(
        "{endpoint} refused the credentials, which have been renewed since: the request is to be sent again, and no copy of it was kept, as \
         its body is longer than {} MiB or was not sent in full",
        copy::LONGEST >> 20
    )]
    Renewed { endpoint: Endpoint },
    /// The name is listed, but where it leads is not allowed.
    #[error(
        "request to {endpoint} refused when dialling: {address} is {what}; a private or loopback address needs \
         `private = true` on its entry in allow.http, link-local and metadata addresses are never dialled"
    )]
    Prohibited { endpoint: Endpoint, address: IpAddr, what: &'static str },
    #[error("the name of {endpoint} cannot be resolved: {reason}")]
    Dns { endpoint: Endpoint, reason: String },
    #[error("no connection to {endpoint}: {reason}")]
    Connect { endpoint: Endpoint, reason: String },
    #[error("TLS with {endpoint} failed: {reason}")]
    Tls { endpoint: Endpoint, reason: String },
    #[error("{endpoint}: waited {after:?} for {waiting_for}")]
    Timeout { endpoint: Endpoint, waiting_for: &'static str, after: Duration },
    /// The connection broke, or what came is not HTTP.
    #[error("the exchange with {endpoint} failed: {reason}")]
    Protocol { endpoint: Endpoint, reason: String },
}

impl HttpError {
    /// The credentials could not be put on, and it would be the same once more.
    #[must_use]
    pub const fn is_of_credentials(&self) -> bool {
        matches!(self, Self::Unfit { .. } | Self::NoToken { no: NoToken::Refused { .. }, .. })
    }
}

/// Sorts what the client reports. hyper nests causes, some inside `io::Error`s, whose own `source` skips them.
pub(super) fn classify(error: &legacy::Error, endpoint: &Endpoint) -> HttpError {
    let endpoint = endpoint.clone();
    let chain = causes(error);
    if let Some(resolve) = chain.iter().find_map(|cause| cause.downcast_ref::<ResolveError>()) {
        return match resolve {
            ResolveError::Prohibited { address, what } => HttpError::Prohibited { endpoint, address: *address, what },
            ResolveError::Lookup(_) | ResolveError::Empty => HttpError::Dns { endpoint, reason: resolve.to_string() },
        };
    }
    if let Some(tls) = chain.iter().find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        return HttpError::Tls { endpoint, reason: tls.to_string() };
    }
    let reason = chain.last().map_or_else(|| error.to_string(), ToString::to_string);
    if error.is_connect() { HttpError::Connect { endpoint, reason } } else { HttpError::Protocol { endpoint, reason } }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut chain = vec![error];
    let mut at = error;
    loop {
        let wrapped = at.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let next: Option<&(dyn Error + 'static)> = match wrapped {
            Some(inner) => Some(inner),
            None => at.source(),
        };
        let Some(next) = next else { return chain };
        chain.push(next);
        at = next;
    }
}
