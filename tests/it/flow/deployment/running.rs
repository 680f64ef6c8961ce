//! A deployment that runs, what it says of itself, and how it ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wharf_runtime::supervisor::{Outcome, StartError};
use wharf_runtime::telemetry::{ConnectorRow, Snapshot, TaskRow, TaskState, Telemetry};

use super::PATIENCE;

/// A deployment that runs.
pub struct Running {
    pub(super) runtime: Runtime,
    pub telemetry: Arc<Telemetry>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) task: JoinHandle<Result<Outcome, StartError>>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    pub outcome: Outcome,
    pub snapshot: Snapshot,
}

impl Running {
    /// Waits until the snapshot is as described.
    pub async fn when(&self, what: &str, is: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let snapshot = self.telemetry.snapshot();
            // Before they are announced there is nothing to ask about.
            if !snapshot.tasks.is_empty() && is(&snapshot) {
                return snapshot;
            }
            assert!(!self.task.is_finished(), "ended before {what}: {snapshot:#?}");
            assert!(Instant::now() < deadline, "never {what}: {snapshot:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn when_failed(&self, connector: &str) -> Snapshot {
        self.when(&format!("{connector} FAILED"), |snapshot| task(snapshot, connector).state == TaskState::Failed).await
    }

    /// Waits until a connector has settled so many records.
    pub async fn when_settled(&self, connector: &str, records: u64) -> Snapshot {
        self.when(&format!("{connector} has settled {records}"), |snapshot| {
            let row = row(snapshot, connector);
            row.delivered + row.filtered + row.dead_lettered >= records
        })
        .await
    }

    /// Asks it to stop, and waits.
    pub async fn drain(self) -> Ended {
        self.stop.send_replace(true);
        self.ended().await
    }

    /// Waits until it has ended by itself.
    pub async fn ended(self) -> Ended {
        let Self { runtime, telemetry, stop, task } = self;
        let ended = tokio::time::timeout(PATIENCE, task).await;
        let snapshot = telemetry.snapshot();
        let ended = ended.unwrap_or_else(|_| panic!("does not end: {snapshot:#?}"));
        drop(stop);
        tokio::task::spawn_blocking(move || drop(runtime)).await.unwrap();
        Ended { outcome: ended.unwrap().unwrap_or_else(|error| panic!("did not start: {error}")), snapshot }
    }

    /// Ends it at once, wherever it stands: nothing is drained, closed or committed.
    pub async fn kill(self) {
        let Self { runtime, task, .. } = self;
        tokio::task::spawn_blocking(move || drop(runtime)).await.unwrap();
        assert!(task.await.is_err_and(|error| error.is_cancelled()), "it had ended before it was killed");
    }
}

/// The counters of a connector.
pub fn row(snapshot: &Snapshot, connector: &str) -> ConnectorRow {
    let found = snapshot.connectors().into_iter().find(|row| row.connector == connector);
    found.unwrap_or_else(|| panic!("no connector `{connector}`: {snapshot:#?}"))
}

/// `read`, `split`, `delivered`, `filtered`, `dead-lettered` of a connector, whose counters must add up.
pub fn counts(snapshot: &Snapshot, connector: &str) -> [u64; 5] {
    let row = row(snapshot, connector);
    assert!(row.adds_up() && row.in_flight == 0, "{row:#?}");
    [row.read, row.split, row.delivered, row.filtered, row.dead_lettered]
}

/// The first task of a connector.
pub fn task<'a>(snapshot: &'a Snapshot, connector: &str) -> &'a TaskRow {
    let found = snapshot.tasks.iter().find(|task| task.connector == connector);
    found.unwrap_or_else(|| panic!("no connector `{connector}`: {snapshot:#?}"))
}

pub fn reason(snapshot: &Snapshot, connector: &str) -> String {
    task(snapshot, connector).reason.clone().unwrap_or_default()
}
