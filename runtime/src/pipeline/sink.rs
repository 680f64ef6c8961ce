//! THE straight line from topics to a business system: next batch, transform, write, dead letters, commit.
//! An offset moves only after delivery or a confirmed dead letter (invariants 1 and 2).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::config::SinkConfig;
use crate::guest::{Component, Context, Grants, SinkGuest};
use crate::pipeline::awaiting::Awaiting;
use crate::pipeline::chain::Chain;
use crate::pipeline::dead::Dead;
use crate::pipeline::gather::Gathering;
use crate::pipeline::give_up::LastCalls;
use crate::pipeline::held::Held;
use crate::pipeline::joining::Joining;
use crate::pipeline::stored::Offsets;
use crate::pipeline::{Ended, Stop, Tally, TaskError};
use crate::retry::Backoff;
use crate::topic_log::{BatchLimits, LogError, SinkEvent, SinkLog, TopicLog, TopicPartition};

/// Longest wait for records: bounds how long a drain or a flush takes to be noticed.
const WAIT: Duration = Duration::from_millis(500);
/// A buffered sink is flushed at least this often.
const FLUSH_EVERY: Duration = Duration::from_secs(10);

/// One task of a sink.
#[derive(Debug)]
pub struct SinkTask {
    pub config: Arc<SinkConfig>,
    pub component: Component,
    pub context: Context,
    pub grants: Grants,
    pub chain: Chain,
    pub dead: Dead,
    /// Offsets in the target's database (exactly once); `None`: in the log's group alone.
    pub offsets: Option<Offsets>,
    pub stop: Stop,
    /// `--until-done`: end when this says that nothing more will come and everything has been read.
    pub until_done: Option<watch::Receiver<bool>>,
}

/// A task while it runs.
pub(super) struct Running<'a> {
    pub(super) task: SinkTask,
    pub(super) log: &'a dyn TopicLog,
    pub(super) lane: &'a mut dyn SinkLog,
    pub(super) guest: Option<SinkGuest>,
    pub(super) owned: Vec<TopicPartition>,
    pub(super) awaiting: Awaiting,
    /// Partitions that wait for a retry while the others flow on.
    pub(super) held: Held,
    /// Counters of what is delivered and not yet confirmed by a commit.
    pub(super) pending: Tally,
    pub(super) flushed: Instant,
    pub(super) committed: Instant,
    /// Batches in one transaction.
    pub(super) gathering: Gathering,
    /// Of the piece that is being delivered.
    pub(super) backoff: Backoff,
    /// Of a piece whose retry budget is used up.
    pub(super) last_calls: Option<LastCalls>,
}

impl SinkTask {
    /// Runs until stopped, done or failed.
    ///
    /// # Errors
    /// [`TaskError`]: the supervisor decides what follows.
    pub async fn run(self, log: &dyn TopicLog, lane: &mut dyn SinkLog) -> Result<Ended, TaskError> {
        let backoff = Backoff::of(&self.config.connector, self.context.task);
        let mut running = Running {
            task: self,
            log,
            lane,
            guest: None,
            owned: Vec::new(),
            awaiting: Awaiting::default(),
            held: Held::default(),
            pending: Tally::default(),
            flushed: Instant::now(),
            committed: Instant::now(),
            gathering: Gathering::default(),
            backoff,
            last_calls: None,
        };
        running.fresh_guest().await?;
        let ended = match running.carry().await {
            Ok(ended) => ended,
            Err(error) => {
                running.commit_at_last().await;
                return Err(error);
            }
        };
        running.flush().await?;
        if let Some(guest) = running.guest.take()
            && let Err(error) = guest.close().await
        {
            tracing::warn!(connector = running.task.grants.connector, %error, "the sink did not close cleanly");
        }
        match running.held.reason() {
            // Not waited for: its offsets were never committed.
            Some(reason) => Err(TaskError::Restart(format!("stopped while retrying: {reason}"))),
            None => Ok(ended),
        }
    }
}

