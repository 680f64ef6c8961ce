//! Records that the sink asks to send again later: their partitions are held, with all that is newer in them, and the others
//! flow on. What is held is in flight, and delivered again when it is due.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::pipeline::TaskError;
use crate::pipeline::deliver::{Delivery, Piece};
use crate::pipeline::held::{Waiting, part};
use crate::pipeline::sink::Running;
use crate::topic_log::TopicPartition;

/// An output that is to be sent again, with the wait that the target asks for.
pub(super) type Wait = (usize, Option<Duration>);

/// What a try leaves to be sent again.
#[derive(Debug)]
pub(super) struct Later {
    pub(super) again: Vec<Wait>,
    /// Why; `None`: it was said of single records.
    pub(super) message: Option<String>,
    /// The target has taken or refused others of the call: it is there.
    pub(super) answered: bool,
}

impl Later {
    /// Why, of so many records.
    pub(super) fn message(&self, records: usize) -> String {
        self.message.clone().unwrap_or_else(|| format!("the target asks to send {records} records again"))
    }

    /// Of a call of so many outputs, these were asked for again.
    pub(super) const fn some(again: Vec<Wait>, of: usize) -> Self {
        let answered = again.len() < of;
        Self { again, message: None, answered }
    }

    /// The call as a whole is to be made again.
    pub(super) fn whole(open: &[usize], message: String, after: Option<Duration>) -> Self {
        Self { again: open.iter().map(|output| (*output, after)).collect(), message: Some(message), answered: false }
    }
}

/// The same of one partition.
struct Asked {
    /// Its first input that has to be sent again.
    first: usize,
    records: usize,
    /// The longest wait that was asked for.
    after: Option<Duration>,
}

/// The partitions of those outputs.
fn by_partition(delivery: &Delivery, later: &Later) -> BTreeMap<TopicPartition, Asked> {
    let records: Vec<_> = delivery.input.records().collect();
    let mut asked: BTreeMap<TopicPartition, Asked> = BTreeMap::new();
    for &(output, after) in &later.again {
        let Some((input, record)) = delivery.input_of(output).and_then(|input| Some((input, records.get(input)?))) else {
            continue;
        };
        let partition = TopicPartition { topic: Arc::from(record.topic), partition: record.partition };
        let of = asked.entry(partition).or_insert(Asked { first: input, records: 0, after: None });
        of.first = of.first.min(input);
        of.records += 1;
        of.after = of.after.max(after);
    }
    asked
}

/// The record that an input is, as people find it.
pub(super) fn place(delivery: &Delivery, input: usize) -> String {
    delivery.input.records().nth(input).map_or_else(String::new, |r| format!("record {}/{}/{}", r.topic, r.partition, r.offset))
}

impl Running<'_> {
    /// Holds what the first of these pieces leaves to be sent again. Answers what flows on, with its pieces. Where the retry budget
    /// is used up, nothing is held (`pipeline/give_up.rs`).
    pub(super) async fn hold(
        &mut self,
        delivery: Delivery,
        mut pieces: VecDeque<Piece>,
        later: &Later,
    ) -> Result<(Delivery, VecDeque<Piece>), TaskError> {
        let now = Instant::now();
        let by_partition = by_partition(&delivery, later);
        // Of several, each is given up by itself: it is parted off first, and called once more.
        if self.backoff.is_used_up(now) && by_partition.len() <= 1 {
            self.give_up(&delivery, &mut pieces, later).await?;
            return Ok((delivery, pieces));
        }
        self.last_calls = None;
        let fresh = self.new_backoff();
        let begun = std::mem::replace(&mut self.backoff, fresh);
        let (mut cuts, mut waits) = (BTreeMap::new(), BTreeMap::new());
        for (partition, asked) in by_partition {
            let message = later.message(asked.records);
            let mut backoff = begun.clone();
            let wait = backoff.next(now, asked.after).unwrap_or_default();
            let grants = &self.task.grants;
            let (connector, task, attempt) = (&grants.connector, grants.task, backoff.attempt());
            tracing::warn!(connector, task, %partition, reason = message, ?wait, attempt, "retrying, other partitions flow on");
            grants.metrics.retried(1);
            let told = backoff.told(
                &format!("{} is to be sent again: {message}", place(&delivery, asked.first)),
                wait,
                SystemTime::now(),
            );
            cuts.insert(partition.clone(), asked.first);
            waits.insert(partition, (backoff, now + wait, told));
        }
        let parts = part(&delivery, &pieces, &cuts);
        for (partition, delivery, piece) in parts.waiting {
            if let Some((backoff, due, message)) = waits.remove(&partition) {
                self.held.insert(partition, Waiting { delivery, piece, backoff, due, message });
            }
        }
        self.lane.hold(&cuts.into_keys().collect::<Vec<_>>());
        self.report_held();
        Ok((parts.flowing, parts.pieces))
    }

    /// Delivers what is due, each once: records of the other partitions come between two tries. A drain does not wait for it.
    pub(super) async fn deliver_due(&mut self) -> Result<(), TaskError> {
        for partition in self.held.due(Instant::now()) {
            if self.task.stop.is_requested() {
                break;
            }
            // Gone meanwhile where an earlier one had it read again.
            let Some(waiting) = self.held.take(&partition) else { continue };
            self.backoff = waiting.backoff;
            self.deliver_from(waiting.delivery, waiting.piece).await?;
            if !self.held.holds(&partition) {
                self.lane.resume(std::slice::from_ref(&partition));
            }
            self.report_held();
        }
        Ok(())
    }

    /// These partitions are read again from elsewhere, or by another owner.
    pub(super) fn forget_held<'a>(&mut self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        if !self.held.is_empty() {
            self.held.forget(partitions);
            self.report_held();
        }
    }

    fn report_held(&self) {
        self.task.grants.metrics.held(self.held.reason());
    }
}
