//! Kafka transactions as one source task uses them: each class of error has its own answer. Owns the transactional producer;
//! knows neither sources nor what the records mean. Everything here blocks.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{Producer, PurgeConfig};
use rdkafka::util::Timeout;

use super::client::{Overrides, Properties, Voice, misconfigured};
use super::fault::{code_fault, fault, is_unknown_topic};
use super::lifeline::Lifelines;
use super::native::TopicName;
use super::positions::Entry;
use super::produce::{Failure, Refusal, Reports, Shipment, Shipper, refusal};
use crate::batch::{Batch, Record};
use crate::fault_point::{self, Phase};
use crate::topic_log::LogError;

/// Transient faults are waited out this long, then the owner is built anew.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two tries of the same call.
const PAUSE: Duration = Duration::from_millis(100);
/// One try at `init_transactions`, which waits up to a second for a predecessor's open transaction, and tries in all.
const INIT: Duration = Duration::from_secs(15);
const INITS: u32 = 3;

/// A transactional producer that has been through `init_transactions`: whoever had its id before is fenced.
pub(super) struct Transactions {
    id: String,
    producer: Arc<Shipper>,
    /// What went into a transaction that was left open, by a call that nobody waited for. The lock also keeps such a call and its
    /// successor apart.
    open: Mutex<Option<Arc<Shipment>>>,
    /// The owner is gone: loops end at their next look.
    closed: AtomicBool,
}

/// What goes in one transaction.
pub(super) struct Cargo<'a> {
    pub(super) records: &'a Arc<Batch>,
    pub(super) topic: &'a str,
    pub(super) entries: &'a [Entry],
}

/// What the producer has to do next.
enum Next {
    /// The same call again.
    Again,
    Abort,
    End(LogError),
}