impl Running<'_> {
    async fn carry(&mut self) -> Result<Ended, TaskError> {
        let batch = &self.task.config.connector.batch;
        let full = BatchLimits { records: batch.records, bytes: batch.bytes, linger: batch.linger };
        let mut backoff = self.new_backoff();
        let mut joining = Some(Joining::new());
        while !self.task.stop.is_requested() {
            self.join(&mut joining).await;
            self.deliver_due().await?;
            let wait = self.held.wait(Instant::now(), WAIT);
            // An open transaction holds locks: it waits for no more than the linger, and not beyond its time.
            let left = self.gathering.left().map(|left| left.min(full.linger));
            let limits = BatchLimits { linger: wait.min(full.linger).min(left.unwrap_or(Duration::MAX)), ..full };
            let wait = left.map_or(wait, |left| wait.min(left));
            // Asked before the log is: an end of the topic from before the last record came would end the sink too early.
            let last = self.task.until_done.as_ref().is_some_and(|done| *done.borrow());
            let (event, done) = match self.look(limits, wait, last).await {
                Ok(looked) => looked,
                Err(LogError::Retry(message)) => {
                    self.commit_gathered().await?;
                    if !self.pause(&mut backoff, &message, None).await? {
                        return Err(TaskError::Restart(format!("topic log: {message}")));
                    }
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            backoff.reset();
            self.task.grants.metrics.recovered();
            self.task.grants.metrics.ends(self.lane.ends());
            let behind = matches!(&event, SinkEvent::OutOfRange(partition, _) if self.gathering.holds(partition));
            let again = !matches!(event, SinkEvent::Records(_)) && !self.commit_gathered().await?;
            if again && behind {
                // Its place lies behind what is read again: the log says so anew. Of any other partition it says it only once.
                continue;
            }
            if !matches!(event, SinkEvent::Records(_)) {
                self.commit_confirmed().await?;
            }
            match event {
                SinkEvent::Records(batch) => self.deliver(batch).await?,
                SinkEvent::Assigned(list) => self.assigned(list).await?,
                SinkEvent::Revoked(list) => self.revoked(&list).await?,
                SinkEvent::OutOfRange(partition, lost) => self.out_of_range(&partition, lost).await?,
                // A wait that a retry has cut short says little.
                SinkEvent::Idle if wait == WAIT => self.flush().await?,
                SinkEvent::Idle => {}
            }
            if self.flushed.elapsed() > FLUSH_EVERY {
                self.flush().await?;
            }
            if done {
                return Ok(Ended::Finished);
            }
        }
        self.commit_gathered().await?;
        Ok(Ended::Drained)
    }

    /// What comes next, and where nothing does, whether all is read: that is asked only by whoever is to end there.
    async fn look(&mut self, limits: BatchLimits, wait: Duration, last: bool) -> Result<(SinkEvent, bool), LogError> {
        let event = self.lane.next(limits, wait).await?;
        // What is not committed may yet have to be read again.
        let all = last && !self.gathering.is_open() && event == SinkEvent::Idle;
        let done = all && self.lane.caught_up().await?;
        Ok((event, done))
    }

    /// What was counted is confirmed: moves the counters and the dead-letter window.
    pub(super) fn settle_pending(&mut self) {
        let tally = std::mem::take(&mut self.pending);
        tally.settle(&self.task.grants.metrics);
        self.task.grants.metrics.committed_now();
        let dead = usize::try_from(tally.dead_lettered).unwrap_or(usize::MAX);
        let good = usize::try_from(tally.delivered + tally.filtered).unwrap_or(usize::MAX);
        self.task.dead.count(good, dead);
    }

    /// What was delivered and waits for its commit is in flight too, and so is what waits for a retry.
    pub(super) fn report_in_flight(&self, at_hand: usize) {
        let waiting = usize::try_from(self.pending.read).unwrap_or(usize::MAX);
        let waiting = waiting.saturating_add(self.held.records()).saturating_add(self.gathering.records());
        self.task.grants.metrics.in_flight(waiting.saturating_add(at_hand));
    }
}
