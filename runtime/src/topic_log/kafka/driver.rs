//! The thread of a sink's consumer: serves the group, and sends its scout whenever something has to be found out. It reads no
//! records: lanes do, from their partitions' own queues. Nothing here waits for an answer of Kafka: a consumer that is not
//! polled leaves its group, and is late to come back after an outage.

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::Message;

use super::bell::Bell;
use super::fault::fault;
use super::group::{Group, SinkConsumer};
use super::scout::{Found, Scout};
use crate::topic_log::LogError;

/// What the group has to say ends a wait at once; all else that has to be done is looked for after it.
const POLL: Duration = Duration::from_millis(500);
/// While something is under way.
const BUSY: Duration = Duration::from_millis(100);
/// Until the group has answered first.
const JOINING: Duration = Duration::from_millis(10);
/// After an errand that failed, or found less than all.
const PAUSE: Duration = Duration::from_secs(1);

/// Held by each lane: the thread ends with the last one.
pub(super) struct Alive;

pub(super) struct Driver {
    pub(super) group: Arc<Group>,
    pub(super) consumer: Arc<SinkConsumer>,
    pub(super) bell: Arc<Bell>,
    pub(super) scout: Arc<Scout>,
    pub(super) alive: Weak<Alive>,
    /// How often patterns and topic ids are looked at.
    pub(super) refresh: Duration,
}

impl Driver {
    /// Runs until the last lane is gone, then leaves the group.
    pub(super) fn run(self) {
        let mut topics = Errand::new("looking for topics", self.refresh);
        let mut partitions = Errand::new("looking up new partitions", Duration::ZERO);
        let mut heard = 0;
        while self.alive.strong_count() > 0 {
            topics.heed(&self.group);
            let changes = self.group.ids.changes();
            let changed = std::mem::replace(&mut heard, changes) != changes && self.group.reads_another();
            if topics.is_due() || (changed && topics.is_idle()) {
                topics.send(&self.scout, Scout::look_for_topics);
            }
            let under_way = !topics.is_idle() || !partitions.is_idle() || self.group.settled(0).is_none();
            self.serve(if under_way { BUSY } else { POLL });
            partitions.heed(&self.group);
            if partitions.is_due() && !self.group.fresh().is_empty() {
                partitions.send(&self.scout, Scout::look_up);
            }
            self.group.settle(&self.consumer);
            // After what the group had to say: who looks at the pulse then knows it, too.
            self.group.beat();
            self.group.restart(&self.consumer);
        }
        self.group.close(&self.consumer);
    }

    /// One step of the group, of at most so long: rebalance callbacks run in here.
    fn serve(&self, most: Duration) {
        self.bell.wait(&self.consumer, if self.group.has_joined() { most } else { JOINING });
        match self.consumer.poll(Duration::ZERO) {
            None | Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Ok(message)) => {
                // Its queue was split off before it was assigned: reading on would leave a gap.
                let text = format!("{}/{} came by the common queue", message.topic(), message.partition());
                self.group.fail(LogError::Fenced(text));
            }
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                self.group.fail(LogError::Fenced(format!("group `{}`: {error}", self.group.name)));
            }
            Some(Err(error)) => match fault(&format!("group `{}`", self.group.name), &error) {
                fatal @ LogError::Fatal(_) => self.group.fail(fatal),
                // Of each look while Kafka is away, which the look that is apart from the tasks tells.
                _ if is_away(&error) => tracing::debug!(group = self.group.name, %error, "consumer"),
                _ => tracing::warn!(group = self.group.name, %error, "consumer"),
            },
        }
    }
}

fn is_away(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(Code::AllBrokersDown | Code::BrokerTransportFailure | Code::Resolve))
}

/// Questions of one kind, one at a time on a thread of its own. It is waited for when dropped.
struct Errand {
    what: &'static str,
    /// From the last one's begin to the next.
    every: Duration,
    due: Instant,
    under_way: Option<JoinHandle<Result<Found, LogError>>>,
}

impl Errand {
    fn new(what: &'static str, every: Duration) -> Self {
        Self { what, every, due: Instant::now(), under_way: None }
    }

    fn is_idle(&self) -> bool {
        self.under_way.is_none()
    }

    fn is_due(&self) -> bool {
        self.is_idle() && Instant::now() >= self.due
    }

    fn send(&mut self, scout: &Arc<Scout>, ask: fn(&Scout) -> Result<Found, LogError>) {
        self.due = Instant::now() + self.every;
        let scout = Arc::clone(scout);
        match std::thread::Builder::new().name("kafka-scout".to_owned()).spawn(move || ask(&scout)) {
            Ok(thread) => self.under_way = Some(thread),
            Err(error) => {
                tracing::warn!(%error, what = self.what, "no thread could be started; it is tried again");
                self.due = Instant::now() + PAUSE;
            }
        }
    }

    /// Looks after one that is back.
    fn heed(&mut self, group: &Group) {
        let Some(thread) = self.under_way.take_if(|thread| thread.is_finished()) else { return };
        match thread.join() {
            Ok(Ok(Found::All)) => {}
            Ok(Ok(Found::NotAll)) => self.due = Instant::now() + PAUSE,
            Ok(Err(error)) => {
                tracing::warn!(group = group.name, %error, "{}; it is tried again", self.what);
                self.due = Instant::now() + PAUSE;
            }
            Err(_) => group.fail(LogError::Fenced(format!("group `{}`: {} panicked", group.name, self.what))),
        }
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        if let Some(Err(_)) = self.under_way.take().map(JoinHandle::join) {
            tracing::error!(what = self.what, "the thread panicked");
        }
    }
}
