//! Gives a client that has lost all its brokers the bootstrap list again.
//!
//! A broker that stood still longer than its session with the controller is fenced, and its first answer about the cluster
//! then names no broker at all. librdkafka forgets every broker on such an answer, those of `bootstrap.servers` too, and may
//! never ask again (confluentinc/librdkafka #5301; seen with 2.12.1 and one broker stopped for 9 s): calls without a timeout,
//! a commit among them, then wait for ever. So each client is asked from time to time, and given its list again.
//! `wharf-chaos --fault broker-pause-long` shows it.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};

use super::native;

/// Between two looks at a client.
const LOOK: Duration = Duration::from_secs(5);
/// The same while a cluster does not come back: each time it is given is kept by the client.
const LONGEST: Duration = Duration::from_secs(40);

/// A client that is looked after.
pub(super) trait Held: Send + Sync {
    /// Whether it has a broker to ask; else it is given these. Never blocks.
    fn keep(&self, servers: &str) -> bool;
}

fn keep<C: ClientContext>(client: &Client<C>, servers: &str) -> bool {
    let connected = native::has_broker(client);
    if !connected {
        native::add_brokers(client, servers);
    }
    connected
}

impl<C: ProducerContext> Held for BaseProducer<C> {
    fn keep(&self, servers: &str) -> bool {
        keep(self.client(), servers)
    }
}

impl<C: ConsumerContext> Held for BaseConsumer<C> {
    fn keep(&self, servers: &str) -> bool {
        keep(self.client(), servers)
    }
}

impl<C: ClientContext> Held for AdminClient<C> {
    fn keep(&self, servers: &str) -> bool {
        keep(self.inner(), servers)
    }
}

/// One client that is looked after, as long as it lives.
struct Line {
    client: Weak<dyn Held>,
    servers: String,
    wait: Duration,
    due: Instant,
}

type Lines = Arc<Mutex<Vec<Line>>>;

/// The clients of a log that live long, and the thread that looks after them.
pub(super) struct Lifelines {
    lines: Lines,
    /// Dropped to end the thread.
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Lifelines {
    pub(super) fn start() -> std::io::Result<Self> {
        let lines = Lines::default();
        let theirs = Arc::clone(&lines);
        let (stop, stopped) = sync_channel::<()>(0);
        let look = move || {
            while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                look_after(&theirs);
            }
        };
        let thread = std::thread::Builder::new().name("kafka-lifelines".to_owned()).spawn(look)?;
        Ok(Self { lines, stop: Some(stop), thread: Some(thread) })
    }

    /// Looks after a client that was made of this configuration.
    pub(super) fn hold<T: Held + 'static>(&self, client: &Arc<T>, config: &ClientConfig) {
        let servers = config.get("bootstrap.servers").or_else(|| config.get("metadata.broker.list")).unwrap_or_default();
        let client = Arc::downgrade(client);
        let line = Line { client, servers: servers.to_owned(), wait: LOOK, due: Instant::now() + LOOK };
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

fn look_after(lines: &Mutex<Vec<Line>>) {
    let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let mut last = Vec::new();
    lines.retain_mut(|line| {
        let Some(client) = line.client.upgrade() else { return false };
        if now >= line.due {
            line.wait = if client.keep(&line.servers) {
                LOOK
            } else {
                tracing::debug!(servers = line.servers, "a Kafka client has no broker to ask, and was given its list again");
                (line.wait * 2).min(LONGEST)
            };
            line.due = now + line.wait;
        }
        last.push(client);
        true
    });
    drop(lines);
    // Should this be the last hold on one, its end may take a while: not under the lock.
    drop(last);
}

impl Drop for Lifelines {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the thread that looks after Kafka clients panicked");
        }
    }
}
