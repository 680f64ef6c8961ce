//! Credentials on requests: which header, or which place of the body, carries what at which endpoint. They are put on after the grant was
//! checked, on that endpoint only, and in place of anything the guest set there; values are marked sensitive and never logged. Where a
//! service refuses them, they are renewed: a token is thrown away, and a secret's file is read again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::{AUTHORIZATION, HeaderValue};
use ::http::{Request, StatusCode};

use super::body::Body;
use super::dial::SharedClients;
use super::error::HttpError;
use super::json_body;
use super::oauth::{Account, NoToken, Token};
use crate::capability::allow::{Endpoint, HostGrants, Reach};
use crate::capability::veil::{Later, Veil};
use crate::config::{Auth, JsonBody};
use header::Header;

mod header;

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
    #[error("auth.\"{authority}\".oauth: {reason}")]
    TokenUrl { authority: String, reason: String },
}

/// What each endpoint that has credentials gets.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    by_endpoint: BTreeMap<Endpoint, Credential>,
    /// Secrets whose file had changed.
    later: Later,
}

#[derive(Debug, Clone)]
enum Credential {
    Header(Arc<Header>),
    Body(Arc<JsonBody>),
    Token(Arc<Account>),
}

/// What a request went out with.
#[derive(Debug)]
pub(super) enum Used {
    /// What does not change by an answer.
    Fixed,
    Header(HeaderValue),
    Token(Arc<Token>),
}

/// What an answer says of the credentials that the request had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing that others would change.
    Stands,
    /// They are refused, and there are others now. `trusted`: those that are refused were accepted before, so that others may be, too.
    Renewed { trusted: bool },
}

impl Credentials {
    /// Accounts of tokens are those of `clients`, so that all connectors of an account share its token.
    pub(super) fn new(
        clients: &SharedClients,
        grants: &HostGrants,
        auth: &BTreeMap<String, Auth>,
    ) -> Result<Self, BadCredentials> {
        let mut by_endpoint = BTreeMap::new();
        // A bare host first, so that `host:port` has the last word on its endpoint.
        let (bare, exact): (Vec<_>, Vec<_>) = auth.iter().partition(|(authority, _)| !authority.contains(':'));
        for (authority, auth) in bare.into_iter().chain(exact) {
            let endpoints = grants.of_authority(authority);
            if endpoints.is_empty() {
                return Err(BadCredentials::NotAllowed { authority: authority.clone() });
            }
            let credential = credential(clients, authority, auth)?;
            by_endpoint.extend(endpoints.into_iter().map(|endpoint| (endpoint, credential.clone())));
        }
        Ok(Self { by_endpoint, later: Later::default() })
    }

    /// Over these, and what comes later of them.
    pub(super) fn veil(&self, auth: &BTreeMap<String, Auth>) -> Veil {
        let tokens = self.by_endpoint.values().filter_map(|credential| match credential {
            Credential::Token(account) => Some(account.later()),
            Credential::Header(_) | Credential::Body(_) => None,
        });
        Veil::of(auth, tokens.chain([self.later.clone()]).collect())
    }

    /// Whether an answer of this endpoint may have them renewed.
    pub(super) fn may_change(&self, endpoint: &Endpoint) -> bool {
        match self.by_endpoint.get(endpoint) {
            None | Some(Credential::Body(_)) => false,
            Some(Credential::Header(header)) => header.has_file(),
            Some(Credential::Token(_)) => true,
        }
    }

    /// Replaces the header, or the value in the body, that carries this endpoint's credentials. `limit`: how long a body may take that is
    /// read for it.
    ///
    /// # Errors
    /// [`HttpError::Unfit`] where the body is to carry them and cannot, [`HttpError::NoToken`].
    pub(super) async fn put_on(
        &self,
        clients: &SharedClients,
        endpoint: &Endpoint,
        mut request: Request<Body>,
        limit: Duration,
    ) -> Result<(Request<Body>, Used), HttpError> {
        match self.by_endpoint.get(endpoint) {
            None => Ok((request, Used::Fixed)),
            Some(Credential::Header(header)) => {
                let value = header.value();
                request.headers_mut().insert(header.name().clone(), value.clone());
                Ok((request, Used::Header(value)))
            }
            Some(Credential::Token(account)) => {
                let none = |no: NoToken| HttpError::NoToken { endpoint: endpoint.clone(), no };
                let token = account.token(clients.pool(Reach::Private)).await.map_err(none)?;
                request.headers_mut().insert(AUTHORIZATION, token.header.clone());
                Ok((request, Used::Token(token)))
            }
            Some(Credential::Body(rule)) => {
                // Services tell of a wrong secret by all kinds of answers, so its file is read each time.
                let rule = JsonBody { value: rule.value.as_it_is_now().await, ..JsonBody::clone(rule) };
                if rule.value.has_file() {
                    self.later.hide_all(&Auth::JsonBody(rule.clone()));
                }
                let unfit = |reason| HttpError::Unfit { endpoint: endpoint.clone(), reason };
                Ok((json_body::fill(&rule, request, limit).await.map_err(unfit)?, Used::Fixed))
            }
        }
    }

    /// What follows from an answer's status. A request that is answered by 401 or 403 was not carried out (RFC 9110, 15.5.2 and 15.5.4).
    pub(super) async fn after(&self, endpoint: &Endpoint, used: &Used, status: StatusCode) -> Verdict {
        match (self.by_endpoint.get(endpoint), used) {
            (Some(Credential::Token(account)), Used::Token(token)) if status == StatusCode::UNAUTHORIZED => {
                Verdict::Renewed { trusted: account.refused(token).await }
            }
            (Some(Credential::Token(_)), Used::Token(token)) => {
                token.accept();
                Verdict::Stands
            }
            (Some(Credential::Header(header)), Used::Header(value))
                if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
                    && header.renew(value, &self.later).await =>
            {
                Verdict::Renewed { trusted: true }
            }
            _ => Verdict::Stands,
        }
    }
}

fn credential(clients: &SharedClients, authority: &str, auth: &Auth) -> Result<Credential, BadCredentials> {
    match auth {
        Auth::JsonBody(rule) => Ok(Credential::Body(Arc::new(rule.clone()))),
        Auth::OAuth(config) => {
            let bad = |reason| BadCredentials::TokenUrl { authority: authority.to_owned(), reason };
            clients.account(config).map(Credential::Token).map_err(bad)
        }
        Auth::Basic { .. } | Auth::Bearer(_) | Auth::Header { .. } => {
            Ok(Credential::Header(Arc::new(Header::new(authority, auth)?)))
        }
    }
}
