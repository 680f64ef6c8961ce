//! Appending outside any transaction, and waiting until all is durable. Owns the producer that all sinks share for their
//! dead letters; holds no positions.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::error::RDKafkaErrorCode as Code;

use super::admin::Admin;
use super::client::{Overrides, Properties, Voice, blocking, misconfigured};
use super::lifeline::Lifelines;
use super::produce::{Failure, Refusal, Reports, Shipment, Shipper, Waiting, refusal};
use super::refused::refused;
use crate::batch::Batch;
use crate::topic_log::{LogError, Refused};

/// An idempotent producer, made when it is first needed and again after a fatal error.
pub(super) struct Appender {
    properties: Properties,
    overrides: Overrides,
    name: String,
    lifelines: Arc<Lifelines>,
    producer: Mutex<Option<Arc<Shipper>>>,
}

impl Appender {
    pub(super) fn new(properties: Properties, overrides: Overrides, name: String, lifelines: Arc<Lifelines>) -> Self {
        Self { properties, overrides, name, lifelines, producer: Mutex::default() }
    }

    fn producer(&self) -> Result<Arc<Shipper>, LogError> {
        let mut slot = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(producer) = &*slot {
            return Ok(Arc::clone(producer));
        }
        let config = self.properties.producer(None, &self.overrides);
        let reports = Reports(Voice::new(self.name.clone()));
        let producer: Arc<Shipper> = Arc::new(config.create_with_context(reports).map_err(|e| misconfigured(&e))?);
        self.lifelines.hold(&producer, &config);
        Ok(Arc::clone(slot.insert(producer)))
    }

    fn forget(&self) {
        drop(self.producer.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Writes what can be written; answers the records that never can.
    pub(super) async fn append(&self, admin: &Admin, records: &Arc<Batch>) -> Result<Vec<Refused>, LogError> {
        let mut never = Vec::new();
        // Records that need no (further) sending.
        let mut settled = BTreeSet::new();
        loop {
            let failures = self.ship(records, settled.clone()).await?;
            if failures.is_empty() {
                return Ok(never);
            }
            let refused = refused(admin, records, &failures).await?;
            let companions: BTreeSet<_> =
                failures.iter().filter(|f| refusal(f.code) != Refusal::Other).map(|f| f.index).collect();
            if refused.is_empty() || companions.len() < failures.len() {
                return Err(not_written(records, &failures));
            }
            // Only what fell with a refused record is sent again.
            settled = (0..records.len()).filter(|index| !companions.contains(index)).chain(settled).collect();
            settled.extend(refused.iter().map(|r| r.index));
            never.extend(refused);
            never.sort_by_key(|r| r.index);
        }
    }

    async fn ship(&self, records: &Arc<Batch>, without: BTreeSet<usize>) -> Result<Vec<Failure>, LogError> {
        let producer = self.producer()?;
        let shipment = Arc::new(Shipment::of(Arc::clone(records)));
        let waiting = Waiting(Arc::clone(&shipment));
        let failures = blocking(move || {
            shipment.load(&producer, &without);
            let complete = shipment.drain(&producer);
            let stopped = || LogError::Retry("the write was given up".to_owned());
            complete.then(|| shipment.failures()).ok_or_else(stopped)
        })
        .await;
        drop(waiting);
        let failures = failures?;
        if failures.iter().any(|f| f.code == Code::Fatal) {
            self.forget();
        }
        Ok(failures)
    }
}

/// Some records are not written, for a reason that may pass.
pub(super) fn not_written(records: &Batch, failures: &[Failure]) -> LogError {
    let first = failures.iter().find(|f| refusal(f.code) == Refusal::Other).or(failures.first());
    let topic = first.and_then(|f| records.records().nth(f.index)).map_or("", |record| record.topic);
    let code = first.map_or(Code::Unknown, |f| f.code);
    LogError::Retry(format!(
        "{} of {} records were not written, the first to topic `{topic}`: {code}",
        failures.len(),
        records.len()
    ))
}
