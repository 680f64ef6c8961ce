//! The HTTP target: takes batches of JSON lines, keeps what it took, and fails often, by its seed. Owns every fault that a
//! target can show; knows nothing of Wharf.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::compare::Arrival;

/// Longer than the sink's `timeout`.
const TOO_LONG: Duration = Duration::from_millis(1500);
/// The sink's `timeout`.
pub const TIMEOUT: &str = "500ms";

/// How one request is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Take,
    /// 503.
    Unavailable,
    /// 429 with `Retry-After`.
    TooMany,
    /// The connection is reset before the request is read.
    Reset,
    /// Taken, then the connection is reset before the answer.
    TakeAndReset,
    /// No answer within the sender's patience.
    Hang,
    TakeAndHang,
}

#[derive(Debug)]
struct Shared {
    rng: Mutex<Rng>,
    taken: Mutex<Vec<Arrival>>,
    resetting: AtomicBool,
}

#[derive(Debug)]
pub struct Target {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Target {
    pub async fn start(seed: u64) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            rng: Mutex::new(Rng::with_seed(seed ^ 0x6874_7470)),
            taken: Mutex::default(),
            resetting: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        Ok(Self { address, shared })
    }

    pub fn taken(&self) -> Vec<Arrival> {
        self.shared.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn count(&self) -> u64 {
        self.shared.taken.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    pub fn reset_connections(&self, on: bool) {
        self.shared.resetting.store(on, Ordering::Release);
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    if shared.resetting.load(Ordering::Acquire) {
        return reset(&stream);
    }
    serve_with(stream, |request| answer(request, &shared)).await;
}

/// Answers the requests of a connection; one that is given up ends it by a reset.
pub async fn serve_with<F>(stream: TcpStream, answer: impl Fn(Request<Incoming>) -> F)
where
    F: Future<Output = Result<Response<Full<Bytes>>, GivenUp>>,
{
    let service = service_fn(answer);
    // Kept alive between requests; a request that is to end in a reset ends the connection.
    let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let parts = serving.without_shutdown().await;
    if let Ok(parts) = parts {
        reset(parts.io.inner());
    }
}

/// Closes with RST instead of FIN when the stream is dropped.
pub fn reset(stream: &TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        eprintln!("a connection could not be reset: {error}");
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the connection is given up")]
pub struct GivenUp;

async fn answer(request: Request<Incoming>, shared: &Shared) -> Result<Response<Full<Bytes>>, GivenUp> {
    let mood = shared.mood();
    match mood {
        Mood::Reset => return Err(GivenUp),
        Mood::Hang => {
            tokio::time::sleep(TOO_LONG).await;
            return Err(GivenUp);
        }
        _ => {}
    }
    let body = request.into_body().collect().await.map_err(|_| GivenUp)?.to_bytes();
    let status = match mood {
        Mood::Unavailable => 503,
        Mood::TooMany => 429,
        _ => shared.take(&body),
    };
    match mood {
        Mood::TakeAndReset => return Err(GivenUp),
        Mood::TakeAndHang => {
            tokio::time::sleep(TOO_LONG).await;
            return Err(GivenUp);
        }
        _ => {}
    }
    let mut response = Response::builder().status(status);
    if status == 429 {
        response = response.header("retry-after", "1");
    }
    response.body(Full::default()).map_err(|_| GivenUp)
}

impl Shared {
    fn mood(&self) -> Mood {
        if self.resetting.load(Ordering::Acquire) {
            return Mood::Reset;
        }
        match self.rng.lock().unwrap_or_else(PoisonError::into_inner).u32(0..100) {
            0..=7 => Mood::Unavailable,
            8..=9 => Mood::TooMany,
            10..=14 => Mood::Reset,
            15..=19 => Mood::TakeAndReset,
            20..=21 => Mood::Hang,
            22..=23 => Mood::TakeAndHang,
            _ => Mood::Take,
        }
    }

    /// Takes all lines or none: one that is to be refused refuses its batch.
    fn take(&self, body: &[u8]) -> u16 {
        let mut arrivals = Vec::new();
        for line in body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let Ok(value) = serde_json::from_slice::<serde_json::Value>(line) else { return 400 };
            let text = |field: &str| value.get(field).and_then(serde_json::Value::as_str).map(ToOwned::to_owned);
            let number = |field: &str| value.get(field).and_then(serde_json::Value::as_i64);
            if number("flag") == Some(-1) {
                return 422;
            }
            let (Some(n), Some(key)) = (number("n").and_then(|n| u64::try_from(n).ok()), text("k")) else { return 400 };
            arrivals.push(Arrival { n, key, id: text("id") });
        }
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).extend(arrivals);
        200
    }
}
