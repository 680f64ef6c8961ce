//! The one thread that writes the file. Owns transactions: every call is a savepoint of its own, the calls that wait
//! together share one commit (one fsync), and all are answered after it. Between calls it removes what retention lets go.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::catalog::{Catalog, Defaults, load_topic};
use super::fault::Fault;
use super::retention;
use crate::topic_log::LogError;
use crate::topic_log::partitioner::Spread;

/// Calls that may wait for the thread; further callers wait before they are queued.
const QUEUE: usize = 64;
/// Calls that share a commit at most.
const GROUP: usize = 64;
/// How often retention looks at all partitions.
const SWEEP: Duration = Duration::from_secs(10);

/// What a call sees of the transaction that it is part of.
pub(super) struct Tx<'a> {
    pub(super) db: &'a Connection,
    pub(super) defaults: Defaults,
    /// Milliseconds since the epoch when the transaction began.
    pub(super) now: i64,
    pub(super) spread: &'a RefCell<Spread>,
    touched: RefCell<BTreeSet<Arc<str>>>,
}

impl Tx<'_> {
    /// This topic's ends change with the commit: whoever waits for it is to be told.
    pub(super) fn touch(&self, topic: &Arc<str>) {
        self.touched.borrow_mut().insert(Arc::clone(topic));
    }
}

/// A call on its way through the thread.
trait Job: Send {
    /// Does the work; false: it failed and must leave nothing behind.
    fn run(&mut self, tx: &Tx<'_>, path: &Path) -> bool;
    /// Answers the caller. `lost`: the commit failed.
    fn finish(self: Box<Self>, lost: Option<LogError>);
}

struct Call<T, F> {
    work: Option<F>,
    result: Option<Result<T, LogError>>,
    answer: oneshot::Sender<Result<T, LogError>>,
}

impl<T, F> Job for Call<T, F>
where
    T: Send,
    F: FnOnce(&Tx<'_>) -> Result<T, Fault> + Send,
{
    fn run(&mut self, tx: &Tx<'_>, path: &Path) -> bool {
        let result = self.work.take().map(|work| work(tx).map_err(|fault| fault.at(path)));
        let done = matches!(result, Some(Ok(_)));
        self.result = result;
        done
    }

    fn finish(self: Box<Self>, lost: Option<LogError>) {
        let result = match (self.result, lost) {
            (Some(Err(error)), _) | (_, Some(error)) => Err(error),
            (Some(Ok(value)), None) => Ok(value),
            (None, None) => Err(LogError::Retry("the embedded log did not get to this call; repeat it".to_owned())),
        };
        // A caller that has gone away asked for no answer.
        drop(self.answer.send(result));
    }
}

/// Handle of the thread; dropping it lets the thread finish what is queued and closes the file.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        db: Connection,
        path: PathBuf,
        defaults: Defaults,
        catalog: Arc<watch::Sender<Arc<Catalog>>>,
    ) -> Result<Self, LogError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let failed = |error| LogError::Fatal(format!("the embedded log's thread did not start: {error}"));
        // A small runtime of the thread's own, only to wait for a call and the clock at once.
        let waiting = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
        let mut thread = Thread { db, path, defaults, catalog, spread: RefCell::default(), swept: Cell::new(None) };
        let thread = std::thread::Builder::new()
            .name("wharf-log".to_owned())
            .spawn(move || thread.run(&waiting, queue))
            .map_err(failed)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Does `work` in a transaction and answers when that is durable. A dropped call may still take effect.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, LogError> {
        let ended = || LogError::Fatal("the embedded log's thread has ended; see the log for why, and restart".to_owned());
        let (answer, wait) = oneshot::channel();
        let call = Call { work: Some(work), result: None, answer };
        let jobs = self.jobs.as_ref().ok_or_else(ended)?;
        jobs.send(Box::new(call)).await.map_err(|_| ended())?;
        wait.await.map_err(|_| ended())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the embedded log's thread panicked");
        }
    }
}

struct Thread {
    db: Connection,
    path: PathBuf,
    defaults: Defaults,
    catalog: Arc<watch::Sender<Arc<Catalog>>>,
    spread: RefCell<Spread>,
    swept: Cell<Option<Instant>>,
}

