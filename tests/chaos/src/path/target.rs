//! The HTTP target: takes batches of JSON lines, keeps what it took, and fails often, by its seed. Owns every fault that a
//! target can show; knows nothing of Wharf.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::body::Incoming;

use super::flaky::{self, Answer, Faults, GivenUp};
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
    faults: Arc<Faults>,
    taken: Mutex<Vec<Arrival>>,
}

#[derive(Debug)]
pub struct Target {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Target {
    pub async fn start(seed: u64) -> Result<Self> {
        let faults = Arc::new(Faults::new(seed ^ 0x6874_7470));
        let shared = Arc::new(Shared { faults: Arc::clone(&faults), taken: Mutex::default() });
        let serving = Arc::clone(&shared);
        let address = flaky::listen(faults, move |request| answer(request, Arc::clone(&serving))).await?;
        Ok(Self { address, shared })
    }

    pub fn taken(&self) -> Vec<Arrival> {
        self.shared.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn count(&self) -> u64 {
        self.shared.taken.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    pub fn reset_connections(&self, on: bool) {
        self.shared.faults.reset_connections(on);
    }
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Answer {
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
    flaky::status(status)
}

impl Shared {
    fn mood(&self) -> Mood {
        let Some(roll) = self.faults.roll() else { return Mood::Reset };
        match roll {
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
