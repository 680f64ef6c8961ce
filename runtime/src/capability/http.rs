//! HTTP for guests. Every request, a redirect's target like any other, is checked against the operator's list, sent over
//! a shared pool whose dialling judges the addresses, and carries the credentials of its endpoint and of no other.
//! Follows no redirect, keeps no cookie, uses no proxy.
//!
//! Must run on the host's own runtime: the pool's connections live where they were opened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::capture_connection;
use tokio::time::{Instant, sleep, timeout};

use crate::capability::allow::{Endpoint, HostGrants, Reach};
use crate::capability::veil::Veil;
use crate::config::{AllowedHost, Auth};
use crate::fault_point::{self, Phase};
use copy::Copy;
use credentials::{Credentials, Used, Verdict};
use gate::Gate;

mod address;
mod body;
mod copy;
mod credentials;
mod dial;
mod error;
mod gate;
mod json_body;
mod oauth;
mod request;

#[cfg(test)]
mod tests;

pub use body::{BetweenBytesTimeout, Body};
pub use credentials::BadCredentials;
pub use dial::{ClientError, ClientOptions, SharedClients};
pub use error::HttpError;
pub use gate::MAX_HOLD;
pub use json_body::Unfit;
pub use oauth::NoToken;
pub(crate) use oauth::percent_encoded;

/// What one connector may do by HTTP: its grant, its credentials and the shared pools. Cheap to clone; all tasks of a
/// connector share one, so that they keep a remote account's pause together.
#[derive(Debug, Clone)]
pub struct HttpAccess(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connector: String,
    clients: SharedClients,
    grants: HostGrants,
    credentials: Credentials,
    veil: Veil,
    gate: Gate,
}

/// Deadlines of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection is there: name, TCP and TLS, or one from the pool.
    pub connect: Duration,
    /// From then until the answer's head is there, sending the request included.
    pub first_byte: Duration,
    /// Between two pieces of the answer's body.
    pub between_bytes: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), first_byte: Duration::from_secs(60), between_bytes: Duration::from_secs(60) }
    }
}

impl HttpAccess {
    /// `connector`: its name, for messages. `allow` and `auth` as the operator wrote them for one connector.
    ///
    /// # Errors
    /// [`BadCredentials`] when credentials belong to no listed host or cannot be written as a header.
    pub fn new(
        clients: &SharedClients,
        connector: &str,
        allow: &[AllowedHost],
        auth: &BTreeMap<String, Auth>,
    ) -> Result<Self, BadCredentials> {
        let grants = HostGrants::new(allow);
        let credentials = Credentials::new(clients, &grants, auth)?;
        let (connector, clients) = (connector.to_owned(), clients.clone());
        let (veil, gate) = (credentials.veil(auth), Gate::default());
        Ok(Self(Arc::new(Inner { connector, clients, grants, credentials, veil, gate })))
    }

    /// Over what services may have echoed.
    #[must_use]
    pub fn veil(&self) -> &Veil {
        &self.0.veil
    }

    /// Sends one request (its URL absolute) and answers as soon as the answer's head is there. Waits first for as long as
    /// the remote account asked (at most [`MAX_HOLD`]), and for a token where it needs one, neither of which a deadline of `timeouts`
    /// counts. A status of any kind is an answer, a redirect too. A request whose credentials were refused and are others since is sent
    /// once more. Dropping the future gives the request up.
    ///
    /// # Errors
    /// [`HttpError`], whose text names the endpoint, never path, query, header or body. An error of the answer's body
    /// is [`BetweenBytesTimeout`] or hyper's own.
    pub async fn send(&self, mut request: Request<Body>, timeouts: Timeouts) -> Result<Response<Body>, HttpError> {
        let (endpoint, reach) = self.0.check(&request)?;
        let unusable = |reason| HttpError::Protocol { endpoint: endpoint.clone(), reason };
        request::prepare(&mut request, &endpoint).map_err(unusable)?;
        let answer = if self.0.credentials.may_change(&endpoint) {
            self.0.send_or_renew(request, (&endpoint, reach), timeouts).await?
        } else {
            self.0.send_once(request, (&endpoint, reach), timeouts).await?.0
        };
        Ok(answer.map(|incoming| body::Timed::new(incoming, timeouts.between_bytes).boxed_unsync()))
    }
}

