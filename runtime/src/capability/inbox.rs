//! Requests that reached the listener, as one task of a source sees them: it takes them in a poll, and they are answered when
//! that poll's records are durable. Knows no HTTP; the listener's side is `inbox/intake.rs`.
//!
//! Delivery is at least once: a sender that waited for its whole deadline is told to come again, while the records of its
//! request, once a poll took it, are delivered all the same.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

mod intake;

pub use intake::{Answer, Arrival, Intake, Waiting};
use intake::{Reply, lock};

/// A request as a guest gets it; record `request` of `wit/v0.1/inbox.wit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRequest {
    pub id: u64,
    /// When the host had the whole request, in milliseconds since the epoch.
    pub received: i64,
    pub method: String,
    /// Path with query, as sent.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: bytes::Bytes,
}

/// One life of one task at its source's [`Intake`]. What it took and did not settle is answered 503 when it is dropped.
#[derive(Debug)]
pub struct Inbox {
    intake: Arc<Intake>,
    taken: Mutex<Taken>,
}

/// Replies owed for what this task took.
#[derive(Debug, Default)]
struct Taken {
    /// By polls that have not answered yet.
    open: Vec<(u64, Reply)>,
    /// By polls that have answered: their records are on the way.
    polled: Vec<(u64, Reply)>,
}

impl Inbox {
    #[must_use]
    pub fn new(intake: &Arc<Intake>) -> Self {
        Self { intake: Arc::clone(intake), taken: Mutex::default() }
    }

    /// Takes at most `max` requests, after waiting at most `wait` for the first. Cancel-safe: a request leaves the queue only in
    /// the step that also notes it as taken by this task.
    pub async fn take(&self, max: usize, wait: Duration) -> Vec<InboxRequest> {
        let until = Instant::now() + wait;
        loop {
            // Made before looking, so that what arrives in between is not missed.
            let arrived = self.intake.arrived.notified();
            let taken = self.take_now(max);
            if !taken.is_empty() || max == 0 || tokio::time::timeout_at(until, arrived).await.is_err() {
                return taken;
            }
        }
    }

    fn take_now(&self, max: usize) -> Vec<InboxRequest> {
        let mut taken = lock(&self.taken);
        let mut requests = Vec::new();
        for (request, reply) in self.intake.pop(max) {
            taken.open.push((request.id, reply));
            requests.push(request);
        }
        requests
    }

    /// Answers one taken request at once, with a 4xx (400 where `status` is none). An unknown id is ignored.
    pub fn refuse(&self, id: u64, status: u16, message: &str) {
        let mut taken = lock(&self.taken);
        let Taken { open, polled } = &mut *taken;
        for list in [open, polled] {
            if let Some(index) = list.iter().position(|(known, _)| *known == id) {
                let status = if (400..500).contains(&status) { status } else { 400 };
                list.swap_remove(index).1.send(Answer::Refused { status, message: message.to_owned() });
                return;
            }
        }
    }

    /// A poll has answered: the records of what it took are on the way, and the next [`Inbox::settle`] concerns them.
    pub fn polled(&self) {
        let mut taken = lock(&self.taken);
        let open = std::mem::take(&mut taken.open);
        taken.polled.extend(open);
    }

    /// Whether polls that have answered took requests that are not settled yet.
    #[must_use]
    pub fn owes(&self) -> bool {
        !lock(&self.taken).polled.is_empty()
    }

    /// Answers what this task took. `durable`: 200 for what answered polls took, as their records are durable. Otherwise 503 for
    /// everything, so that the senders come again.
    pub fn settle(&self, durable: bool) {
        let mut taken = lock(&self.taken);
        if durable {
            let polled = std::mem::take(&mut taken.polled);
            polled.into_iter().for_each(|(_, reply)| reply.send(Answer::Durable));
        } else {
            // A reply that is dropped says "come again".
            *taken = Taken::default();
        }
    }

    /// Resolves when a request waits to be taken. Cancel-safe.
    pub async fn arrived(&self) {
        loop {
            let arrived = self.intake.arrived.notified();
            if !self.is_drained() {
                // For whoever takes it: this task only looked.
                self.intake.arrived.notify_one();
                return;
            }
            arrived.await;
        }
    }

    /// Nothing waits to be taken.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.intake.is_empty()
    }
}

#[cfg(test)]
mod tests;
