//! How a run gets on: one line that renews itself on a terminal, a plain log line now and then elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wharf_runtime::telemetry::{Kind, Snapshot, TaskState, Telemetry};

/// Between two looks on a terminal, and between two plain lines.
const TERMINAL: Duration = Duration::from_secs(1);
const PLAIN: Duration = Duration::from_secs(30);

/// The task that shows progress.
#[derive(Debug)]
pub struct Progress {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Progress {
    pub fn start(telemetry: Arc<Telemetry>) -> Self {
        let (end, ended) = oneshot::channel();
        Self { end, task: tokio::spawn(show(telemetry, ended)) }
    }

    /// Ends it and leaves a clean line.
    pub async fn end(self) {
        drop(self.end);
        if let Err(error) = self.task.await {
            tracing::debug!(%error, "the progress display ended early");
        }
    }
}

async fn show(telemetry: Arc<Telemetry>, mut ended: oneshot::Receiver<()>) {
    let terminal = std::io::stderr().is_terminal();
    let mut ticks = tokio::time::interval(if terminal { TERMINAL } else { PLAIN });
    ticks.tick().await;
    let mut last = (Instant::now(), Totals::of(&telemetry.snapshot()));
    loop {
        // Cancel-safe: a tick that is lost to the end is not needed any more.
        tokio::select! {
            _ = ticks.tick() => {}
            _ = &mut ended => break,
        }
        let now = (Instant::now(), Totals::of(&telemetry.snapshot()));
        let seconds = (now.0 - last.0).as_secs_f64();
        let rate = |now: u64, last: u64| (now.saturating_sub(last)) as f64 / seconds.max(0.001);
        let (t, l) = (&now.1, &last.1);
        if terminal {
            eprint!(
                "\r\x1b[2Kin {:.0}/s  out {:.0}/s  lag {}  dead letters {}  retrying {}  failed {}",
                rate(t.sourced, l.sourced),
                rate(t.sunk, l.sunk),
                t.lag_known(),
                t.dead_lettered,
                t.retrying,
                t.failed
            );
            std::io::stderr().flush().unwrap_or_default();
        } else {
            tracing::info!(
                in_per_second = rate(t.sourced, l.sourced).round(),
                out_per_second = rate(t.sunk, l.sunk).round(),
                lag = t.lag_known(),
                dead_letters = t.dead_lettered,
                retrying = t.retrying,
                failed = t.failed,
                "progress"
            );
        }
        last = now;
    }
    if terminal {
        eprint!("\r\x1b[2K");
    }
}

/// Sums over all tasks.
#[derive(Debug, Default)]
struct Totals {
    sourced: u64,
    sunk: u64,
    dead_lettered: u64,
    lag: i64,
    /// Of a sink that has not begun to read none is known.
    lag_unknown: bool,
    retrying: usize,
    failed: usize,
}

impl Totals {
    fn lag_known(&self) -> String {
        if self.lag_unknown { "-".to_owned() } else { self.lag.to_string() }
    }

    fn of(snapshot: &Snapshot) -> Self {
        let mut totals = Self::default();
        for task in &snapshot.tasks {
            match task.kind {
                Kind::Source => totals.sourced += task.delivered,
                Kind::Sink => totals.sunk += task.delivered,
            }
            totals.dead_lettered += task.dead_lettered;
            totals.lag += task.lag.unwrap_or(0);
            totals.lag_unknown |= task.kind == Kind::Sink && task.lag.is_none() && task.state == TaskState::Starting;
            totals.retrying += usize::from(task.state == TaskState::Retrying);
            totals.failed += usize::from(task.state == TaskState::Failed);
        }
        totals
    }
}