impl Thread {
    fn run(&mut self, waiting: &tokio::runtime::Runtime, mut queue: mpsc::Receiver<Box<dyn Job>>) {
        loop {
            // `timeout` must be made inside the runtime.
            match waiting.block_on(async { tokio::time::timeout(SWEEP, queue.recv()).await }) {
                Ok(None) => return,
                Ok(Some(job)) => self.group(job, &mut queue),
                Err(_) => {}
            }
            if self.swept.get().is_none_or(|at| at.elapsed() >= SWEEP) {
                self.sweep();
                self.swept.set(Some(Instant::now()));
            }
        }
    }

    /// Runs `first` and what waits behind it, commits once, and answers all.
    fn group(&self, first: Box<dyn Job>, queue: &mut mpsc::Receiver<Box<dyn Job>>) {
        let mut jobs = vec![first];
        let mut next = 0;
        let outcome = self.transaction(|tx| {
            while let Some(job) = jobs.get_mut(next) {
                self.savepoint(tx, |tx| job.run(tx, &self.path))?;
                next += 1;
                if next < GROUP {
                    jobs.extend(queue.try_recv());
                }
            }
            Ok(())
        });
        let lost = outcome.err().map(|fault| fault.at(&self.path));
        for job in jobs {
            job.finish(lost.clone());
        }
    }

    fn savepoint(&self, tx: &Tx<'_>, work: impl FnOnce(&Tx<'_>) -> bool) -> Result<(), Fault> {
        self.db.prepare_cached("SAVEPOINT call")?.execute([])?;
        let done = work(tx);
        // On a full disk SQLite gives up the whole transaction, the calls before this one too.
        if self.db.is_autocommit() {
            let text = "the write failed as a whole and nothing of it was kept; repeat it";
            return Err(LogError::Retry(text.to_owned()).into());
        }
        if !done {
            self.db.prepare_cached("ROLLBACK TO call")?.execute([])?;
        }
        self.db.prepare_cached("RELEASE call")?.execute([])?;
        Ok(())
    }

    /// Begin, work, commit, tell those who wait; on an error everything is rolled back.
    fn transaction(&self, work: impl FnOnce(&Tx<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
        let tx = Tx { db: &self.db, defaults: self.defaults, now: now_ms(), spread: &self.spread, touched: RefCell::default() };
        let committed = || -> Result<Catalog, Fault> {
            self.db.execute_batch("BEGIN IMMEDIATE")?;
            work(&tx)?;
            let catalog = self.renewed(&tx)?;
            self.db.execute_batch("COMMIT")?;
            Ok(catalog)
        };
        match committed() {
            Ok(catalog) if tx.touched.borrow().is_empty() => drop(catalog),
            Ok(catalog) => drop(self.catalog.send_replace(Arc::new(catalog))),
            Err(fault) => {
                if !self.db.is_autocommit()
                    && let Err(error) = self.db.execute_batch("ROLLBACK")
                {
                    tracing::error!(%error, "the embedded log could not roll back");
                }
                return Err(fault);
            }
        }
        Ok(())
    }

    /// The catalog as it will be after the commit.
    fn renewed(&self, tx: &Tx<'_>) -> Result<Catalog, Fault> {
        let touched = tx.touched.borrow();
        if touched.is_empty() {
            return Ok(Catalog::default());
        }
        let mut catalog = Catalog::clone(&self.catalog.borrow());
        for name in touched.iter() {
            if let Some(topic) = load_topic(&self.db, name, &self.defaults)? {
                catalog.topics.insert(Arc::clone(name), Arc::new(topic));
            }
        }
        Ok(catalog)
    }

    /// Removes what retention lets go, some chunks a transaction. Nobody waits for the answer, so it is said here.
    fn sweep(&self) {
        let topics: Vec<_> = self.catalog.borrow().topics.values().cloned().collect();
        for topic in topics.iter().filter(|topic| topic.limits.removes()) {
            let mut more = true;
            while more {
                let swept = self.transaction(|tx| {
                    more = retention::sweep(tx, topic)?;
                    Ok(())
                });
                if let Err(fault) = swept {
                    let error = fault.at(&self.path);
                    tracing::warn!(topic = %topic.name, %error, "retention did not run; it is tried again");
                    return;
                }
            }
        }
        if let Err(error) = retention::give_back(&self.db) {
            tracing::warn!(%error, "the embedded log did not give free pages back; it is tried again");
        }
    }
}

/// The wall clock, milliseconds since the epoch.
pub(super) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
