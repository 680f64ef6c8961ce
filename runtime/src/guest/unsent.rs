//! Why the host did not send a request of the call that is running. The guest only hears that it would be the same once more: the
//! reason is added to what it says of that.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The first such reason of a call; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Unsent(Arc<Mutex<Option<String>>>);

impl Unsent {
    fn reason(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins.
    pub(super) fn begin(&self) {
        *self.reason() = None;
    }

    pub(super) fn note(&self, reason: &impl Display) {
        self.reason().get_or_insert_with(|| reason.to_string());
    }

    /// What the guest says, with the reason where there is one.
    pub(super) fn told(&self, said: String) -> String {
        match &*self.reason() {
            Some(reason) => format!("{said}: {reason}"),
            None => said,
        }
    }
}
