//! THE straight line from a business system to topics: poll, transform, append records and position in one transaction,
//! acknowledge. A position moves only with its records (invariant 1). What goes out is made in `source/outgoing.rs`, and when a
//! source waits stands in `source/waiting.rs`.

use std::sync::Arc;

use tokio::sync::watch;

use crate::batch::Batch;
use crate::capability::inbox::Inbox;
use crate::config::SourceConfig;
use crate::fault_point::{self, Phase};
use crate::guest::{Component, Context, Grants, GuestError, SourceGuest};
use crate::pipeline::chain::Chain;
use crate::pipeline::dead::Dead;
use crate::pipeline::destinations::Destinations;
use crate::pipeline::slow;
use crate::pipeline::transaction::Transaction;
use crate::pipeline::{Ended, Stop, Tally, TaskError};
use crate::retry::Backoff;
use crate::telemetry::TaskState;
use crate::topic_log::{LogError, Position, SourceLog, SourceOwner, TopicLog};

mod outgoing;
mod waiting;

/// Largest place of a position, bytes (`wit/v0.1/types.wit`).
const MAX_PLACE: usize = 256 << 10;

/// One task of a source.
#[derive(Debug)]
pub struct SourceTask {
    pub config: Arc<SourceConfig>,
    pub component: Component,
    pub context: Context,
    pub grants: Grants,
    pub chain: Chain,
    pub dead: Dead,
    pub destinations: Destinations,
    pub owner: SourceOwner,
    pub stop: Stop,
    /// `--until-done`: end when the source has nothing more and, for one with an inbox, this says that no more will be sent.
    pub until_done: Option<watch::Receiver<bool>>,
}

/// What polling for a transaction came to.
type Collected = Result<Transaction, GuestError>;

/// Records and dead letters of a transaction, ready to be appended.
struct Outgoing {
    records: Batch,
    tally: Tally,
}

impl SourceTask {
    /// Runs until stopped, done or failed.
    ///
    /// # Errors
    /// [`TaskError`]: the supervisor decides what follows.
    pub async fn run(mut self, log: &dyn TopicLog) -> Result<Ended, TaskError> {
        let topics = log;
        let mut log = log.source(&self.owner).await?;
        let mut guest = SourceGuest::start(&self.component, self.grants.clone()).await?;
        self.open(&mut guest, log.positions()).await?;
        self.grants.metrics.state(TaskState::Running, None);
        let ended = self.carry(&mut guest, log.as_mut(), topics).await;
        if ended.is_ok()
            && let Err(error) = log.release().await
        {
            tracing::warn!(connector = self.grants.connector, %error, "a worker that stands by has to wait before it takes over");
        }
        if ended.is_err() {
            settle(self.grants.inbox.as_deref(), false);
        }
        if let Err(error) = guest.close().await {
            tracing::warn!(connector = self.grants.connector, %error, "the source did not close cleanly");
        }
        ended
    }

    async fn open(&mut self, guest: &mut SourceGuest, positions: &[Position]) -> Result<(), TaskError> {
        let mut backoff = Backoff::of(&self.config.connector, self.owner.task);
        loop {
            match guest.open(self.context.clone(), positions).await {
                Ok(()) => return Ok(()),
                Err(error) => self.wait_or_give_up(error, &mut backoff).await?,
            }
            if self.stop.is_requested() {
                return Ok(());
            }
        }
    }

    async fn carry(
        &mut self,
        guest: &mut SourceGuest,
        log: &mut dyn SourceLog,
        topics: &dyn TopicLog,
    ) -> Result<Ended, TaskError> {
        let mut backoff = Backoff::of(&self.config.connector, self.owner.task);
        let mut ahead = None;
        // Of what was read ahead nothing is stored: it comes again.
        while !self.stop.is_requested() {
            let collected = match ahead.take() {
                Some(collected) => collected,
                None => Transaction::collect(guest, &self.config, self.grants.inbox.as_deref(), &self.stop).await,
            };
            let mut transaction = match collected {
                Ok(transaction) => transaction,
                Err(error) => {
                    self.wait_or_give_up(error, &mut backoff).await?;
                    continue;
                }
            };
            backoff.reset();
            self.grants.metrics.recovered();
            let (idle, finished, failed) = (transaction.idle, transaction.finished, transaction.failed.take());
            let empty = transaction.is_empty();
            if empty {
                settle(self.grants.inbox.as_deref(), true);
            } else {
                // An instance that is dead takes no acknowledgement.
                let acknowledged = if matches!(failed, Some(GuestError::Died { .. })) { None } else { Some(&mut *guest) };
                ahead = self.move_on(transaction, acknowledged, log, topics).await?;
            }
            if let Some(error) = failed {
                self.wait_or_give_up(error, &mut backoff).await?;
            } else if finished || self.nothing_more(idle, empty) {
                return Ok(Ended::Finished);
            } else {
                self.rest(idle, log).await?;
            }
        }
        Ok(Ended::Drained)
    }

