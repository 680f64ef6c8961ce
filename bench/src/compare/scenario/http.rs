//! Topic to HTTP: requests of 500 lines to a local server that answers after 1 ms.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::compare::Options;
use crate::compare::destination::Lines;
use crate::compare::measure::measure;
use crate::compare::place::Place;
use crate::compare::results::Found;
use crate::compare::round::in_turn;
use crate::compare::scenario::postgres::{TOPIC, fill};
use crate::compare::system::{How, System, Values};
use crate::compare::topic;

/// How long the server takes to answer.
const ANSWER: Duration = Duration::from_millis(1);

const SYSTEMS: [System; 3] = [
    System { name: "Wharf", how: How::Wharf("topic-to-http.toml"), set: &[] },
    System { name: "Redpanda Connect", how: How::RedpandaConnect("http.yaml"), set: &[] },
    System {
        name: "limit",
        how: How::Limit("http --kafka ${KAFKA} --url ${URL} --topic ${TOPIC} --group ${GROUP}", ""),
        set: &[],
    },
];

/// # Errors
/// When a system cannot do it.
pub async fn run(options: &Options, place: &mut Place) -> Result<Found> {
    let kafka = place.kafka.address.clone();
    fill(&kafka, options.rows()).await?;
    let found = in_turn(options, &SYSTEMS, async |system| {
        let (folder, name) = place.run()?;
        let mut server = Server::start(options.rows()).await?;
        let values: Values = vec![
            ("NAME", name.clone()),
            ("TOPIC", TOPIC.to_owned()),
            ("GROUP", format!("bench.{name}")),
            ("ADDRESS", server.address.clone()),
            ("URL", format!("http://{}/records", server.address)),
        ];
        let command = system.command(place, &folder, &values)?;
        measure(command, &folder.join("log"), options.rows(), &mut server.lines, place.servers()).await
    })
    .await?;
    topic::delete(&kafka, TOPIC).await?;
    Ok(found)
}

/// Counts the lines of what is posted. Ends when it is dropped.
#[derive(Debug)]
struct Server {
    address: String,
    lines: Lines,
    accepting: JoinHandle<()>,
}

impl Server {
    async fn start(rows: u64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("a port for the HTTP server")?;
        let address = listener.local_addr()?.to_string();
        let taken = Arc::new(AtomicU64::new(0));
        let lines = Lines { taken: Arc::clone(&taken), rows };
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let taken = Arc::clone(&taken);
                let service = service_fn(move |request| answer(request, Arc::clone(&taken)));
                let mut server = hyper::server::conn::http1::Builder::new();
                server.timer(TokioTimer::new());
                // A connection that a system closes when it ends is no fault.
                tokio::spawn(async move { server.serve_connection(TokioIo::new(stream), service).await.is_ok() });
            }
        });
        Ok(Self { address, lines, accepting })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn answer(request: Request<Incoming>, taken: Arc<AtomicU64>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let mut response = Response::new(Empty::new());
    match request.into_body().collect().await {
        Ok(body) => {
            let body = body.to_bytes();
            // Records hold no line feeds; the last one may end with one or without.
            let ends = memchr::memchr_iter(b'\n', &body).count() as u64;
            let open = u64::from(body.last().is_some_and(|byte| *byte != b'\n'));
            tokio::time::sleep(ANSWER).await;
            taken.fetch_add(ends + open, Ordering::AcqRel);
        }
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    Ok(response)
}
