//! How an owner's records and positions leave: in one Kafka transaction, or at least once, and when it wrote last.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::Shared;
use super::super::append::{self, Appender};
use super::super::client::blocking;
use super::super::positions::{self, Entry, Stamp};
use super::super::refused::refused;
use super::super::transaction::{Cargo, Transactions};
use super::claim::newer;
use super::kept;
use crate::batch::{Batch, Record};
use crate::topic_log::{LogError, Position, Refused, SourceOwner};

/// How records leave.
pub(super) enum Way {
    /// Records and positions in one transaction.
    Once(Arc<Transactions>),
    /// Positions after the records are acknowledged. A predecessor is not fenced: it finds the newer claim at its next beat.
    AtLeastOnce(Appender),
}

/// What an owner writes with.
pub(super) struct Writer {
    shared: Arc<Shared>,
    identity: SourceOwner,
    stamp: Stamp,
    way: Way,
    last: Mutex<Instant>,
    /// The claim was given back. Held while a beat is written: none may come after.
    released: tokio::sync::Mutex<bool>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, identity: SourceOwner, stamp: Stamp, way: Way) -> Self {
        Self { shared, identity, stamp, way, last: Mutex::new(Instant::now()), released: tokio::sync::Mutex::new(false) }
    }

    /// Nothing more is waited for.
    pub(super) fn close(&self) {
        if let Way::Once(transactions) = &self.way {
            transactions.close();
        }
    }

    /// Time since it wrote last.
    pub(super) fn quiet(&self) -> Duration {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    pub(super) async fn append(&self, records: &Arc<Batch>, positions: &[Position]) -> Result<Vec<Refused>, LogError> {
        let entries = positions.iter().map(|p| positions::position_entry(&self.identity, &self.stamp, p));
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let refused = self.write(records, entries).await?;
        self.shared.expiry.look(&self.shared.admin, records);
        Ok(refused)
    }

    /// Makes this owner known, and removed tasks forgotten.
    pub(super) async fn claim(&self, removed: &[u32]) -> Result<(), LogError> {
        let mut entries = vec![positions::claim_entry(&self.identity, self.identity.task, Some(&self.stamp))?];
        for task in removed {
            entries.push(positions::claim_entry(&self.identity, *task, None)?);
        }
        self.write_entries(entries).await
    }

    /// Gives the claim back: who stands by need not wait for silence. That it was there stays, as a reset leaves nothing else.
    pub(super) async fn release(&self) -> Result<(), LogError> {
        let mut released = self.released.lock().await;
        *released = true;
        self.check_newer().await?;
        let given_back = positions::claim_entry(&self.identity, self.identity.task, None)?;
        self.write_entries(vec![given_back, positions::taken_entry(&self.identity, &self.stamp)?]).await
    }

    /// A sign of life; false once the claim was given back.
    pub(super) async fn beat(&self) -> Result<bool, LogError> {
        let released = self.released.lock().await;
        if !*released {
            self.check_newer().await?;
            self.claim(&[]).await?;
        }
        Ok(!*released)
    }

    /// What is written goes where it went when this took the source over.
    pub(super) async fn kept(&self) -> Result<(), LogError> {
        kept::still(&self.shared, super::names(&self.identity), self.stamp.topic.as_deref()).await
    }

    /// Where nobody is fenced, the claims tell whether another has taken over.
    async fn check_newer(&self) -> Result<(), LogError> {
        if matches!(self.way, Way::AtLeastOnce(_)) {
            let found = super::read(&self.shared, super::names(&self.identity), &self.stamp.log).await?;
            if let Some(claim) = newer(&self.identity, &self.stamp, &found) {
                return Err(LogError::Fenced(format!(
                    "worker {} has taken source `{}` over",
                    claim.worker, self.identity.source
                )));
            }
        }
        Ok(())
    }

    async fn write_entries(&self, entries: Vec<Entry>) -> Result<(), LogError> {
        match self.write(&Arc::default(), entries).await?.first() {
            None => Ok(()),
            Some(refused) => Err(LogError::Fatal(format!("the claim of the source was refused: {}", refused.reason))),
        }
    }

    async fn write(&self, records: &Arc<Batch>, entries: Vec<Entry>) -> Result<Vec<Refused>, LogError> {
        let written = self.write_now(records, entries).await?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Ok(written)
    }

    async fn write_now(&self, records: &Arc<Batch>, entries: Vec<Entry>) -> Result<Vec<Refused>, LogError> {
        let topic = positions::topic(&self.identity.deployment);
        let transactions = match &self.way {
            Way::AtLeastOnce(appender) => return self.write_at_least_once(appender, records, &entries, &topic).await,
            Way::Once(transactions) => Arc::clone(transactions),
        };
        let waited_for = Arc::new(AtomicBool::new(true));
        let guard = Waited(Arc::clone(&waited_for));
        let batch = Arc::clone(records);
        let failures =
            blocking(move || transactions.run(&Cargo { records: &batch, topic: &topic, entries: &entries }, &waited_for)).await;
        drop(guard);
        let failures = failures?;
        if failures.is_empty() {
            return Ok(Vec::new());
        }
        if failures.iter().all(|f| f.index >= records.len()) {
            let code = failures.first().map(|f| f.code.to_string()).unwrap_or_default();
            return Err(LogError::Fatal(format!("positions cannot be written, nothing was: {code}")));
        }
        let refused = refused(&self.shared.admin, records, &failures).await?;
        if refused.is_empty() {
            return Err(append::not_written(records, &failures));
        }
        Ok(refused)
    }

    async fn write_at_least_once(
        &self,
        appender: &Appender,
        records: &Arc<Batch>,
        entries: &[Entry],
        topic: &str,
    ) -> Result<Vec<Refused>, LogError> {
        let refused = appender.append(&self.shared.admin, records).await?;
        if !refused.is_empty() {
            return Ok(refused);
        }
        let mut batch = Batch::default();
        for (key, value) in entries {
            let (key, value) = (Some(key.as_slice()), value.as_deref());
            batch.push(&Record { topic, partition: 0, offset: -1, timestamp: -1, key, value, headers: Vec::new(), attempt: 1 });
        }
        match appender.append(&self.shared.admin, &Arc::new(batch)).await?.first() {
            None => Ok(Vec::new()),
            Some(refused) => Err(LogError::Fatal(format!("a position cannot be written: {}", refused.reason))),
        }
    }
}

/// Set to false when the call that waits goes away.
struct Waited(Arc<AtomicBool>);

impl Drop for Waited {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
