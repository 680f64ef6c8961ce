//! Connections of one database, at most so many at once. Owns the count and the idle ones; what a connection is, and how it
//! is made, is the database's own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{R, SqlError};

/// How long a call waits for a connection that others hold.
const WAIT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Pool<C> {
    /// Name of the connection in the configuration.
    pub name: String,
    size: usize,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<C>>,
}

/// A connection that is in use. Dropped: the connection closes, and what was open on it is rolled back.
#[derive(Debug)]
pub(super) struct Lease<C> {
    pub connection: C,
    _permit: OwnedSemaphorePermit,
}

impl<C> Pool<C> {
    pub(super) fn new(name: &str, size: usize) -> Self {
        let size = size.max(1);
        Self { name: name.to_owned(), size, permits: Arc::new(Semaphore::new(size)), idle: Mutex::new(Vec::new()) }
    }

    /// The right to have one more connection in use; `Retry` when none becomes free in time.
    pub(super) async fn permit(&self) -> R<OwnedSemaphorePermit> {
        wait(&self.permits).await.ok_or_else(|| {
            SqlError::Retry(format!(
                "connection `{}`: all {} connections are in use and none became free in {} s; raise `pool` or lower `tasks`",
                self.name,
                self.size,
                WAIT.as_secs()
            ))
        })
    }

    /// An idle connection, the one used last.
    pub(super) fn idle(&self) -> Option<C> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    pub(super) const fn lease(connection: C, permit: OwnedSemaphorePermit) -> Lease<C> {
        Lease { connection, _permit: permit }
    }

    /// Gives a sound connection back.
    pub(super) fn put_back(&self, lease: Lease<C>) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(lease.connection);
    }
}

/// One permit, first come first served; `None` when it did not come in time.
pub(super) async fn wait(permits: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    // A semaphore that is never closed answers no error.
    tokio::time::timeout(WAIT, Arc::clone(permits).acquire_owned()).await.ok().and_then(Result::ok)
}
