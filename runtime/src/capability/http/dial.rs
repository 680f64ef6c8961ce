//! Dialling: names to addresses, judged before any of them is connected to, so that a name cannot be re-pointed at an
//! internal address between a check and its use. Owns the pools, and the list of accounts whose tokens are shared; knows no grants and puts
//! no credentials on.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tower_service::Service;

use super::address::prohibited;
use super::body::Body;
use super::oauth::Account;
use crate::capability::allow::Reach;
use crate::config::OAuth;

/// Idle connections kept for each endpoint.
const IDLE_PER_HOST: usize = 16;
/// An idle connection is closed after this long; servers mostly close theirs after 60 s or more.
const IDLE: Duration = Duration::from_secs(50);
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// A connection ends when what was sent on it is not acknowledged, or cannot be sent, for this long (TCP_USER_TIMEOUT). Otherwise the
/// kernel goes on for minutes with what it holds of a request that was given up, which then arrives after its repetition. Linux alone
/// has it.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);

pub(super) type Pool = Client<HttpsConnector<HttpConnector<Resolver>>, Body>;

/// What all connectors share. The pools are two, so that a connection which one connector may have to a private
/// address is never handed to another that may not.
#[derive(Debug, Clone)]
pub struct SharedClients {
    public: Pool,
    private: Pool,
    accounts: Arc<Mutex<Vec<Arc<Account>>>>,
}

/// Settings of the pools.
#[derive(Debug, Clone, Default)]
pub struct ClientOptions {
    /// PEM file of authorities to trust beside the built-in ones (Mozilla's list).
    pub ca_file: Option<PathBuf>,
    /// Addresses by name, used in place of DNS. They are judged like any other.
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
}

/// The pools could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the CA file {} cannot be read as PEM: {reason}", path.display())]
    CaFile { path: PathBuf, reason: String },
    #[error("the CA file {} holds no certificate", path.display())]
    NoCertificate { path: PathBuf },
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// A name gave no address that may be dialled.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResolveError {
    #[error("{0}")]
    Lookup(io::Error),
    #[error("the name has no address")]
    Empty,
    #[error("{address} is {what}")]
    Prohibited { address: IpAddr, what: &'static str },
}

/// Looks names up and keeps only addresses that may be dialled.
#[derive(Debug, Clone)]
pub(super) struct Resolver {
    reach: Reach,
    hosts: Arc<BTreeMap<String, Vec<IpAddr>>>,
}

impl SharedClients {
    /// # Errors
    /// [`ClientError`] when the CA file cannot be used.
    pub fn new(options: &ClientOptions) -> Result<Self, ClientError> {
        let tls = tls_config(options)?;
        let hosts = Arc::new(options.hosts.clone());
        let public = Resolver { reach: Reach::Public, hosts: Arc::clone(&hosts) };
        let private = Resolver { reach: Reach::Private, hosts };
        let (public, private) = (pool(public, tls.clone(), UNACKNOWLEDGED), pool(private, tls, UNACKNOWLEDGED));
        Ok(Self { public, private, accounts: Arc::default() })
    }

    /// The account of these settings, the same for whoever asks.
    ///
    /// # Errors
    /// As [`Account::new`].
    pub(super) fn account(&self, config: &OAuth) -> Result<Arc<Account>, String> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = accounts.iter().find(|account| account.is_of(config)) {
            return Ok(Arc::clone(known));
        }
        let account = Arc::new(Account::new(config)?);
        accounts.push(Arc::clone(&account));
        Ok(account)
    }

    pub(super) const fn pool(&self, reach: Reach) -> &Pool {
        match reach {
            Reach::Public => &self.public,
            Reach::Private => &self.private,
        }
    }
}

fn tls_config(options: &ClientOptions) -> Result<rustls::ClientConfig, ClientError> {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = &options.ca_file {
        let unreadable = |e: rustls::pki_types::pem::Error| ClientError::CaFile { path: path.clone(), reason: e.to_string() };
        let mut found = false;
        for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
            roots.add(certificate.map_err(unreadable)?)?;
            found = true;
        }
        if !found {
            return Err(ClientError::NoCertificate { path: path.clone() });
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg_attr(not(target_os = "linux"), expect(unused_variables, reason = "other systems have no such limit"))]
fn pool(resolver: Resolver, tls: rustls::ClientConfig, unacknowledged: Duration) -> Pool {
    let mut http = HttpConnector::new_with_resolver(resolver);
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_keepalive(Some(KEEP_ALIVE));
    #[cfg(target_os = "linux")]
    http.set_tcp_user_timeout(Some(unacknowledged));
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(http);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .build(https)
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ResolveError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ResolveError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.clone();
        Box::pin(async move { resolver.resolve(name.as_str()).await })
    }
}

impl Resolver {
    async fn resolve(&self, name: &str) -> Result<std::vec::IntoIter<SocketAddr>, ResolveError> {
        let found: Vec<IpAddr> = match self.hosts.get(name) {
            Some(fixed) => fixed.clone(),
            None => tokio::net::lookup_host((name, 0)).await.map_err(ResolveError::Lookup)?.map(|a| a.ip()).collect(),
        };
        let mut refused = ResolveError::Empty;
        let mut kept = Vec::with_capacity(found.len());
        for address in found {
            match prohibited(address, self.reach) {
                None => kept.push(SocketAddr::new(address, 0)),
                Some(what) => refused = ResolveError::Prohibited { address, what },
            }
        }
        if kept.is_empty() { Err(refused) } else { Ok(kept.into_iter()) }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::Ipv4Addr;

    use bytes::Bytes;
    use http_body_util::{BodyExt as _, Full};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_request_that_nobody_takes_ends_by_itself_and_with_it_what_the_kernel_holds() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let resolver = Resolver { reach: Reach::Private, hosts: Arc::default() };
        let pool = pool(resolver, tls_config(&ClientOptions::default()).unwrap(), Duration::from_millis(500));
        // More than the buffers of both sides.
        let body = Body::new(Full::new(Bytes::from(vec![0; 64 << 20])).map_err(Into::into));
        let request = ::http::Request::post(format!("http://127.0.0.1:{port}/")).body(body).unwrap();
        let sending = tokio::spawn(async move { pool.request(request).await });
        let (_silent, _) = listener.accept().await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(20), sending).await.expect("it ends").unwrap();
        assert!(ended.is_err(), "{ended:?}");
    }
}