impl Inner {
    async fn send_or_renew(
        &self,
        request: Request<Body>,
        to: (&Endpoint, Reach),
        timeouts: Timeouts,
    ) -> Result<Response<Incoming>, HttpError> {
        let (request, copy) = Copy::of(request);
        let (answer, used) = self.send_once(request, to, timeouts).await?;
        let Verdict::Renewed { trusted } = self.credentials.after(to.0, &used, answer.status()).await else {
            return Ok(answer);
        };
        tracing::info!(connector = self.connector, endpoint = %to.0, status = %answer.status(), "credentials refused, renewed");
        match copy.request() {
            Some(again) => {
                drop(answer);
                let (answer, used) = self.send_once(again, to, timeouts).await?;
                // Refused once more, it is the guest's to say what that means.
                self.credentials.after(to.0, &used, answer.status()).await;
                Ok(answer)
            }
            None if trusted => Err(HttpError::Renewed { endpoint: to.0.clone() }),
            // The guest would send it for ever.
            None => Ok(answer),
        }
    }

    async fn send_once(
        &self,
        request: Request<Body>,
        (endpoint, reach): (&Endpoint, Reach),
        timeouts: Timeouts,
    ) -> Result<(Response<Incoming>, Used), HttpError> {
        let (request, used) = self.credentials.put_on(&self.clients, endpoint, request, timeouts.first_byte).await?;
        self.gate.pass(endpoint).await;
        let begun = Instant::now();
        let answer = exchange(self.clients.pool(reach), request, endpoint, timeouts).await?;
        fault_point::pass(Phase::Write, 1);
        self.gate.observe(endpoint, (answer.status(), answer.headers()), begun, Instant::now());
        Ok((answer, used))
    }

    fn check(&self, request: &Request<Body>) -> Result<(Endpoint, Reach), HttpError> {
        let denied = |authority: String, reason: String| HttpError::Denied { authority, reason };
        let endpoint = Endpoint::of(request.uri()).map_err(|bad| {
            let host = request.uri().host().unwrap_or("(no host)").to_owned();
            denied(host, bad.to_string())
        })?;
        if request::is_refused_method(request.method()) {
            return Err(denied(endpoint.authority(), format!("the method {} is not for guests", request.method())));
        }
        let Some(reach) = self.grants.reach(&endpoint) else {
            let (connector, listed) = (&self.connector, self.grants.describe());
            let reason = format!("{endpoint} is not in allow.http of `{connector}` (listed there: {listed})");
            return Err(denied(endpoint.authority(), reason));
        };
        // A literal address never reaches the resolver, so it is judged here.
        match endpoint.literal().and_then(|ip| address::prohibited(ip, reach).map(|what| (ip, what))) {
            Some((address, what)) => Err(HttpError::Prohibited { endpoint, address, what }),
            None => Ok((endpoint, reach)),
        }
    }
}

async fn exchange(
    pool: &dial::Pool,
    mut request: Request<Body>,
    endpoint: &Endpoint,
    timeouts: Timeouts,
) -> Result<Response<Incoming>, HttpError> {
    let late = |waiting_for, after| HttpError::Timeout { endpoint: endpoint.clone(), waiting_for, after };
    let mut connection = capture_connection(&mut request);
    let mut sending = pool.request(request);
    // Cancel-safe: `sending` is polled by reference and goes on below; the other two keep no state.
    let early = tokio::select! {
        answer = &mut sending => Some(answer),
        _ = connection.wait_for_connection_metadata() => None,
        () = sleep(timeouts.connect) => return Err(late("a connection", timeouts.connect)),
    };
    let answer = match early {
        Some(answer) => answer,
        None => timeout(timeouts.first_byte, sending).await.map_err(|_| late("an answer", timeouts.first_byte))?,
    };
    answer.map_err(|e| error::classify(&e, endpoint))
}
