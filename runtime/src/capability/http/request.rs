//! A request made ready for the wire: headers that belong to one hop are taken off, the target is written in one way.

use ::http::header::{CONNECTION, EXPECT, HOST, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use ::http::uri::{Authority, Parts, PathAndQuery, Scheme};
use ::http::{HeaderMap, Method, Request, Uri, Version};

use super::body::Body;
use crate::capability::allow::Endpoint;

/// Headers of one hop (RFC 9110 7.6.1) and those that say where a request goes, which is the host's business alone.
pub(super) fn is_hop_header(name: &HeaderName) -> bool {
    let own = [CONNECTION, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    own.contains(name)
        || matches!(
            name.as_str(),
            "keep-alive" | "proxy-authenticate" | "proxy-authorization" | "proxy-connection" | "http2-settings"
        )
}

/// TRACE would answer with the credentials that the host put on; CONNECT would open a tunnel past every check.
pub(super) fn is_refused_method(method: &Method) -> bool {
    *method == Method::TRACE || *method == Method::CONNECT
}

/// Takes off what belongs to one hop and points the request at the endpoint.
///
/// # Errors
/// A sentence, when no URL can be built from the parts.
pub(super) fn prepare(request: &mut Request<Body>, endpoint: &Endpoint) -> Result<(), String> {
    strip_hop_headers(request.headers_mut());
    *request.version_mut() = Version::HTTP_11;
    let path = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let mut parts = Parts::default();
    parts.scheme = Some(if endpoint.https { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Some(Authority::try_from(endpoint.authority()).map_err(|e| e.to_string())?);
    parts.path_and_query = Some(path);
    *request.uri_mut() = Uri::from_parts(parts).map_err(|e| e.to_string())?;
    Ok(())
}

fn strip_hop_headers(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .collect();
    let own: Vec<HeaderName> = headers.keys().filter(|name| is_hop_header(name)).cloned().collect();
    for name in named.iter().chain(&own) {
        headers.remove(name);
    }
}
