//! Handing records to a producer and waiting until the brokers have answered for each. Owns the drain loop and what an answer
//! means for a record; opens no transaction.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer, ProducerContext};

use super::client::Voice;
use super::native::{self, TopicName};
use crate::batch::{Batch, Record};

/// Between two looks at what is still in flight: librdkafka's own flush waits for 100 ms, a shorter sleep spins.
const LOOK: Duration = Duration::from_micros(500);
/// A push has what lingers sent, also the last records of each partition. While it lasts the broker's thread spins where it waits for
/// an answer: it is short, and comes once in so many looks.
const PUSH: Duration = Duration::from_millis(1);
const LOOKS: u32 = 8;

/// A record that was not written, by its index in the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) index: usize,
    pub(super) code: Code,
    /// librdkafka refused it itself, no broker saw it.
    pub(super) at_once: bool,
}

/// One call's records on their way.
#[derive(Debug)]
pub(super) struct Shipment {
    /// They are sent from where they lie in here, until the last ticket is gone.
    records: Arc<Batch>,
    in_flight: AtomicUsize,
    failed: Mutex<Vec<Failure>>,
    /// Set by whoever gave up waiting: loops end at their next look.
    pub(super) given_up: AtomicBool,
}

/// Goes with each record to its delivery report: the call, and the record's index in it.
pub(super) type Ticket = Box<(Arc<Shipment>, usize)>;

/// Context of every producer.
#[derive(Debug)]
pub(super) struct Reports(pub(super) Voice);

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(&error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Ticket;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Ticket) {
        let (shipment, index) = *ticket;
        if let Err((error, _)) = result {
            let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
            shipment.fail(Failure { index, code, at_once: false });
        }
        shipment.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The producer of this log.
pub(super) type Shipper = BaseProducer<Reports>;

impl Shipment {
    pub(super) fn of(records: Arc<Batch>) -> Self {
        Self { records, in_flight: AtomicUsize::new(0), failed: Mutex::default(), given_up: AtomicBool::new(false) }
    }

    /// What the records' values lie in.
    pub(super) fn data(&self) -> &[u8] {
        &self.records.data
    }

    fn fail(&self, failure: Failure) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
    }

    /// Records that were not delivered, in order, and why.
    pub(super) fn failures(&self) -> Vec<Failure> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        failed.sort_by_key(|failure| failure.index);
        failed
    }

    /// Hands over the records, but for those in `without`; what is refused at once counts as failed.
    pub(super) fn load(self: &Arc<Self>, producer: &Shipper, without: &BTreeSet<usize>) {
        // Neighbours mostly share their topic.
        let mut topic: Option<(&str, TopicName)> = None;
        for (index, record) in self.records.records().enumerate() {
            if without.contains(&index) {
                continue;
            }
            if topic.as_ref().is_none_or(|(name, _)| *name != record.topic) {
                topic = TopicName::new(record.topic).map(|native| (record.topic, native));
            }
            match &topic {
                Some((_, topic)) => self.hand_over(producer, (topic, -1), &record, index),
                None => self.fail(Failure { index, code: Code::InvalidTopic, at_once: true }),
            }
        }
    }

    /// Hands over one record; -1 leaves its partition to the partitioner. A full queue is waited out.
    pub(super) fn hand_over(self: &Arc<Self>, producer: &Shipper, to: (&TopicName, i32), record: &Record<'_>, index: usize) {
        loop {
            self.in_flight.fetch_add(1, Ordering::AcqRel);
            let ticket = Box::new((Arc::clone(self), index));
            let Err(code) = native::produce(producer, to, record, ticket) else { return };
            self.in_flight.fetch_sub(1, Ordering::AcqRel);
            if code != Code::QueueFull || self.given_up.load(Ordering::Acquire) {
                self.fail(Failure { index, code, at_once: true });
                return;
            }
            producer.poll(Duration::ZERO);
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until every record has its answer: delivered, or failed for good (`message.timeout.ms`). False: given up before.
    pub(super) fn drain(&self, producer: &Shipper) -> bool {
        while !self.drain_for(producer, Duration::from_millis(100)) {
            if self.given_up.load(Ordering::Acquire) {
                return false;
            }
        }
        true
    }

    /// The same for a limited time; false: something is still in flight.
    pub(super) fn drain_for(&self, producer: &Shipper, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        let mut looks = 0;
        while self.in_flight.load(Ordering::Acquire) > 0 {
            if Instant::now() > until {
                return false;
            }
            if looks % LOOKS == 0 {
                native::push(producer.client(), PUSH);
            } else {
                std::thread::sleep(LOOK);
            }
            looks += 1;
            producer.poll(Duration::ZERO);
        }
        true
    }
}

/// What a refusal of one record means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// This record can never be written, as it is.
    Record,
    /// A batch of several records was larger than its topic takes: which one is at fault is yet to be found.
    Size,
    /// A record of the batch has a time that the topic does not take: which one is yet to be found.
    Time,
    /// It failed because another record of its batch did.
    Companion,
    /// Nothing about the record.
    Other,
}

pub(super) const fn refusal(code: Code) -> Refusal {
    match code {
        Code::MessageSizeTooLarge => Refusal::Size,
        Code::InvalidTimestamp => Refusal::Time,
        Code::InvalidRecord | Code::InvalidMessage => Refusal::Record,
        Code::InvalidDifferentRecord | Code::PurgeQueue | Code::PurgeInflight => Refusal::Companion,
        _ => Refusal::Other,
    }
}

/// Bytes that a record takes in a batch of its own, at most: key, value, headers, and what Kafka adds.
pub(super) fn size(record: &Record<'_>) -> usize {
    /// Header of a record batch, and lengths and deltas of one record at their longest.
    const FRAME: usize = 61 + 40;
    let headers = record.headers.iter().map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len) + 10).sum::<usize>();
    record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len) + headers + FRAME
}

/// Tells a shipment that nobody waits for it any more, when dropped.
pub(super) struct Waiting(pub(super) Arc<Shipment>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.given_up.store(true, Ordering::Release);
    }
}
