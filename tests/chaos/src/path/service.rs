//! An OData V4 service with one entity set that grows, and that fails often, by its seed. Owns every fault that a system can
//! show to a source; knows nothing of Wharf.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};
use serde_json::json;

use super::flaky::{self, Answer, Faults, GivenUp};
use crate::numbered::{Kind, Numbered};

/// Longer than the source's `timeout`.
const TOO_LONG: Duration = Duration::from_millis(1500);
/// Entities a page.
const PAGE: usize = 50;

#[derive(Debug)]
struct Shared {
    faults: Arc<Faults>,
    entities: Mutex<Vec<Numbered>>,
}

#[derive(Debug)]
pub struct Service {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Service {
    pub async fn start(seed: u64) -> Result<Self> {
        let faults = Arc::new(Faults::new(seed ^ 0x6f64_6174));
        let shared = Arc::new(Shared { faults: Arc::clone(&faults), entities: Mutex::default() });
        let serving = Arc::clone(&shared);
        let address = flaky::listen(faults, move |request| answer(request, Arc::clone(&serving))).await?;
        Ok(Self { address, shared })
    }

    pub fn add(&self, records: &[Numbered]) {
        self.shared.entities.lock().unwrap_or_else(PoisonError::into_inner).extend(records);
    }

    pub fn reset_connections(&self, on: bool) {
        self.shared.faults.reset_connections(on);
    }
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Answer {
    let query = request.uri().query().unwrap_or_default().replace("%20", " ");
    if !request.uri().path().ends_with("/Numbers") {
        return flaky::status(404);
    }
    match shared.faults.roll() {
        Some(0..=4) => return flaky::status(503),
        Some(5) => return flaky::status(429),
        None | Some(6..=10) => return Err(GivenUp),
        Some(11..=12) => {
            tokio::time::sleep(TOO_LONG).await;
            return Err(GivenUp);
        }
        Some(_) => {}
    }
    let host = request.headers().get("host").and_then(|host| host.to_str().ok()).ok_or(GivenUp)?;
    let body = shared.page(&query, host);
    Response::builder().header("content-type", "application/json").body(Full::from(body)).map_err(|_| GivenUp)
}

impl Shared {
    /// The entities from the number on that the query's `$filter` names, in order.
    fn page(&self, query: &str, host: &str) -> String {
        let number = |operator: &str| query.split(operator).nth(1).and_then(|rest| crate::numbered::number(rest.as_bytes()));
        let first = number("N gt ").map(|n| n + 1).or_else(|| number("N ge ")).unwrap_or(0);
        let entities = self.entities.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = entities.partition_point(|entity| entity.n < first);
        let page: Vec<_> = entities.iter().skip(begin).take(PAGE).collect();
        let mut answer = json!({ "value": page.iter().map(|entity| written(entity)).collect::<Vec<_>>() });
        let more = page.last().filter(|last| entities.last().is_some_and(|newest| newest.n > last.n));
        if let (Some(last), Some(fields)) = (more, answer.as_object_mut()) {
            let link = format!("http://{host}/Numbers?$filter=N%20gt%20{}&$orderby=N%20asc", last.n);
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
