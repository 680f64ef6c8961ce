//! THE straight line from topics to a business system: next batch, transform, write, dead letters, commit.
//! An offset moves only after delivery or a confirmed dead letter (invariants 1 and 2).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::batch::Batch;
use crate::config::SinkConfig;
use crate::dead_letter::Stage;
use crate::fault_point::{self, Phase};
use crate::guest::{Component, Context, Grants, GuestError, SinkGuest};
use crate::outcome::{Outcome, Rejection, Verdict, Written};
use crate::pipeline::attempt::Attempt;
use crate::pipeline::awaiting::Awaiting;
use crate::pipeline::chain::Chain;
use crate::pipeline::dead::Dead;
use crate::pipeline::deliver::{Burial, Delivery, Piece};
use crate::pipeline::exactly_once::Offsets;
use crate::pipeline::{Ended, Stop, Tally, TaskError, poison};
use crate::retry::Backoff;
use crate::telemetry::TaskState;
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
    /// Counters of what is delivered and not yet confirmed by a commit.
    pub(super) pending: Tally,
    pub(super) flushed: Instant,
    pub(super) backoff: Backoff,
}

/// How one try at a piece ended.
pub(super) enum Tried {
    Delivered,
    /// The guest died: replay it in a fresh instance, smaller.
    Died(GuestError),
    /// The call as a whole was refused: find the record at fault.
    Refused(GuestError),
    /// The partitions went to another owner: drop what is in flight, it will be delivered there.
    Lost,
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
            pending: Tally::default(),
            flushed: Instant::now(),
            backoff,
        };
        running.fresh_guest().await?;
        running.task.grants.metrics.state(TaskState::Running, None);
        let ended = running.carry().await?;
        running.flush().await?;
        if let Some(guest) = running.guest.take()
            && let Err(error) = guest.close().await
        {
            tracing::warn!(connector = running.task.grants.connector, %error, "the sink did not close cleanly");
        }
        Ok(ended)
    }
}

