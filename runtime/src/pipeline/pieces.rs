//! A batch of a sink from its transforms to its offsets, piece by piece: smaller ones where a guest dies on it, and without the
//! partitions that wait for a retry.

use std::collections::{BTreeSet, VecDeque};

use crate::batch::Batch;
use crate::fault_point::{self, Phase};
use crate::guest::GuestError;
use crate::outcome::{Outcome, Rejection, Verdict, Written};
use crate::pipeline::attempt::{Attempt, Away};
use crate::pipeline::deliver::{Delivery, Piece};
use crate::pipeline::hold::{Later, Wait};
use crate::pipeline::sink::Running;
use crate::pipeline::{Tally, TaskError, poison};
use crate::topic_log::{LogError, TopicPartition};

/// How one try at a piece ended.
pub(super) enum Tried {
    Delivered,
    /// Some of its records are to be sent again after a wait.
    Later(Later),
    /// The guest died: replay it in a fresh instance, smaller.
    Died(GuestError),
    /// The call as a whole was refused: find the record at fault.
    Refused(GuestError),
    /// The partitions went to another owner: drop what is in flight, it will be delivered there.
    Lost,
}

impl Running<'_> {
    /// Transforms a batch and delivers it.
    pub(super) async fn deliver(&mut self, batch: Batch) -> Result<(), TaskError> {
        self.report_in_flight(batch.len());
        let mut delivery = if self.task.chain.passes(&batch) {
            Delivery::unchanged(batch)
        } else {
            let applied = self.task.chain.apply(batch.clone()).await?;
            Delivery::new(batch, applied)
        };
        let more = self.is_full(&delivery.input);
        if self.gather(&mut delivery, more).await? {
            return Ok(());
        }
        let whole = delivery.whole();
        self.deliver_from(delivery, whole).await
    }

    /// A batch that was not cut short by the linger: more waits behind it. One that is cut by its bytes ends before they are reached.
    fn is_full(&self, batch: &Batch) -> bool {
        let limits = &self.task.config.connector.batch;
        batch.len() >= limits.records || batch.data.len() >= limits.bytes / 2
    }

    /// Delivers a piece and what its delivery holds after it, in smaller and smaller pieces where a guest dies (invariant 4).
    pub(super) async fn deliver_from(&mut self, mut delivery: Delivery, piece: Piece) -> Result<(), TaskError> {
        self.report_in_flight(piece.input_count());
        let mut pieces = VecDeque::from([piece]);
        while let Some(mut piece) = pieces.pop_front() {
            let error = match self.try_piece(&mut delivery, &mut piece).await? {
                Tried::Delivered => continue,
                Tried::Later(later) => {
                    pieces.push_front(piece);
                    (delivery, pieces) = self.hold(delivery, pieces, &later).await?;
                    continue;
                }
                Tried::Lost => {
                    self.drop_lost(&delivery, &piece).await?;
                    break;
                }
                Tried::Refused(error) => error,
                Tried::Died(error) => {
                    let grants = &self.task.grants;
                    tracing::warn!(connector = grants.connector, task = grants.task, %error, "instance ended, replaying its batch in a fresh one");
                    pieces.iter_mut().chain([&mut piece]).for_each(|piece| piece.settled.instance_lost());
                    let read_again = self.revive(&delivery, &piece).await?;
                    let away = self.sit_out(&delivery, &mut piece, &error).await?;
                    if read_again {
                        break;
                    }
                    match away {
                        None => {}
                        Some(Away::Smaller(first, second)) => {
                            pieces.push_front(second);
                            pieces.push_front(first);
                            continue;
                        }
                        Some(Away::Again(later)) => {
                            pieces.push_front(piece);
                            if let Some(later) = later {
                                (delivery, pieces) = self.hold(delivery, pieces, &later).await?;
                            }
                            continue;
                        }
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
        self.got_on();
        self.report_in_flight(0);
        Ok(())
    }

    /// A fresh instance after a death. True: the batch is to be read again, as records lay in the dead one that had been
    /// accepted, or as the target says that it holds some of these.
    async fn revive(&mut self, delivery: &Delivery, piece: &Piece) -> Result<bool, TaskError> {
        self.commit_confirmed().await?;
        self.held.instance_lost();
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

    /// Reads again from these offsets, and drops what is held of their partitions. Those that went away meanwhile are read by
    /// their new owner.
    pub(super) async fn seek(&mut self, mut places: Vec<(TopicPartition, i64)>) -> Result<(), TaskError> {
        self.forget_held(places.iter().map(|(partition, _)| partition));
        loop {
            match self.lane.seek(&places).await {
                Err(LogError::NotOwner(lost)) if places.iter().any(|(p, _)| lost.contains(p)) => {
                    places.retain(|(p, _)| !lost.contains(p));
                }
                done => return Ok(done?),
            }
        }
    }

    /// Asked before each call of the sink: a batch may have waited for its target for longer than the group has waited for the task, and
    /// another owner has then written what is in it, or does so now. It is dropped; its new owner has it.
    pub(super) fn has_lost(&mut self, delivery: &Delivery) -> bool {
        let lost = self.lane.has_lost(&delivery.input);
        if lost {
            let grants = &self.task.grants;
            let (connector, task, records) = (&grants.connector, grants.task, delivery.input.len());
            tracing::warn!(
                connector,
                task,
                records,
                "partitions went to another owner before these records were written: it delivers them"
            );
        }
        lost
    }

    /// What is in flight is dropped: the partitions that are this task's still are read again from there.
    async fn drop_lost(&mut self, delivery: &Delivery, piece: &Piece) -> Result<(), TaskError> {
        if self.task.offsets.is_some() {
            return self.read_again(delivery).await;
        }
        self.seek(delivery.first_offsets(&delivery.rest(piece)).into_iter().collect()).await
    }

    /// Delivers what is open of one piece.
    async fn try_piece(&mut self, delivery: &mut Delivery, piece: &mut Piece) -> Result<Tried, TaskError> {
        if self.task.offsets.is_some() {
            return self.try_piece_once(delivery, piece).await;
        }
        loop {
            let open = delivery.open(piece);
            if self.has_lost(delivery) {
                return Ok(Tried::Lost);
            }
            match self.write(delivery.records(&open).batch()).await? {
                Attempt::Written(written) => {
                    let again = settle(piece, &open, written);
                    if again.is_empty() {
                        // Not where all was given up: nothing was sent.
                        if !open.is_empty() {
                            self.got_on();
                        }
                        break;
                    }
                    return Ok(Tried::Later(Later::some(again, open.len())));
                }
                Attempt::Failed(failed) => {
                    if let Some(tried) = self.failed(piece, &open, failed).await? {
                        return Ok(tried);
                    }
                }
            }
        }
        self.bury(delivery, piece, delivery.burials(piece)).await?;
        let tally = delivery.tally(piece, piece.settled.refused().count());
        self.complete(delivery, piece, tally, piece.settled.buffered).await
    }

    /// The one input of a piece can never be delivered: it is buried whole.
    async fn reject_alone(&mut self, delivery: &Delivery, piece: &mut Piece, rejection: &Rejection) -> Result<Tried, TaskError> {
        self.bury(delivery, piece, delivery.burials_alone(piece, rejection)).await?;
        if self.task.offsets.is_some() {
            return self.skip_once(delivery, piece).await;
        }
        self.complete(delivery, piece, delivery.tally_buried(piece), piece.settled.buffered).await
    }

    /// Delivery and dead letters are confirmed: count, and commit the offsets (at least once) unless some wait for a flush.
    async fn complete(&mut self, delivery: &Delivery, piece: &Piece, tally: Tally, buffered: bool) -> Result<Tried, TaskError> {
        fault_point::pass(Phase::Written, piece.input_count());
        self.awaiting.add(&delivery.first_offsets(piece), delivery.next_offsets(piece), buffered);
        self.pending += tally;
        if !self.awaiting.is_unflushed() {
            self.commit_soon(self.is_full(&delivery.input)).await?;
        } else if self.awaiting.is_careful() {
            self.flush().await?;
        }
        Ok(Tried::Delivered)
    }
}

/// Notes what a call has settled of a piece. Answers what is to be sent again: nothing, then what was not refused is accepted.
fn settle(piece: &mut Piece, open: &[usize], written: Written) -> Vec<Wait> {
    let (refused, again) = sorted(open, written.outcomes);
    piece.settled.buffered |= written.buffered;
    if !again.is_empty() {
        let waits: BTreeSet<usize> = again.iter().map(|(output, _)| *output).collect();
        piece.settled.accept(open.iter().copied().filter(|output| !waits.contains(output)));
    }
    refused.into_iter().for_each(|(output, rejection)| piece.settled.refuse(output, rejection));
    again
}

/// What the sink refuses, and what it asks to send again; by output index.
pub(super) fn sorted(open: &[usize], outcomes: Vec<Outcome>) -> (Vec<(usize, Rejection)>, Vec<Wait>) {
    let (mut refused, mut again) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        let Some(&output) = open.get(outcome.index as usize) else { continue };
        match outcome.verdict {
            Verdict::Reject(rejection) => refused.push((output, rejection)),
            Verdict::Retry(wait) => again.push((output, wait)),
        }
    }
    (refused, again)
}
