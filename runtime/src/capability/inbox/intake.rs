//! The listener's side of a source's inbox: hands requests in and waits for their answers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};

use super::InboxRequest;

/// Why a sender is told to come again.
pub(super) const NOT_DELIVERED: Answer = Answer::Unavailable("not delivered, send it again");
pub(super) const TOO_LATE: Answer = Answer::Unavailable("not delivered within the reply deadline, send it again");

/// What a sender is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The records are durable: 200.
    Durable,
    /// The guest can never read it: this 4xx.
    Refused { status: u16, message: String },
    /// Not now: 503, come again.
    Unavailable(&'static str),
}

/// A request as it arrived, its signature checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// When the host had the whole request, in milliseconds since the epoch.
    pub received: i64,
    pub method: String,
    /// Path with query, as sent.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// Requests for one source, which its tasks share. Bounded by the permits that its callers hold.
#[derive(Debug)]
pub struct Intake {
    queue: Mutex<Queue>,
    pub(super) arrived: Notify,
}

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<(InboxRequest, Reply)>,
    next_id: u64,
    /// Tasks that may still take something; at 0 nobody will.
    tasks: u32,
}

/// An answer that is owed. Dropped without one, the sender is told to come again. Keeps its place among the held requests.
#[derive(Debug)]
pub(super) struct Reply {
    sender: oneshot::Sender<Answer>,
    _held: OwnedSemaphorePermit,
}

impl Reply {
    pub(super) fn send(self, answer: Answer) {
        if self.sender.send(answer).is_err() {
            tracing::debug!("the sender no longer waits for its answer");
        }
    }
}

impl Intake {
    /// For a source with this many tasks.
    #[must_use]
    pub fn new(tasks: u32) -> Self {
        let queue = Queue { waiting: VecDeque::new(), next_id: 1, tasks };
        Self { queue: Mutex::new(queue), arrived: Notify::new() }
    }

    /// Hands a request in; `held` is its place among those held at once, given back with the answer.
    pub fn submit(self: &Arc<Self>, arrival: Arrival, held: OwnedSemaphorePermit) -> Waiting {
        let (sender, receiver) = oneshot::channel();
        let mut queue = lock(&self.queue);
        let id = queue.next_id;
        queue.next_id += 1;
        if queue.tasks > 0 {
            let Arrival { received, method, path, headers, body } = arrival;
            let request = InboxRequest { id, received, method, path, headers, body };
            queue.waiting.push_back((request, Reply { sender, _held: held }));
        }
        drop(queue);
        self.arrived.notify_one();
        Waiting { intake: Arc::clone(self), id, receiver }
    }

    /// A task will take nothing any more. After the last one, what still waits is answered 503, as is all that comes later.
    pub fn task_over(&self) {
        let mut queue = lock(&self.queue);
        queue.tasks = queue.tasks.saturating_sub(1);
        if queue.tasks == 0 {
            queue.waiting.clear();
        }
    }

    /// Stopping: what was not taken yet is answered 503, as is all that comes later. What was taken is settled by its task.
    pub fn close(&self) {
        let mut queue = lock(&self.queue);
        queue.tasks = 0;
        queue.waiting.clear();
    }

    pub(super) fn pop(&self, max: usize) -> Vec<(InboxRequest, Reply)> {
        let mut queue = lock(&self.queue);
        let count = max.min(queue.waiting.len());
        queue.waiting.drain(..count).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.queue).waiting.is_empty()
    }
}

/// A sender that waits. Dropped, its request leaves the queue; once taken, the request goes its way unseen.
#[derive(Debug)]
pub struct Waiting {
    intake: Arc<Intake>,
    id: u64,
    receiver: oneshot::Receiver<Answer>,
}

impl Waiting {
    /// Waits for the answer, at most this long.
    pub async fn answer(mut self, deadline: Duration) -> Answer {
        match tokio::time::timeout(deadline, &mut self.receiver).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => NOT_DELIVERED,
            Err(_) => TOO_LATE,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut queue = lock(&self.intake.queue);
        if let Some(index) = queue.waiting.iter().position(|(request, _)| request.id == self.id) {
            queue.waiting.remove(index);
        }
    }
}

/// No holder of these locks can leave what they guard half-done, so a poisoned one is as good as any.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
