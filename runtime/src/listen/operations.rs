//! What each path answers: the operations endpoints here, webhook paths in `listen/webhook.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::Route;
use crate::telemetry::{CONTENT_TYPE as METRICS, Kind, Snapshot, TaskState, Telemetry};

pub(super) type Reply = Response<Full<Bytes>>;

/// Everything one door serves.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) telemetry: Arc<Telemetry>,
    /// By path.
    pub(super) routes: BTreeMap<String, Route>,
    /// Places for requests held at once, over all connectors.
    pub(super) held: Arc<Semaphore>,
    /// Largest body of a webhook request, bytes.
    pub(super) max_body: usize,
    /// Longest time for such a body to arrive.
    pub(super) body_time: Duration,
}

/// Body of `/health`.
#[derive(Debug, Serialize)]
struct HealthBody {
    healthy: bool,
    tasks: Vec<TaskBody>,
}

/// Body of `/ready`.
#[derive(Debug, Serialize)]
struct ReadyBody {
    ready: bool,
    /// Why not.
    reasons: Vec<String>,
}

#[derive(Debug, Serialize)]
struct TaskBody {
    connector: String,
    kind: Kind,
    task: u32,
    state: TaskState,
    reason: Option<String>,
    /// Partitions that stand still while the others flow on, with the reason.
    stopped_partitions: BTreeMap<String, String>,
    since: String,
}

impl Site {
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Reply {
        let path = request.uri().path();
        if let Some(route) = self.routes.get(path) {
            return self.receive(route, request).await;
        }
        let page: fn(&Telemetry) -> Reply = match path {
            "/health" => health,
            "/ready" => ready,
            "/metrics" => metrics,
            "/status" => status,
            _ => return error(StatusCode::NOT_FOUND, "no such path"),
        };
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return not_allowed("GET, HEAD");
        }
        page(&self.telemetry)
    }
}

fn health(telemetry: &Telemetry) -> Reply {
    let Snapshot { health, tasks, .. } = telemetry.snapshot();
    let tasks = tasks.into_iter().map(|t| TaskBody {
        connector: t.connector,
        kind: t.kind,
        task: t.task,
        state: t.state,
        reason: t.reason,
        stopped_partitions: t.stopped_partitions,
        since: t.since,
    });
    json(ok_or_unavailable(health.healthy), &HealthBody { healthy: health.healthy, tasks: tasks.collect() })
}

fn ready(telemetry: &Telemetry) -> Reply {
    let health = telemetry.snapshot().health;
    json(ok_or_unavailable(health.ready), &ReadyBody { ready: health.ready, reasons: health.reasons })
}

fn metrics(telemetry: &Telemetry) -> Reply {
    reply(StatusCode::OK, METRICS, telemetry.exposition().into())
}

fn status(telemetry: &Telemetry) -> Reply {
    json(StatusCode::OK, &telemetry.snapshot())
}

const fn ok_or_unavailable(ok: bool) -> StatusCode {
    if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

pub(super) fn not_allowed(allow: &'static str) -> Reply {
    let mut reply = error(StatusCode::METHOD_NOT_ALLOWED, "this path does not take that method");
    reply.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    reply
}

/// An error as JSON: `{"error": "…"}`.
pub(super) fn error(status: StatusCode, message: &str) -> Reply {
    json(status, &serde_json::json!({ "error": message }))
}

fn json(status: StatusCode, body: &impl Serialize) -> Reply {
    match serde_json::to_vec(body) {
        Ok(body) => reply(status, "application/json", body.into()),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            reply(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", Bytes::from_static(b"internal error"))
        }
    }
}

pub(super) fn reply(status: StatusCode, media_type: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    reply
}
