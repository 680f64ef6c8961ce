//! The requests. A body that is not answered by 2xx is sent again a few times; then the pipeline ends.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// Lines of one partition.
#[derive(Debug)]
pub struct Body {
    pub partition: i32,
    /// The offset behind them.
    pub next: i64,
    pub lines: Bytes,
}

/// A client with a limit on what is in flight.
#[derive(Debug, Clone)]
pub struct Posts {
    client: Client<HttpConnector, Full<Bytes>>,
    url: Uri,
    permits: Arc<Semaphore>,
}

impl Posts {
    #[must_use]
    pub fn new(url: &Uri, in_flight: usize) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(in_flight).build(connector);
        Self { client, url: url.clone(), permits: Arc::new(Semaphore::new(in_flight.max(1))) }
    }

    /// The way of one partition: `at_once` requests in flight, answers told in order.
    #[must_use]
    pub fn partition(&self, runtime: &Handle, at_once: usize, tell: Sender<Result<Body>>) -> mpsc::Sender<Body> {
        let (bodies, received) = mpsc::channel(2);
        let posts = self.clone();
        runtime.spawn(async move {
            let waiting = stream::unfold(received, async |mut received| received.recv().await.map(|body| (body, received)));
            let mut answered = std::pin::pin!(waiting.map(|body| posts.post(body)).buffered(at_once.max(1)));
            while let Some(body) = answered.next().await {
                let ended = body.is_err();
                if tell.send(body).is_err() || ended {
                    break;
                }
            }
        });
        bodies
    }

    async fn post(&self, body: Body) -> Result<Body> {
        let _permit = self.permits.acquire().await?;
        let mut attempt = 1;
        while let Err(error) = self.once(&body.lines).await {
            if attempt == ATTEMPTS {
                return Err(error.context(format!("records of partition {} before offset {}", body.partition, body.next)));
            }
            attempt += 1;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(body)
    }

    async fn once(&self, lines: &Bytes) -> Result<()> {
        let request = Request::post(&self.url).header("content-type", "application/x-ndjson").body(Full::new(lines.clone()))?;
        let answer = self.client.request(request).await.with_context(|| format!("POST {}", self.url))?;
        let status = answer.status();
        let text = answer.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("POST {}: {status}: {}", self.url, String::from_utf8_lossy(text.get(..200).unwrap_or(&text)));
        }
        Ok(())
    }
}
