//! An HTTP server that fails on purpose: connections that are reset for a while, and whatever its handler rolls by a seed.
//! Knows neither requests nor records.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use fastrand::Rng;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

#[derive(Debug, thiserror::Error)]
#[error("the connection is given up")]
pub struct GivenUp;

pub type Answer = Result<Response<Full<Bytes>>, GivenUp>;

/// How a server fails.
#[derive(Debug)]
pub struct Faults {
    rng: Mutex<Rng>,
    resetting: AtomicBool,
}

impl Faults {
    pub fn new(seed: u64) -> Self {
        Self { rng: Mutex::new(Rng::with_seed(seed)), resetting: AtomicBool::new(false) }
    }

    pub fn reset_connections(&self, on: bool) {
        self.resetting.store(on, Ordering::Release);
    }

    /// The mood of one request, 0 to 99; `None` while connections are reset.
    pub fn roll(&self) -> Option<u32> {
        let resetting = self.resetting.load(Ordering::Acquire);
        (!resetting).then(|| self.rng.lock().unwrap_or_else(PoisonError::into_inner).u32(0..100))
    }
}

/// Serves connections from now on; a request that is given up ends its connection by a reset.
pub async fn listen<F>(
    faults: Arc<Faults>,
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) -> Result<SocketAddr>
where
    F: Future<Output = Answer> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if faults.resetting.load(Ordering::Acquire) {
                reset(&stream);
            } else {
                tokio::spawn(serve(stream, answer.clone()));
            }
        }
    });
    Ok(address)
}

async fn serve<F: Future<Output = Answer>>(stream: TcpStream, answer: impl Fn(Request<Incoming>) -> F) {
    // Kept alive between requests; a request that is to end in a reset ends the connection.
    let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
    let parts = serving.without_shutdown().await;
    if let Ok(parts) = parts {
        reset(parts.io.inner());
    }
}

/// Closes with RST instead of FIN when the stream is dropped.
fn reset(stream: &TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        eprintln!("a connection could not be reset: {error}");
    }
}

/// An answer without a body; 429 asks for a second.
pub fn status(status: u16) -> Answer {
    let mut response = Response::builder().status(status);
    if status == 429 {
        response = response.header("retry-after", "1");
    }
    response.body(Full::default()).map_err(|_| GivenUp)
}
