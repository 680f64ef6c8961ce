//! A few connections for reading, each used by one piece of blocking work at a time. Never writes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::fault::Fault;
use super::schema;
use crate::topic_log::LogError;

/// Pieces of work at once; further ones wait.
const AT_ONCE: usize = 4;

pub(super) struct Readers {
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, permits: Arc::new(Semaphore::new(AT_ONCE)), idle: Mutex::default() }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` off the async threads. Cancel-safe: a dropped call changes nothing.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, LogError> {
        let failed = |error: &dyn std::fmt::Display| LogError::Fatal(format!("reading the embedded log failed: {error}"));
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|error| failed(&error))?;
        let readers = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let result = readers.with_connection(work).map_err(|fault| fault.at(&readers.path));
            drop(permit);
            result
        });
        done.await.map_err(|error| failed(&error))?
    }

    fn with_connection<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        let idle = self.idle().pop();
        let db = match idle {
            Some(db) => db,
            None => schema::reader(&self.path)?,
        };
        let result = work(&db);
        // One that failed is closed: the next piece of work opens a fresh one.
        if result.is_ok() {
            self.idle().push(db);
        }
        result
    }
}
