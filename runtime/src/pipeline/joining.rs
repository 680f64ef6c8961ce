//! A sink's task until it knows which partitions are its own. It is STARTING for as long: a member that was killed keeps the others
//! waiting until its session ends, and who looks then must not read RUNNING and a lag of 0.

use std::time::{Duration, Instant};

use crate::pipeline::sink::Running;
use crate::telemetry::TaskState;

/// A group without a dead member answers sooner. Asked again as often.
const LONG: Duration = Duration::from_secs(5);
/// Longest wait for who is in the group: the partitions may come meanwhile.
const ASK: Duration = Duration::from_secs(2);

/// Since when it waits, or when it was last asked what for.
pub(super) struct Joining(Instant);

impl Joining {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }
}

impl Running<'_> {
    /// RUNNING once all that the group has assigned is placed, be it nothing; what it waits for until then.
    pub(super) async fn join(&mut self, joining: &mut Option<Joining>) {
        let Some(Joining(asked)) = joining else { return };
        let Some(group) = self.lane.awaits_group() else {
            *joining = None;
            self.task.grants.metrics.state(TaskState::Running, None);
            return;
        };
        if asked.elapsed() < LONG {
            return;
        }
        *asked = Instant::now();
        let members = match tokio::time::timeout(ASK, self.log.members(group)).await {
            Ok(Ok(members)) if members.len() > 1 => format!(
                ", which counts as members {}. One that was killed counts until its session ends (`session.timeout.ms`, 45 s by default)",
                members.join(", ")
            ),
            _ => String::new(),
        };
        self.task.grants.metrics.starting(format!("waiting for partitions from group `{group}`{members}"));
    }
}
