//! Reads the topic into batches, hands them to the connections, and commits to Kafka what they have written.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use tokio::runtime::Runtime;

use super::batch::{Batch, Limits};
use super::{Options, places};
use crate::limit::group::{Member, Places, Rebalance};

/// What a connection has done with a batch.
type Done = (usize, Result<Batch>);

/// A connection as the reader sees it.
#[derive(Debug)]
pub struct Way {
    batches: Sender<Batch>,
    filling: Batch,
    in_flight: usize,
}

/// Reads, and hands batches over.
pub struct Reader<'a> {
    options: &'a Options,
    limits: Limits,
    member: Member,
    ways: Vec<Way>,
    done: Receiver<Done>,
    runtime: Runtime,
    /// Where the batches that were handed over end.
    places: Places,
    committed: Places,
    /// Written batches, whose memory is used again.
    spare: Vec<Batch>,
}

impl Way {
    #[must_use]
    pub const fn new(batches: Sender<Batch>, filling: Batch) -> Self {
        Self { batches, filling, in_flight: 0 }
    }
}

impl<'a> Reader<'a> {
    pub fn new(options: &'a Options, limits: Limits, member: Member, ways: (Vec<Way>, Receiver<Done>), runtime: Runtime) -> Self {
        let ((ways, done), places, committed) = (ways, Places::new(), Places::new());
        Self { options, limits, member, ways, done, runtime, places, committed, spare: Vec::new() }
    }

    /// # Errors
    /// When Kafka or a connection fails.
    pub fn run(mut self, stop: &AtomicBool) -> Result<()> {
        while !stop.load(Ordering::Acquire) {
            for rebalance in self.member.consumer.context().take() {
                self.rebalance(rebalance)?;
            }
            self.read()?;
            self.hear(Duration::ZERO)?;
            for at in 0..self.ways.len() {
                self.hand_over(at)?;
            }
        }
        self.settle()
    }

    /// Reads until nothing is there, a batch is full, or some records have gone by.
    fn read(&mut self) -> Result<()> {
        let waiting = self.ways.iter().any(|way| !way.filling.is_new());
        let mut patience = Duration::from_millis(if waiting { 2 } else { 50 });
        for _ in 0..256 {
            let Some(message) = self.member.consumer.poll(patience) else { return Ok(()) };
            let message = message.with_context(|| format!("reading `{}`", self.options.topic))?;
            patience = Duration::ZERO;
            let at = usize::try_from(message.partition())? % self.ways.len();
            let way = self.ways.get_mut(at).context("no connection")?;
            way.filling.push(&message);
            if way.filling.is_full(&self.limits) {
                drop(message);
                while self.ways.get(at).is_some_and(|way| way.in_flight > 0) {
                    self.hear(Duration::from_millis(50))?;
                }
                self.seal(at)?;
            }
        }
        Ok(())
    }

    /// A batch that is due goes to a connection that has nothing to do.
    fn hand_over(&mut self, at: usize) -> Result<()> {
        if self.ways.get(at).is_some_and(|way| way.in_flight == 0 && way.filling.is_due(&self.limits)) {
            self.seal(at)?;
        }
        Ok(())
    }

    fn seal(&mut self, at: usize) -> Result<()> {
        let way = self.ways.get_mut(at).context("no connection")?;
        if way.filling.is_new() {
            return Ok(());
        }
        let empty = self.spare.pop().unwrap_or_else(|| Batch::new(&self.options.topic, &self.limits));
        let mut batch = std::mem::replace(&mut way.filling, empty);
        for (partition, next) in &batch.next {
            if let Some(place) = self.places.insert(*partition, *next) {
                batch.expected.insert(*partition, place);
            }
        }
        way.in_flight += 1;
        // A lane that has ended has told why.
        if way.batches.send(batch).is_err() {
            self.hear(Duration::from_secs(1))?;
            bail!("a connection has ended");
        }
        Ok(())
    }

    /// Commits to Kafka what the database has. With exactly once, this is for those who watch the lag only.
    fn hear(&mut self, patience: Duration) -> Result<()> {
        let first = if patience.is_zero() { self.done.try_recv().ok() } else { self.done.recv_timeout(patience).ok() };
        let mut next = first;
        while let Some((at, batch)) = next {
            let mut batch = batch?;
            if let Some(way) = self.ways.get_mut(at) {
                way.in_flight -= 1;
            }
            self.committed.extend(&batch.next);
            batch.clear();
            self.spare.push(batch);
            next = self.done.try_recv().ok();
        }
        if !self.committed.is_empty() {
            self.member.commit(&std::mem::take(&mut self.committed), CommitMode::Async)?;
        }
        Ok(())
    }

    /// Writes and commits all that was read.
    fn settle(&mut self) -> Result<()> {
        for at in 0..self.ways.len() {
            self.seal(at)?;
        }
        while self.ways.iter().any(|way| way.in_flight > 0) {
            self.hear(Duration::from_millis(50))?;
        }
        // Also waits for those that went before.
        let places = self.places.iter().filter(|(_, place)| **place >= 0).map(|(partition, place)| (*partition, *place));
        self.member.commit(&places.collect(), CommitMode::Sync)
    }

    fn rebalance(&mut self, rebalance: Rebalance) -> Result<()> {
        let partitions =
            |list: &TopicPartitionList| list.elements().iter().map(TopicPartitionListElem::partition).collect::<Vec<_>>();
        match rebalance {
            Rebalance::Assigned(list) => {
                let mut places = Places::new();
                if self.options.exactly_once {
                    let Options { postgres, group, topic, .. } = self.options;
                    places = self.runtime.block_on(places::read(postgres, group, topic, &partitions(&list)))?;
                    self.places.extend(&places);
                }
                self.member.take(&list, &places)
            }
            Rebalance::Revoked(list) => {
                if let Err(error) = self.settle() {
                    // Partitions that are lost belong to another one already.
                    if !self.member.consumer.assignment_lost() {
                        return Err(error);
                    }
                    eprintln!("{error:#}");
                }
                let gone = partitions(&list);
                self.places.retain(|partition, _| !gone.contains(partition));
                self.member.give_back(&list)
            }
        }
    }
}

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("options", &self.options).finish_non_exhaustive()
    }
}
