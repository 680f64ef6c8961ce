//! The engine all guests share: the epoch ticker that lets limits bite, and the guests' own tokio runtime
//! (so that a spinning guest cannot starve timers and I/O of the host).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use wasmtime::Engine;

use super::component::ComponentError;
use super::settings::settings;

/// How often a running guest comes back to the host.
const EPOCH: Duration = Duration::from_millis(10);

/// Engine, epoch ticker and runtime for guests. Dropping it ends the ticker; instances must be gone by then.
#[derive(Debug)]
pub struct Guests {
    pub(super) engine: Engine,
    pub(super) cache_dir: PathBuf,
    ticker: Arc<Ticker>,
    ticker_thread: Option<JoinHandle<()>>,
    runtime: Option<Runtime>,
    /// The main runtime, on which host I/O runs.
    pub(super) io: Handle,
}

/// Counts running calls; the thread sleeps when there are none, so that idle connectors cost nothing.
#[derive(Debug, Default)]
struct Ticker {
    running: AtomicUsize,
    stop: AtomicBool,
}

impl Guests {
    /// Must be called inside the main tokio runtime. `cache_dir` holds compiled components (created with mode 0700).
    ///
    /// # Errors
    /// [`ComponentError::Engine`] when the machine does not allow what the engine needs.
    pub fn new(cache_dir: &Path) -> Result<Self, ComponentError> {
        let engine = Engine::new(&settings()?).map_err(|e| ComponentError::Engine(format!("{e:#}")))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(std::thread::available_parallelism().map_or(2, |n| n.get().max(2)))
            .event_interval(4)
            .thread_name("wharf-guest")
            .enable_all()
            .build()
            .map_err(|e| ComponentError::Engine(format!("cannot start the guests' runtime: {e}")))?;
        let ticker = Arc::new(Ticker::default());
        let thread = spawn_ticker(engine.clone(), Arc::clone(&ticker))?;
        Ok(Self {
            engine,
            cache_dir: cache_dir.to_owned(),
            ticker,
            ticker_thread: Some(thread),
            runtime: Some(runtime),
            io: Handle::current(),
        })
    }

    /// Spawns a call on the guests' runtime; epochs tick until the guard in `future` is dropped.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Option<tokio::task::JoinHandle<T>> {
        let running = self.running();
        let runtime = self.runtime.as_ref()?;
        Some(runtime.spawn(async move {
            let result = future.await;
            drop(running);
            result
        }))
    }

    fn running(&self) -> Running {
        self.ticker.running.fetch_add(1, Ordering::SeqCst);
        if let Some(thread) = &self.ticker_thread {
            thread.thread().unpark();
        }
        Running(Arc::clone(&self.ticker))
    }
}

struct Running(Arc<Ticker>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        self.ticker.stop.store(true, Ordering::SeqCst);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        if let Some(thread) = self.ticker_thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the epoch ticker panicked");
            }
        }
    }
}

fn spawn_ticker(engine: Engine, ticker: Arc<Ticker>) -> Result<JoinHandle<()>, ComponentError> {
    std::thread::Builder::new()
        .name("wharf-epochs".to_owned())
        .spawn(move || {
            while !ticker.stop.load(Ordering::SeqCst) {
                if ticker.running.load(Ordering::SeqCst) == 0 {
                    std::thread::park();
                } else {
                    std::thread::sleep(EPOCH);
                    engine.increment_epoch();
                }
            }
        })
        .map_err(|e| ComponentError::Engine(format!("cannot start the epoch thread: {e}")))
}
