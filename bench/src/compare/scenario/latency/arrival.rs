//! Sees records of a topic as they come, as a reader of committed records does: on a thread of its own, with the time of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use serde::Deserialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::PATIENCE;
use crate::compare::topic::client;

/// Reads until it is dropped.
#[derive(Debug)]
pub struct Arrivals {
    seen: UnboundedReceiver<Result<(u64, Instant)>>,
    stop: Arc<AtomicBool>,
    reading: Option<JoinHandle<()>>,
}

/// What is read of a value.
#[derive(Deserialize)]
struct Id {
    id: u64,
}

impl Arrivals {
    /// Of a topic with one partition, from its beginning on.
    ///
    /// # Errors
    /// When there can be no client.
    pub fn watch(kafka: &str, topic: &str) -> Result<Self> {
        let mut config = client(kafka);
        config.set("group.id", topic).set("enable.auto.commit", "false").set("isolation.level", "read_committed");
        let consumer: BaseConsumer = config.create()?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Beginning)?;
        consumer.assign(&list)?;
        let (tell, seen) = unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let reading = Some(std::thread::spawn(move || read(&consumer, &tell, &flag)));
        Ok(Self { seen, stop, reading })
    }

    /// When a record came.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn of(&mut self, id: u64) -> Result<Instant> {
        tokio::time::timeout(PATIENCE, async {
            loop {
                // Others are those of tries that were not measured.
                match self.seen.recv().await.context("the consumer has ended")?? {
                    (seen, at) if seen == id => return Ok(at),
                    _ => {}
                }
            }
        })
        .await
        .with_context(|| format!("record {id} has not come after {PATIENCE:?}"))?
    }
}

fn read(consumer: &BaseConsumer, tell: &UnboundedSender<Result<(u64, Instant)>>, stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        let Some(message) = consumer.poll(Duration::from_millis(50)) else { continue };
        let at = Instant::now();
        let seen = message.context("reading records as they come").and_then(|message| {
            let id: Id = serde_json::from_slice(message.payload().unwrap_or_default())?;
            Ok((id.id, at))
        });
        if tell.send(seen).is_err() {
            return;
        }
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if self.reading.take().is_some_and(|reading| reading.join().is_err()) {
            eprintln!("the thread that reads records as they come has panicked");
        }
    }
}