impl Transactions {
    pub(super) fn init(
        properties: &Properties,
        overrides: &Overrides,
        id: &str,
        lifelines: &Lifelines,
    ) -> Result<Self, LogError> {
        let config = properties.producer(Some(id), overrides);
        let producer: Shipper = config.create_with_context(Reports(Voice::new(id))).map_err(|e| misconfigured(&e))?;
        let producer = Arc::new(producer);
        lifelines.hold(&producer, &config);
        let this = Self { id: id.to_owned(), producer, open: Mutex::default(), closed: AtomicBool::new(false) };
        let mut tries = 0;
        loop {
            let Err(error) = this.producer.init_transactions(INIT) else { return Ok(this) };
            tries += 1;
            match this.next("taking over", error) {
                Next::Again if tries < INITS => std::thread::sleep(PAUSE),
                Next::Again | Next::Abort => {
                    let text = format!("taking over `{id}`: the transaction coordinator does not answer");
                    return Err(LogError::Retry(text));
                }
                Next::End(error) => return Err(error),
            }
        }
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Records and entries in one transaction. Answers what was refused; then nothing was written.
    pub(super) fn run(&self, cargo: &Cargo<'_>, waited_for: &AtomicBool) -> Result<Vec<Failure>, LogError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left) = &*open {
            self.abort(left)?;
            *open = None;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shipment = open.insert(Arc::new(Shipment::of(Arc::clone(cargo.records))));
            let outcome = self.attempt(cargo, shipment, waited_for)?;
            *open = None;
            match outcome {
                None => return Ok(Vec::new()),
                Some(failures) if failures.iter().any(is_for_good) => return Ok(failures),
                Some(failures) => {
                    let code = failures.first().map_or(Code::Unknown, |f| f.code);
                    tracing::warn!(id = self.id, %code, "the transaction was aborted, its records are sent again");
                    if Instant::now() > deadline {
                        return Err(LogError::Retry(format!(
                            "transactions of `{}` were aborted for {PATIENCE:?}: {code}",
                            self.id
                        )));
                    }
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    /// One transaction: `None` when it is committed, else it was aborted and these are the reasons.
    fn attempt(
        &self,
        cargo: &Cargo<'_>,
        shipment: &Arc<Shipment>,
        waited_for: &AtomicBool,
    ) -> Result<Option<Vec<Failure>>, LogError> {
        self.producer.begin_transaction().map_err(|e| self.end("beginning a transaction", e))?;
        shipment.load(&self.producer, &BTreeSet::new());
        let topic = TopicName::new(cargo.topic).ok_or_else(|| LogError::Fatal(format!("`{}` is no topic", cargo.topic)))?;
        for (index, (key, value)) in cargo.entries.iter().enumerate() {
            let record = entry(cargo.topic, key, value.as_deref());
            shipment.hand_over(&self.producer, (&topic, 0), &record, cargo.records.len() + index);
        }
        while shipment.failures().is_empty() && !shipment.drain_for(&self.producer, PAUSE) {
            self.check_waited_for(waited_for)?;
        }
        let failures = shipment.failures();
        if !failures.is_empty() {
            self.abort(shipment)?;
            return Ok(Some(failures));
        }
        fault_point::pass(Phase::Transaction, cargo.records.len());
        if self.commit(shipment, waited_for)? { Ok(None) } else { Ok(Some(Vec::new())) }
    }

    /// False: the transaction had to be aborted.
    fn commit(&self, shipment: &Shipment, waited_for: &AtomicBool) -> Result<bool, LogError> {
        loop {
            // Never a short timeout: librdkafka aborts the process when one meets the answer.
            let Err(error) = self.producer.commit_transaction(Timeout::Never) else { return Ok(true) };
            match self.next("committing", error) {
                // The outcome is with the coordinator: only the same call tells it.
                Next::Again => std::thread::sleep(PAUSE),
                Next::Abort => {
                    self.abort(shipment)?;
                    return Ok(false);
                }
                Next::End(error) => return Err(error),
            }
            self.check_waited_for(waited_for)?;
        }
    }

    /// Drops what is not sent yet and takes all delivery reports first: an abort would wait for them in vain.
    fn abort(&self, shipment: &Shipment) -> Result<(), LogError> {
        self.producer.purge(PurgeConfig::default().queue().inflight());
        shipment.drain(&self.producer);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Err(error) = self.producer.abort_transaction(INIT) else { return Ok(()) };
            match self.next("aborting", error) {
                Next::Again | Next::Abort if Instant::now() < deadline && !self.closed.load(Ordering::Acquire) => {
                    std::thread::sleep(PAUSE);
                }
                Next::Again | Next::Abort => {
                    return Err(LogError::Retry(format!("aborting a transaction of `{}`: no answer", self.id)));
                }
                Next::End(error) => return Err(error),
            }
        }
    }

    fn check_waited_for(&self, waited_for: &AtomicBool) -> Result<(), LogError> {
        if waited_for.load(Ordering::Acquire) && !self.closed.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(LogError::Retry(format!("a transaction of `{}` was given up", self.id)))
    }

    fn next(&self, what: &str, error: KafkaError) -> Next {
        match error {
            KafkaError::Transaction(error) if error.is_fatal() => Next::End(self.fatal(what, &error)),
            KafkaError::Transaction(error) if error.txn_requires_abort() => {
                tracing::warn!(id = self.id, what, error = error.string(), "the transaction has to be aborted");
                Next::Abort
            }
            KafkaError::Transaction(error) if error.is_retriable() => {
                tracing::debug!(id = self.id, what, error = error.string(), "trying again");
                Next::Again
            }
            KafkaError::Flush(_) => Next::Again,
            KafkaError::Transaction(error) => {
                let text = format!("{what} with `{}`", self.id);
                Next::End(match error.code() {
                    // Not a state of the cluster but one of ours.
                    Code::State => LogError::Fatal(format!("{text}: {}; please report this", error.string())),
                    code => code_fault(&text, code),
                })
            }
            error => Next::End(fault(&format!("{what} with `{}`", self.id), &error)),
        }
    }

    fn end(&self, what: &str, error: KafkaError) -> LogError {
        match self.next(what, error) {
            Next::End(error) => error,
            Next::Again | Next::Abort => LogError::Fenced(format!("`{}` is in an unknown state ({what})", self.id)),
        }
    }

    /// This producer is done for. Fenced may also mean that a transaction outlived `transaction.timeout.ms`.
    fn fatal(&self, what: &str, error: &RDKafkaError) -> LogError {
        match code_fault(&format!("{what} with `{}`", self.id), error.code()) {
            fatal @ LogError::Fatal(_) => fatal,
            _ => LogError::Fenced(format!("{what} with `{}`: {}", self.id, error.string())),
        }
    }
}

fn entry<'a>(topic: &'a str, key: &'a [u8], value: Option<&'a [u8]>) -> Record<'a> {
    Record { topic, partition: 0, offset: -1, timestamp: -1, key: Some(key), value, headers: Vec::new(), attempt: 1 }
}

/// Sending the same records again would fail in the same way.
fn is_for_good(failure: &Failure) -> bool {
    match refusal(failure.code) {
        Refusal::Record | Refusal::Size | Refusal::Time => true,
        Refusal::Companion => false,
        Refusal::Other => is_unknown_topic(failure.code) || matches!(code_fault("", failure.code), LogError::Fatal(_)),
    }
}
