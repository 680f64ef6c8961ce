//! Connections: accepts them, bounds their number and the time that a slow sender may take, and ends them in order.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::GRACE;
use super::operations::Site;

/// Longest time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
const HEAD: Duration = Duration::from_secs(30);
/// Largest head of a request; above it hyper answers 431.
const HEAD_BYTES: usize = 64 << 10;
/// Pause after a failed accept, such as "too many open files": it would fail again at once.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// Where connections come in.
pub(super) enum Door {
    Tcp(TcpListener, Option<TlsAcceptor>),
    Unix(UnixListener),
}

/// A connection before its first byte.
enum Caller {
    Plain(TcpStream),
    Tls(TcpStream, TlsAcceptor),
    Unix(UnixStream),
}

/// Bounds of one door.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    connections: Arc<Semaphore>,
    /// Longest time until a request's head is there; also how long a kept connection may idle.
    pub(super) head: Duration,
}

impl Limits {
    pub(super) fn new(connections: usize) -> Self {
        Self { connections: Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))), head: HEAD }
    }
}

impl Door {
    /// Cancel-safe: accepting is, and a place that was got is given back.
    async fn accept(&self, limits: &Limits) -> std::io::Result<(Caller, OwnedSemaphorePermit)> {
        let place = Arc::clone(&limits.connections).acquire_owned().await.map_err(std::io::Error::other)?;
        let caller = match self {
            Self::Tcp(listener, tls) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                match tls {
                    Some(tls) => Caller::Tls(stream, tls.clone()),
                    None => Caller::Plain(stream),
                }
            }
            Self::Unix(listener) => Caller::Unix(listener.accept().await?.0),
        };
        Ok((caller, place))
    }
}

/// Serves one door until stopping is requested, then waits a bounded time for answers under way.
pub(super) async fn keep(door: Door, site: Arc<Site>, limits: Limits, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        // Cancel-safe: `accept` and `join_next` lose nothing, the last branch only waits.
        tokio::select! {
            accepted = door.accept(&limits) => match accepted {
                Ok((caller, place)) => {
                    connections.spawn(serve(caller, Arc::clone(&site), limits.head, stop.clone(), place));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            },
            Some(ended) = connections.join_next() => report(ended),
            () = requested(&mut stop) => break,
        }
    }
    drop(door);
    let drained = tokio::time::timeout(GRACE, async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    });
    if drained.await.is_err() {
        tracing::warn!(connections = connections.len(), "connections were cut: their answers took too long");
        connections.shutdown().await;
    }
}

/// Resolves when stopping is requested, or when nobody is left who could.
async fn requested(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        tracing::debug!("the listener was dropped: stopping");
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task panicked");
    }
}

async fn serve(caller: Caller, site: Arc<Site>, head: Duration, stop: watch::Receiver<bool>, _place: OwnedSemaphorePermit) {
    match caller {
        Caller::Plain(stream) => talk(stream, site, head, stop).await,
        Caller::Unix(stream) => talk(stream, site, head, stop).await,
        Caller::Tls(stream, tls) => match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => talk(stream, site, head, stop).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        },
    }
}

async fn talk<S>(stream: S, site: Arc<Site>, head: Duration, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let site = Arc::clone(&site);
        async move { Ok::<_, std::convert::Infallible>(site.answer(request).await) }
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    // Cancel-safe: the connection is polled again below, the other branch only waits.
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = requested(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
