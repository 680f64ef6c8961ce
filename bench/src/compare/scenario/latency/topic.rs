//! To a topic: a request to Wharf's webhook, and the bare transaction that it is compared with.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::util::Timeout;

use super::arrival::Arrivals;
use super::{PATIENCE, PAUSE, WARM_UP};
use crate::compare::orders::{BYTES, Order};
use crate::compare::place::Place;
use crate::compare::process::Process;
use crate::compare::system::{System, Values};
use crate::compare::topic::{self, client};

/// From the sending of a request until a consumer sees its record.
///
/// # Errors
/// When Wharf does not answer, or a record does not come.
pub async fn posted(place: &mut Place, system: &System, records: usize) -> Result<Vec<Duration>> {
    let (folder, name) = place.run()?;
    let kafka = place.kafka.address.clone();
    topic::create(&kafka, &name, 1).await?;
    // Whoever takes the port in between makes Wharf say so.
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr())?.to_string();
    let values: Values = vec![("NAME", name.clone()), ("TOPIC", name.clone()), ("ADDRESS", address.clone())];
    let mut process = Process::start(system.command(place, &folder, &values)?, &folder.join("log"))?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let poster =
        Poster { client: Client::builder(TokioExecutor::new()).build(connector), url: format!("http://{address}/orders") };
    let mut arrivals = Arrivals::watch(&kafka, &name)?;
    let mut ids = 0..;
    // Until it is up.
    let began = Instant::now();
    while let Err(error) = poster.post(ids.next().unwrap_or_default()).await {
        if !process.runs()? || began.elapsed() > PATIENCE {
            return Err(error.context(process.tail()));
        }
        tokio::time::sleep(PAUSE).await;
    }
    let mut times = Vec::new();
    for id in ids.take(WARM_UP + records) {
        let sent = Instant::now();
        poster.post(id).await.with_context(|| process.tail())?;
        times.push(arrivals.of(id).await.with_context(|| process.tail())?.duration_since(sent));
        tokio::time::sleep(PAUSE).await;
    }
    process.stop()?;
    topic::delete(&kafka, &name).await?;
    Ok(times.split_off(WARM_UP))
}

struct Poster {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
}

impl Poster {
    /// One request with one order, answered when its record is durable.
    async fn post(&self, id: u64) -> Result<()> {
        let body = Full::new(Bytes::from(value(id)));
        let request = Request::post(&self.url).header("content-type", "application/json").body(body)?;
        let answer = self.client.request(request).await.with_context(|| format!("POST {}", self.url))?;
        let status = answer.status();
        let text = answer.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("POST {}: {status}: {}", self.url, String::from_utf8_lossy(&text));
        }
        Ok(())
    }
}

/// From the begin of a transaction with one record until a consumer sees it.
///
/// # Errors
/// When Kafka refuses, or a record does not come.
pub async fn produced(place: &mut Place, records: usize) -> Result<Vec<Duration>> {
    let (_, name) = place.run()?;
    let kafka = place.kafka.address.clone();
    topic::create(&kafka, &name, 1).await?;
    let mut config = client(&kafka);
    config.set("transactional.id", &name).set("linger.ms", "0");
    let producer: BaseProducer = config.create()?;
    tokio::task::block_in_place(|| producer.init_transactions(PATIENCE)).context("the bare producer")?;
    let mut arrivals = Arrivals::watch(&kafka, &name)?;
    let mut times = Vec::new();
    for id in (0..).take(WARM_UP + records) {
        let value = value(id);
        let sent = Instant::now();
        tokio::task::block_in_place(|| transaction(&producer, &name, &value)).context("the bare producer")?;
        times.push(arrivals.of(id).await?.duration_since(sent));
        tokio::time::sleep(PAUSE).await;
    }
    topic::delete(&kafka, &name).await?;
    Ok(times.split_off(WARM_UP))
}

fn transaction(producer: &BaseProducer, topic: &str, value: &str) -> Result<()> {
    producer.begin_transaction()?;
    producer.send(BaseRecord::<(), str>::to(topic).partition(0).payload(value)).map_err(|(error, _)| error)?;
    // The commit's own wait goes in steps of 100 ms; this one does not.
    while producer.in_flight_count() > 0 {
        match producer.flush(Duration::ZERO) {
            Ok(()) | Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)) => {}
            Err(error) => return Err(error.into()),
        }
        producer.poll(Duration::ZERO);
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(producer.commit_transaction(Timeout::Never)?)
}

/// An order that comes for the first time.
pub(super) fn value(id: u64) -> String {
    let mut value = String::new();
    Order { id, version: 1 }.value(BYTES, &mut value);
    value
}
