//! Everything at one moment, as rows: what `wharf status`, `/status` and the summary at the end of a run show.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::health::Health;
use super::state::{Kind, TaskState};

/// A whole deployment at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub version: String,
    /// Process id.
    pub process: u32,
    /// When the process started, RFC 3339 UTC, like every time here.
    pub started: String,
    pub log: LogRow,
    pub health: Health,
    /// By connector, kind and task.
    pub tasks: Vec<TaskRow>,
}

/// The topic log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRow {
    pub reached: bool,
    pub reason: Option<String>,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRow {
    pub connector: String,
    pub kind: Kind,
    pub task: u32,
    pub state: TaskState,
    pub reason: Option<String>,
    /// When this state began.
    pub since: String,
    pub since_seconds: f64,
    /// It has carried records at some time in this process.
    pub has_run: bool,
    /// Partitions that stay stopped while the others flow on, with the reason.
    pub stopped_partitions: BTreeMap<String, String>,
    /// Includes what is in flight.
    pub read: u64,
    /// Records that splits added.
    pub split: u64,
    pub delivered: u64,
    pub filtered: u64,
    pub dead_lettered: u64,
    pub in_flight: u64,
    pub retried: u64,
    pub restarts: u64,
    /// Records that retention removed before they were read: in none of the counts above.
    #[serde(default)]
    pub lost: u64,
    /// Of a sink, as last known: records between what is confirmed and the end of its partitions.
    pub lag: Option<i64>,
    pub last_commit: Option<String>,
    pub commit_age_seconds: Option<f64>,
    pub guest_cpu_seconds: f64,
    pub guest_memory_bytes: u64,
    pub guest_memory_peak_bytes: u64,
}

/// The counters of one connector over its tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectorRow {
    pub connector: String,
    pub kind: Kind,
    pub tasks: u32,
    pub read: u64,
    pub split: u64,
    pub delivered: u64,
    pub filtered: u64,
    pub dead_lettered: u64,
    pub in_flight: u64,
    pub retried: u64,
    pub restarts: u64,
    /// Why its tasks failed, each reason once.
    pub failures: Vec<String>,
}

impl ConnectorRow {
    /// Invariant 3: every record that was read is delivered, filtered, dead-lettered or still in flight.
    #[must_use]
    pub const fn adds_up(&self) -> bool {
        self.read + self.split == self.delivered + self.filtered + self.dead_lettered + self.in_flight
    }
}

impl Snapshot {
    /// The counters by connector.
    #[must_use]
    pub fn connectors(&self) -> Vec<ConnectorRow> {
        let mut rows: BTreeMap<(&str, Kind), ConnectorRow> = BTreeMap::new();
        for task in &self.tasks {
            let row = rows.entry((&task.connector, task.kind)).or_insert_with(|| ConnectorRow {
                connector: task.connector.clone(),
                kind: task.kind,
                tasks: 0,
                read: 0,
                split: 0,
                delivered: 0,
                filtered: 0,
                dead_lettered: 0,
                in_flight: 0,
                retried: 0,
                restarts: 0,
                failures: Vec::new(),
            });
            row.tasks += 1;
            row.read += task.read;
            row.split += task.split;
            row.delivered += task.delivered;
            row.filtered += task.filtered;
            row.dead_lettered += task.dead_lettered;
            row.in_flight += task.in_flight;
            row.retried += task.retried;
            row.restarts += task.restarts;
            if let (TaskState::Failed, Some(reason)) = (task.state, &task.reason)
                && !row.failures.contains(reason)
            {
                row.failures.push(reason.clone());
            }
        }
        rows.into_values().collect()
    }

    /// Invariant 3 for every connector.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.connectors().iter().all(ConnectorRow::adds_up)
    }
}

/// RFC 3339 UTC; a time that no calendar has is shown as the epoch.
pub(super) fn rfc3339(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}
