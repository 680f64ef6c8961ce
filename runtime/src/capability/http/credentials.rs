//! Credentials on requests: which header, or which place of the body, carries what at which endpoint. They are put on after the grant was
//! checked, on that endpoint only, and in place of anything the guest set there; values are marked sensitive and never logged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::http::Request;
use ::http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::body::Body;
use super::json_body::{self, Unfit};
use crate::capability::allow::{Endpoint, HostGrants};
use crate::config::{Auth, JsonBody};

/// Credentials that cannot be put on a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCredentials {
    #[error("auth.\"{authority}\" belongs to no host in allow.http; list the host there, or name the port of its entry")]
    NotAllowed { authority: String },
    #[error("auth.\"{authority}\": `{name}` is not a header name")]
    HeaderName { authority: String, name: String },
    #[error("auth.\"{authority}\": the header's name `{name}` is the host's own to set")]
    ReservedHeader { authority: String, name: String },
    #[error("auth.\"{authority}\": the value holds a line break or another character that a header cannot carry")]
    Value { authority: String },
    #[error("auth.\"{authority}\": a user name cannot hold a colon")]
    User { authority: String },
}

/// What each endpoint that has credentials gets.
#[derive(Debug, Default)]
pub(super) struct Credentials(BTreeMap<Endpoint, Credential>);

#[derive(Debug, Clone)]
enum Credential {
    Header(HeaderName, HeaderValue),
    Body(Arc<JsonBody>),
}

impl Credentials {
    pub(super) fn new(grants: &HostGrants, auth: &BTreeMap<String, Auth>) -> Result<Self, BadCredentials> {
        let mut by_endpoint = BTreeMap::new();
        // A bare host first, so that `host:port` has the last word on its endpoint.
        let (bare, exact): (Vec<_>, Vec<_>) = auth.iter().partition(|(authority, _)| !authority.contains(':'));
        for (authority, auth) in bare.into_iter().chain(exact) {
            let endpoints = grants.of_authority(authority);
            if endpoints.is_empty() {
                return Err(BadCredentials::NotAllowed { authority: authority.clone() });
            }
            let credential = credential(authority, auth)?;
            by_endpoint.extend(endpoints.into_iter().map(|endpoint| (endpoint, credential.clone())));
        }
        Ok(Self(by_endpoint))
    }

    /// Replaces the header, or the value in the body, that carries this endpoint's credentials. `limit`: how long a body may take that is
    /// read for it.
    ///
    /// # Errors
    /// [`Unfit`] where the body is to carry them and cannot.
    pub(super) async fn put_on(
        &self,
        endpoint: &Endpoint,
        mut request: Request<Body>,
        limit: Duration,
    ) -> Result<Request<Body>, Unfit> {
        match self.0.get(endpoint) {
            None => Ok(request),
            Some(Credential::Header(name, value)) => {
                request.headers_mut().insert(name.clone(), value.clone());
                Ok(request)
            }
            Some(Credential::Body(rule)) => json_body::fill(rule, request, limit).await,
        }
    }
}

fn credential(authority: &str, auth: &Auth) -> Result<Credential, BadCredentials> {
    let (name, value) = match auth {
        Auth::Basic { user, password } => {
            if user.contains(':') {
                return Err(BadCredentials::User { authority: authority.to_owned() });
            }
            let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
            (AUTHORIZATION, format!("Basic {pair}"))
        }
        Auth::Bearer(token) => (AUTHORIZATION, format!("Bearer {}", token.expose())),
        Auth::Header { name, value } => (header_name(authority, name)?, value.expose().to_owned()),
        Auth::JsonBody(rule) => return Ok(Credential::Body(Arc::new(rule.clone()))),
    };
    let mut value = HeaderValue::from_str(&value).map_err(|_| BadCredentials::Value { authority: authority.to_owned() })?;
    value.set_sensitive(true);
    Ok(Credential::Header(name, value))
}

fn header_name(authority: &str, name: &str) -> Result<HeaderName, BadCredentials> {
    let bad = |_| BadCredentials::HeaderName { authority: authority.to_owned(), name: name.to_owned() };
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(bad)?;
    if super::request::is_hop_header(&header) || header == ::http::header::CONTENT_LENGTH {
        return Err(BadCredentials::ReservedHeader { authority: authority.to_owned(), name: name.to_owned() });
    }
    Ok(header)
}
