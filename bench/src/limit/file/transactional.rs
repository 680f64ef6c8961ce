//! Exactly once: each block is a transaction, with the place after it in a topic beside.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::util::Timeout;
use rdkafka::{Offset, TopicPartitionList};

use super::lines::Block;
use crate::limit::dead_letters::DeadLetters;

const ASK: Duration = Duration::from_secs(30);

pub struct Transactional<'a> {
    kafka: &'a str,
    producer: BaseProducer,
    topic: &'a str,
    positions: String,
    file: String,
    letters: DeadLetters,
}

impl<'a> Transactional<'a> {
    /// Takes over from a process before.
    ///
    /// # Errors
    /// When Kafka refuses.
    pub fn new(kafka: &'a str, topic: &'a str, file: String, letters: DeadLetters) -> Result<Self> {
        let mut config = super::producer(kafka);
        let config = config.set("transactional.id", format!("limit-{topic}")).set("transaction.timeout.ms", "60000");
        let producer: BaseProducer = config.create().context("making the producer")?;
        producer.init_transactions(ASK).with_context(|| format!("taking over the transactional.id `limit-{topic}`"))?;
        Ok(Self { kafka, producer, topic, positions: format!("{topic}.positions"), file, letters })
    }

    /// Where the last committed transaction ended. To be asked after the start of the producer only, which ends an open one.
    ///
    /// # Errors
    /// When Kafka refuses.
    pub fn place(&self) -> Result<u64> {
        let mut config = crate::limit::config(self.kafka);
        config.set("group.id", &self.positions).set("enable.auto.commit", "false");
        config.set("fetch.wait.max.ms", "10");
        let ends: BaseConsumer = config.clone().set("isolation.level", "read_uncommitted").create()?;
        let end = ends.fetch_watermarks(&self.positions, 0, ASK);
        let (_, end) = end.with_context(|| format!("asking for the end of `{}`", self.positions))?;
        if end == 0 {
            return Ok(0);
        }
        config.set("isolation.level", "read_committed").set("enable.partition.eof", "true");
        let consumer: BaseConsumer = config.create()?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.positions, 0, Offset::Beginning)?;
        consumer.assign(&list)?;
        let (mut place, deadline) = (0, Instant::now() + ASK);
        while Instant::now() < deadline {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(record)) if record.key() == Some(self.file.as_bytes()) => {
                    let text = std::str::from_utf8(record.payload().unwrap_or_default())?;
                    place = text.parse().with_context(|| format!("`{text}` in `{}` is no place", self.positions))?;
                }
                // The end as seen by those who read committed records can lie before one's own.
                Some(Err(KafkaError::PartitionEOF(_))) if position(&consumer)? >= end => return Ok(place),
                Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) | None => {}
                Some(Err(error)) => return Err(error).with_context(|| format!("reading `{}`", self.positions)),
            }
        }
        bail!("the end of `{}` was not reached in {} s", self.positions, ASK.as_secs())
    }

    /// # Errors
    /// When a transaction fails.
    pub fn run(&self, blocks: &Receiver<Block>, stop: &AtomicBool) -> Result<()> {
        while !stop.load(Ordering::Acquire) {
            match blocks.recv_timeout(Duration::from_millis(50)) {
                Ok(block) => self.write(&block).with_context(|| format!("the transaction up to byte {}", block.place))?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(())
    }

    fn write(&self, block: &Block) -> Result<()> {
        self.letters.write(&block.bad)?;
        self.producer.begin_transaction()?;
        for (at, line) in block.lines().enumerate() {
            self.send(BaseRecord::to(self.topic).payload(line))?;
            if at % 512 == 0 {
                self.producer.poll(Duration::ZERO);
            }
        }
        let place = block.place.to_string();
        self.send(BaseRecord::to(&self.positions).partition(0).key(self.file.as_bytes()).payload(place.as_bytes()))?;
        // The commit's own wait goes in steps of 100 ms; this one does not.
        let deadline = Instant::now() + ASK;
        while self.producer.in_flight_count() > 0 && Instant::now() < deadline {
            match self.producer.flush(Duration::ZERO) {
                Ok(()) | Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)) => {}
                Err(error) => return Err(error.into()),
            }
            self.producer.poll(Duration::ZERO);
            std::thread::sleep(Duration::from_micros(300));
        }
        // Never with a short timeout: that aborts the process (rdkafka_txnmgr.c).
        Ok(self.producer.commit_transaction(Timeout::Never)?)
    }

    fn send(&self, mut record: BaseRecord<'_, [u8], [u8]>) -> Result<()> {
        while let Err((error, refused)) = self.producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            record = refused;
            self.producer.poll(Duration::ZERO);
            std::thread::sleep(Duration::from_micros(500));
        }
        Ok(())
    }
}

impl std::fmt::Debug for Transactional<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transactional").field("topic", &self.topic).field("file", &self.file).finish_non_exhaustive()
    }
}

fn position(consumer: &BaseConsumer) -> Result<i64> {
    let at = consumer.position()?.elements().first().map(TopicPartitionListElem::offset);
    Ok(at.and_then(Offset::to_raw).unwrap_or(-1))
}
