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
    /// The topic log was reached once and every task has come up. What fails later does not take the process out of service: the
    /// webhooks and the other connectors run on.
    pub ready: bool,
    /// What keeps it from being healthy or ready, one line each.
    pub reasons: Vec<String>,
}

impl Health {
    pub(super) fn of(tasks: &[TaskRow], log_known: bool, log_reason: Option<&str>, draining: bool) -> Self {
        let healthy = tasks.iter().all(|t| t.state != TaskState::Failed && t.stopped_partitions.is_empty());
        let mut reasons = Vec::new();
        if draining {
            reasons.push("asked to stop, draining".to_owned());
        }
        if !log_known {
            let why = log_reason.map_or(String::new(), |reason| format!(": {reason}"));
            reasons.push(format!("the topic log is not reached yet{why}"));
        }
        let ready = log_known && !draining && tasks.iter().all(is_ready);
        reasons.extend(tasks.iter().filter(|t| !is_ready(t) || t.state == TaskState::Failed).map(|t| {
            let why = t.reason.as_deref().map_or(String::new(), |reason| format!(": {reason}"));
            format!("{} {} task {} is {}{why}", t.kind, t.connector, t.task, t.state)
        }));
        let stopped = |t: &'_ TaskRow| {
            let (kind, connector, task) = (t.kind, t.connector.clone(), t.task);
            let line = move |reason: &String| format!("{kind} {connector} task {task}: {reason}");
            t.stopped_partitions.values().map(line).collect::<Vec<_>>()
        };
        reasons.extend(tasks.iter().flat_map(stopped));
        Self { healthy, ready, reasons }
    }
}

/// A task that has come up once stays ready: what it waits for, or what someone has to change, is not cured by taking the process
/// out of service. One that never came up is to hold up a roll-out.
const fn is_ready(task: &TaskRow) -> bool {
    match task.state {
        TaskState::Running | TaskState::Standby | TaskState::Finished => true,
        TaskState::Starting | TaskState::Retrying | TaskState::Failed => task.has_run,
        TaskState::Stopped => false,
    }
}
