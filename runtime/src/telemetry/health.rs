//! When a deployment is healthy and when it is ready. Rules over rows, nothing else.

use serde::{Deserialize, Serialize};

use super::snapshot::TaskRow;
use super::state::TaskState;

/// What `/health` and `/ready` answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// No task is FAILED and none of its partitions is stopped. A process that only waits for something is healthy: starting it
    /// again would not help.
    pub healthy: bool,
    /// The topic log was reached, every task has come up, and none has failed or was stopped.
    pub ready: bool,
    /// Why not, one line each.
    pub reasons: Vec<String>,
}

impl Health {
    pub(super) fn of(tasks: &[TaskRow], log_reached: bool, log_reason: Option<&str>, draining: bool) -> Self {
        let healthy = tasks.iter().all(|t| t.state != TaskState::Failed && t.stopped_partitions.is_empty());
        let mut reasons = Vec::new();
        if draining {
            reasons.push("asked to stop, draining".to_owned());
        }
        if !log_reached {
            let why = log_reason.map_or(String::new(), |reason| format!(": {reason}"));
            reasons.push(format!("the topic log is not reached yet{why}"));
        }
        reasons.extend(tasks.iter().filter(|t| !is_ready(t)).map(|t| {
            let why = t.reason.as_deref().map_or(String::new(), |reason| format!(": {reason}"));
            format!("{} {} task {} is {}{why}", t.kind, t.connector, t.task, t.state)
        }));
        let stopped = |t: &'_ TaskRow| {
            let (kind, connector, task) = (t.kind, t.connector.clone(), t.task);
            let line = move |reason: &String| format!("{kind} {connector} task {task}: {reason}");
            t.stopped_partitions.values().map(line).collect::<Vec<_>>()
        };
        reasons.extend(tasks.iter().flat_map(stopped));
        Self { healthy, ready: reasons.is_empty(), reasons }
    }
}

/// A task that has come up once stays ready while it retries or starts again: what it waits for is not cured by taking
/// the process out of service.
const fn is_ready(task: &TaskRow) -> bool {
    match task.state {
        TaskState::Running | TaskState::Standby | TaskState::Finished => true,
        TaskState::Starting | TaskState::Retrying => task.has_run,
        TaskState::Failed | TaskState::Stopped => false,
    }
}