    /// One transaction: transforms, records + dead letters + positions, acknowledgement. Where there is more, the guest reads the next one
    /// meanwhile, which is answered.
    async fn move_on(
        &mut self,
        mut transaction: Transaction,
        mut guest: Option<&mut SourceGuest>,
        log: &mut dyn SourceLog,
        topics: &dyn TopicLog,
    ) -> Result<Option<Collected>, TaskError> {
        let positions = std::mem::take(&mut transaction.positions);
        check_size(&positions)?;
        let count = transaction.records.len();
        // Requests are answered when their poll is durable: what an inbox feeds is not read ahead.
        let reads_on = transaction.more && self.grants.inbox.is_none();
        self.grants.metrics.in_flight(count);
        fault_point::pass(Phase::Poll, count);
        let outgoing = self.prepare(transaction, topics).await?;
        let dead = usize::try_from(outgoing.tally.dead_lettered).unwrap_or(usize::MAX);
        self.dead.check(count.saturating_sub(dead), dead)?;
        let (config, stop) = (Arc::clone(&self.config), self.stop.clone());
        let next = async {
            match guest.as_deref_mut().filter(|_| reads_on) {
                Some(guest) => Some(Transaction::collect(guest, &config, None, &stop).await),
                None => None,
            }
        };
        // Both come to their end: a guest whose call is cut off is dead.
        let (tally, ahead) = tokio::join!(self.append(outgoing, &positions, log), next);
        let tally = tally?;
        fault_point::pass(Phase::Committed, count);
        tally.settle(&self.grants.metrics);
        self.grants.metrics.in_flight(0);
        self.grants.metrics.committed_now();
        self.dead.confirmed(&self.grants.metrics);
        settle(self.grants.inbox.as_deref(), true);
        let dead = usize::try_from(tally.dead_lettered).unwrap_or(usize::MAX);
        self.dead.count(count.saturating_sub(dead), dead);
        let Some(guest) = guest.filter(|_| !ahead.as_ref().is_some_and(has_died)) else { return Ok(ahead) };
        match guest.ack(positions).await {
            Ok(()) => Ok(ahead),
            // The positions are durable: the next acknowledgement covers these too.
            Err(GuestError::Retry { message, .. }) => {
                tracing::warn!(
                    connector = self.grants.connector,
                    reason = message,
                    "the source did not take the acknowledgement"
                );
                Ok(ahead)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Appends until the log has confirmed; what the log refuses for good becomes a dead letter in the same transaction.
    async fn append(&mut self, outgoing: Outgoing, positions: &[Position], log: &mut dyn SourceLog) -> Result<Tally, TaskError> {
        let Outgoing { records, mut tally } = outgoing;
        let mut records = Arc::new(records);
        let mut backoff = Backoff::of(&self.config.connector, self.owner.task);
        loop {
            let refused = match slow::shown(&self.grants.metrics, slow::LONG, log.append(&records, positions)).await {
                Err(LogError::Retry(message)) => {
                    self.wait_for_log(message, &mut backoff).await?;
                    continue;
                }
                answer => answer?,
            };
            if refused.is_empty() {
                return Ok(tally);
            }
            let count = usize::try_from(tally.delivered).unwrap_or(usize::MAX);
            let (letters, refused): (Vec<_>, Vec<_>) = refused.into_iter().partition(|refused| refused.index >= count);
            let mut dead = Batch::default();
            self.dead.again(&mut dead, &records, &letters)?;
            // Letters stand behind the records: without some of them each record has the place it had.
            let rest = Arc::unwrap_or_clone(records).select(|i| letters.iter().all(|letter| letter.index != i));
            let mut rest = self.bury(rest, &refused, &mut dead, &mut tally)?;
            dead.records().for_each(|letter| rest.push(&letter));
            records = Arc::new(rest);
        }
    }
}

/// A place that grows without end would end the log's transactions one day: better now, with its name.
fn check_size(positions: &[Position]) -> Result<(), TaskError> {
    match positions.iter().find(|p| p.place.len() > MAX_PLACE) {
        None => Ok(()),
        Some(Position { slice, place }) => Err(TaskError::Failed(format!(
            "the position of `{slice}` has {} bytes, at most {MAX_PLACE} are kept: make what the source remembers smaller (its \
             overlap, for example)",
            place.len()
        ))),
    }
}

/// The guest ended while it read: it takes no acknowledgement.
const fn has_died(collected: &Collected) -> bool {
    matches!(collected, Err(GuestError::Died { .. }) | Ok(Transaction { failed: Some(GuestError::Died { .. }), .. }))
}

/// Answers the requests that the last polls took.
fn settle(inbox: Option<&Inbox>, durable: bool) {
    if let Some(inbox) = inbox {
        inbox.settle(durable);
    }
}
