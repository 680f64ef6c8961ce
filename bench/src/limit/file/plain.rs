//! At least once: an idempotent producer that never stands still. The place moves when all records of a block, and of those before
//! it, are delivered; it stands in a small file that is written beside and renamed.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

use super::lines::Block;
use crate::limit::dead_letters::DeadLetters;

/// Blocks of which not all records are delivered yet.
const OPEN: usize = 8;

/// Of one block, how many records are not delivered yet.
type Left = Arc<AtomicUsize>;

#[derive(Debug, Default)]
pub struct Deliveries {
    failed: Mutex<Option<KafkaError>>,
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        eprintln!("kafka: {error}: {reason}");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Left;

    fn delivery(&self, result: &DeliveryResult<'_>, left: Left) {
        match result {
            Ok(_) => drop(left.fetch_sub(1, Ordering::AcqRel)),
            Err((error, _)) => *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone()),
        }
    }
}

pub struct Plain<'a> {
    producer: BaseProducer<Deliveries>,
    topic: &'a str,
    letters: DeadLetters,
    state: PathBuf,
    /// In order: what is left of a block, and the place after it.
    open: VecDeque<(Left, u64)>,
}

impl<'a> Plain<'a> {
    /// # Errors
    /// When the configuration is refused.
    pub fn new(kafka: &str, topic: &'a str, state: PathBuf, letters: DeadLetters) -> Result<Self> {
        let mut config = super::producer(kafka);
        let producer = config.set("acks", "all").set("enable.idempotence", "true").create_with_context(Deliveries::default());
        let producer = producer.context("making the producer")?;
        Ok(Self { producer, topic, letters, state, open: VecDeque::new() })
    }

    /// # Errors
    /// When a record is not delivered, or the place cannot be kept.
    pub fn run(mut self, blocks: &Receiver<Block>, stop: &AtomicBool) -> Result<()> {
        while !stop.load(Ordering::Acquire) {
            match blocks.recv_timeout(Duration::from_millis(5)) {
                Ok(block) => self.send(&block)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.advance()?;
        }
        while !self.open.is_empty() {
            self.breathe();
            self.advance()?;
        }
        Ok(())
    }

    fn send(&mut self, block: &Block) -> Result<()> {
        while self.open.len() >= OPEN {
            self.breathe();
            self.advance()?;
        }
        self.letters.write(&block.bad)?;
        let left = Arc::new(AtomicUsize::new(block.lines().len()));
        self.open.push_back((Arc::clone(&left), block.place));
        for (at, line) in block.lines().enumerate() {
            let mut record = BaseRecord::<(), [u8], Left>::with_opaque_to(self.topic, Arc::clone(&left)).payload(line);
            while let Err((error, refused)) = self.producer.send(record) {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    return Err(error).with_context(|| format!("sending to `{}`", self.topic));
                }
                record = refused;
                self.breathe();
            }
            if at % 512 == 0 {
                self.producer.poll(Duration::ZERO);
            }
        }
        Ok(())
    }

    fn breathe(&self) {
        self.producer.poll(Duration::ZERO);
        std::thread::sleep(Duration::from_micros(500));
    }

    /// Keeps the place after the blocks that are delivered.
    fn advance(&mut self) -> Result<()> {
        self.producer.poll(Duration::ZERO);
        if let Some(error) = self.producer.context().failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(anyhow!(error).context(format!("a record for `{}` was not delivered", self.topic)));
        }
        let mut place = None;
        while let Some((left, after)) = self.open.front()
            && left.load(Ordering::Acquire) == 0
        {
            place = Some(*after);
            self.open.pop_front();
        }
        place.map_or(Ok(()), |place| keep(&self.state, place))
    }
}

impl std::fmt::Debug for Plain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plain").field("topic", &self.topic).field("state", &self.state).finish_non_exhaustive()
    }
}

/// The place in `state`, 0 when there is none.
///
/// # Errors
/// When it cannot be read.
pub fn kept(state: &Path) -> Result<u64> {
    match fs::read_to_string(state) {
        Ok(text) => text.trim().parse().with_context(|| format!("{} holds no place; remove it to begin anew", state.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error).with_context(|| format!("reading {}", state.display())),
    }
}

fn keep(state: &Path, place: u64) -> Result<()> {
    let beside = state.with_extension("new");
    let written = fs::write(&beside, place.to_string()).and_then(|()| fs::rename(&beside, state));
    written.with_context(|| format!("keeping the place in {}", state.display()))
}