impl Running<'_> {
    async fn carry(&mut self) -> Result<Ended, TaskError> {
        let batch = &self.task.config.connector.batch;
        let limits = BatchLimits { records: batch.records, bytes: batch.bytes, linger: batch.linger };
        let mut backoff = self.new_backoff();
        while !self.task.stop.is_requested() {
            // Asked before the log is: an end of the topic from before the last record came would end the sink too early.
            let last = self.task.until_done.as_ref().is_some_and(|done| *done.borrow());
            let event = match self.lane.next(limits, WAIT).await {
                Ok(event) => event,
                Err(LogError::Retry(message)) => {
                    if !self.pause(&mut backoff, &message, None).await? {
                        return Err(TaskError::Restart(format!("topic log: {message}")));
                    }
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            backoff.reset();
            self.task.grants.metrics.recovered();
            self.report_lag();
            match event {
                SinkEvent::Records(batch) => self.deliver(batch).await?,
                SinkEvent::Assigned(list) => self.assigned(list).await?,
                SinkEvent::Revoked(list) => self.revoked(&list).await?,
                SinkEvent::OutOfRange(partition, lost) => self.out_of_range(&partition, lost).await?,
                SinkEvent::Idle { caught_up } => {
                    self.flush().await?;
                    if caught_up && last {
                        return Ok(Ended::Finished);
                    }
                }
            }
            if self.flushed.elapsed() > FLUSH_EVERY {
                self.flush().await?;
            }
        }
        Ok(Ended::Drained)
    }

    /// Transforms a batch and delivers it, in smaller and smaller pieces where a guest dies on it (invariant 4).
    async fn deliver(&mut self, batch: Batch) -> Result<(), TaskError> {
        self.report_in_flight(batch.len());
        let applied = self.task.chain.apply(batch.clone()).await?;
        let delivery = Delivery::new(batch, applied);
        let mut pieces = VecDeque::from([delivery.whole()]);
        while let Some(mut piece) = pieces.pop_front() {
            let error = match self.try_piece(&delivery, &mut piece).await? {
                Tried::Delivered => continue,
                Tried::Lost => {
                    self.read_again(&delivery).await?;
                    break;
                }
                Tried::Refused(error) => error,
                Tried::Died(error) => {
                    let grants = &self.task.grants;
                    tracing::warn!(connector = grants.connector, task = grants.task, %error, "instance ended, replaying its batch in a fresh one");
                    if self.revive(&delivery, &piece).await? {
                        break;
                    }
                    piece.deaths += 1;
                    if piece.deaths < 2 {
                        pieces.push_front(piece);
                        continue;
                    }
                    error
                }
            };
            if let Some((first, second)) = delivery.halves(&piece) {
                pieces.push_front(second);
                pieces.push_front(first);
            } else if let Tried::Lost = self.reject_alone(&delivery, &mut piece, &poison(&error)).await? {
                self.read_again(&delivery).await?;
                break;
            }
        }
        self.report_in_flight(0);
        Ok(())
    }

    /// A fresh instance after a death. True: the batch is to be read again, as records lay in the dead one that had been
    /// accepted, or as the target says that it holds some of these.
    async fn revive(&mut self, delivery: &Delivery, piece: &Piece) -> Result<bool, TaskError> {
        let kept = self.fresh_guest().await?;
        let mut places = delivery.first_offsets(&delivery.rest(piece));
        let ahead = kept.iter().any(|(p, offset)| places.get(p).is_some_and(|first| offset > first));
        let lost = self.awaiting.lost(delivery.next_offsets(&delivery.whole()));
        if lost.is_empty() && !ahead {
            return Ok(false);
        }
        self.pending = Tally::default();
        places.extend(lost);
        for (partition, offset) in kept {
            places.entry(partition).and_modify(|place| *place = offset);
        }
        self.seek(places.into_iter().collect()).await?;
        Ok(true)
    }

    /// Reads again from these offsets. Partitions that went away meanwhile are read by their new owner.
    pub(super) async fn seek(&mut self, mut places: Vec<(TopicPartition, i64)>) -> Result<(), TaskError> {
        loop {
            match self.lane.seek(&places).await {
                Err(LogError::NotOwner(lost)) if places.iter().any(|(p, _)| lost.contains(p)) => {
                    places.retain(|(p, _)| !lost.contains(p));
                }
                done => return Ok(done?),
            }
        }
    }

    /// Delivers one piece, as often as it takes.
    async fn try_piece(&mut self, delivery: &Delivery, piece: &mut Piece) -> Result<Tried, TaskError> {
        if self.task.offsets.is_some() {
            return self.try_piece_once(delivery, piece).await;
        }
        let records = delivery.records(piece);
        let mut burials: Vec<Burial> = delivery.rejected(piece).collect();
        let transformed = burials.len();
        // Output indices that the sink has not settled yet, in order.
        let mut open: Vec<usize> = (0..records.len()).collect();
        let mut buffered = false;
        while !open.is_empty() {
            let part = if open.len() == records.len() { records.clone() } else { pick(&records, &open) };
            match self.write(part).await? {
                Attempt::Written(written) => {
                    buffered |= written.buffered;
                    let (again, refused) = self.settle(&open, written).await?;
                    burials.extend(refused.iter().map(|(output, rejection)| burial(delivery, piece, *output, rejection)));
                    open = again;
                }
                Attempt::Retry { message, after } => {
                    if let Some(rejection) = self.wait_for_retry(&message, after).await? {
                        burials.extend(open.drain(..).map(|o| burial(delivery, piece, o, &rejection)));
                    }
                }
                Attempt::Died(error) => return Ok(Tried::Died(error)),
                Attempt::Unfit(rejection) if open.len() == 1 => {
                    burials.extend(open.drain(..).map(|o| burial(delivery, piece, o, &rejection)));
                }
                Attempt::Unfit(rejection) => return Ok(Tried::Refused(GuestError::Reject(rejection.message))),
            }
        }
        self.backoff.reset();
        let dead = burials.len() - transformed;
        self.bury(delivery, piece, burials).await?;
        self.complete(delivery, piece, delivery.tally(piece, dead), buffered).await
    }

    /// Sorts out what a call answered: those to retry stay open, once the wait is over; the others of it are to be buried.
    async fn settle(&mut self, open: &[usize], written: Written) -> Result<(Vec<usize>, Refusals), TaskError> {
        let (mut refused, mut again, after) = sorted(open, written.outcomes);
        if !again.is_empty() {
            let message = format!("the target asks to send {} records again", again.len());
            if let Some(rejection) = self.wait_for_retry(&message, after).await? {
                refused.extend(again.drain(..).map(|output| (output, rejection.clone())));
            }
        }
        Ok((again, refused))
    }

    /// The one input of a piece can never be delivered: it is buried whole.
    async fn reject_alone(&mut self, delivery: &Delivery, piece: &mut Piece, rejection: &Rejection) -> Result<Tried, TaskError> {
        let mut burials: Vec<Burial> = delivery.rejected(piece).collect();
        burials.push(burial(delivery, piece, 0, rejection));
        self.bury(delivery, piece, burials).await?;
        if self.task.offsets.is_some() {
            return self.skip_once(delivery, piece).await;
        }
        self.complete(delivery, piece, delivery.tally_buried(piece), false).await
    }

    /// Delivery and dead letters are confirmed: count, and commit the offsets (at least once) unless some wait for a flush.
    async fn complete(&mut self, delivery: &Delivery, piece: &Piece, tally: Tally, buffered: bool) -> Result<Tried, TaskError> {
        fault_point::pass(Phase::Written, piece.input_count());
        self.awaiting.add(&delivery.first_offsets(piece), delivery.next_offsets(piece), buffered);
        self.pending += tally;
        if !self.awaiting.is_unflushed() {
            self.commit_buffered().await?;
        } else if self.awaiting.is_careful() {
            self.flush().await?;
        }
        Ok(Tried::Delivered)
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

    /// What was delivered and waits for its commit is in flight too.
    fn report_in_flight(&self, at_hand: usize) {
        let waiting = usize::try_from(self.pending.read).unwrap_or(usize::MAX);
        self.task.grants.metrics.in_flight(waiting.saturating_add(at_hand));
    }

    fn report_lag(&self) {
        self.task.grants.metrics.lag(self.lane.lag().iter().map(|(_, lag)| lag).sum());
    }
}

pub(super) fn burial(delivery: &Delivery, piece: &Piece, output: usize, rejection: &Rejection) -> Burial {
    Burial { input: delivery.input_of(piece, output), stage: Stage::TaskPut, rejection: rejection.clone() }
}

/// The records at these indices, in order.
pub(super) fn pick(records: &Batch, indices: &[usize]) -> Batch {
    records.select(|i| indices.binary_search(&i).is_ok())
}

/// What the sink refuses, by output index.
type Refusals = Vec<(usize, Rejection)>;
/// What the sink refuses, what it asks to send again, and the longest wait it asks for; by output index.
pub(super) type Sorted = (Refusals, Vec<usize>, Option<Duration>);

pub(super) fn sorted(open: &[usize], outcomes: Vec<Outcome>) -> Sorted {
    let (mut refused, mut again, mut after) = (Vec::new(), Vec::new(), None);
    for outcome in outcomes {
        let Some(&output) = open.get(outcome.index as usize) else { continue };
        match outcome.verdict {
            Verdict::Reject(rejection) => refused.push((output, rejection)),
            Verdict::Retry(wait) => {
                again.push(output);
                after = after.max(wait);
            }
        }
    }
    (refused, again, after)
}
