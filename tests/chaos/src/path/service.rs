//! An OData V4 service with one entity set that grows, and that fails often, by its seed. Owns every fault that a system can
//! show to a source; knows nothing of Wharf.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use serde_json::json;
use tokio::net::TcpListener;

use super::target::{GivenUp, reset, serve_with};
use crate::numbered::{Kind, Numbered};

/// Longer than the source's `timeout`.
const TOO_LONG: Duration = Duration::from_millis(1500);
/// Entities a page.
const PAGE: usize = 50;

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    rng: Mutex<Rng>,
    entities: Mutex<Vec<Numbered>>,
    resetting: AtomicBool,
}

#[derive(Debug)]
pub struct Service(Arc<Shared>);

impl Service {
    pub async fn start(seed: u64) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let shared = Arc::new(Shared {
            address: listener.local_addr()?,
            rng: Mutex::new(Rng::with_seed(seed ^ 0x6f64_6174)),
            entities: Mutex::default(),
            resetting: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                tokio::spawn(async move {
                    if shared.resetting.load(Ordering::Acquire) {
                        return reset(&stream);
                    }
                    serve_with(stream, |request| answer(request, &shared)).await;
                });
            }
        });
        Ok(Self(shared))
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    pub fn add(&self, records: &[Numbered]) {
        self.0.entities.lock().unwrap_or_else(PoisonError::into_inner).extend(records);
    }

    pub fn reset_connections(&self, on: bool) {
        self.0.resetting.store(on, Ordering::Release);
    }
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Result<Response<Full<Bytes>>, GivenUp> {
    let query = request.uri().query().unwrap_or_default().replace("%20", " ");
    if !request.uri().path().ends_with("/Numbers") {
        return status(404);
    }
    if shared.resetting.load(Ordering::Acquire) {
        return Err(GivenUp);
    }
    let mood = shared.rng.lock().unwrap_or_else(PoisonError::into_inner).u32(0..100);
    match mood {
        0..=4 => return status(503),
        5 => return status(429),
        6..=10 => return Err(GivenUp),
        11..=12 => {
            tokio::time::sleep(TOO_LONG).await;
            return Err(GivenUp);
        }
        _ => {}
    }
    let body = shared.page(&query);
    Response::builder().header("content-type", "application/json").body(Full::from(body)).map_err(|_| GivenUp)
}

fn status(status: u16) -> Result<Response<Full<Bytes>>, GivenUp> {
    let mut response = Response::builder().status(status);
    if status == 429 {
        response = response.header("retry-after", "1");
    }
    response.body(Full::default()).map_err(|_| GivenUp)
}

impl Shared {
    /// The entities from the number on that the query's `$filter` names, in order.
    fn page(&self, query: &str) -> String {
        let number = |operator: &str| query.split(operator).nth(1).and_then(|rest| crate::numbered::number(rest.as_bytes()));
        let first = number("N gt ").map(|n| n + 1).or_else(|| number("N ge ")).unwrap_or(0);
        let entities = self.entities.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = entities.partition_point(|entity| entity.n < first);
        let page: Vec<_> = entities.iter().skip(begin).take(PAGE).collect();
        let mut answer = json!({ "value": page.iter().map(|entity| written(entity)).collect::<Vec<_>>() });
        let more = page.last().filter(|last| entities.last().is_some_and(|newest| newest.n > last.n));
        if let (Some(last), Some(fields)) = (more, answer.as_object_mut()) {
            let link = format!("http://{}/Numbers?$filter=N%20gt%20{}&$orderby=N%20asc", self.address, last.n);
            fields.insert("@odata.nextLink".to_owned(), link.into());
        }
        answer.to_string()
    }
}

/// The number comes first, however its properties are sorted.
fn written(entity: &Numbered) -> serde_json::Value {
    let flag = if matches!(entity.kind, Kind::Malformed | Kind::Refused) { "maybe" } else { "true" };
    let pad = if entity.kind == Kind::Oversize { "o".repeat(crate::numbered::OVERSIZE) } else { String::new() };
    json!({ "N": entity.n, "flag": flag, "k": entity.key(), "pad": pad })
}
