//! Waiting until librdkafka has something to say to a consumer. Polls nothing itself.
//!
//! The wrapper's `poll` waits by itself, but in whole milliseconds: after each event that it handles within, it asks again and
//! again without a pause for the rest of the last one (a third of an idle worker's CPU, with 20 sinks).

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::group::SinkConsumer;
use super::native;

/// Rung when something comes into the consumer's empty queue.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    pub(super) fn of(consumer: &mut SinkConsumer) -> Arc<Self> {
        let bell = Arc::new(Self::default());
        let ringer = Arc::clone(&bell);
        consumer.set_nonempty_callback(move || ringer.ring());
        bell
    }

    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.heard.notify_one();
    }

    /// Until something waits, or so long. It rings for the first of several: whether more are left is asked for. Not while the bell
    /// is held, as it is rung under the lock of the queue.
    pub(super) fn wait(&self, consumer: &SinkConsumer, most: Duration) {
        if native::waiting(consumer) > 0 {
            return;
        }
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut rung, _) = self.heard.wait_timeout_while(rung, most, |rung| !*rung).unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }
}
