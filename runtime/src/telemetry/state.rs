//! In which state a task is, why, and since when. The names are those that users see.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::trouble::{Over, Trouble};

/// State of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TaskState {
    /// Built and opened, not carrying records yet.
    #[default]
    Starting,
    Running,
    /// Something failed that may pass; it is tried again.
    Retrying,
    /// Another worker owns this task; this one takes over when that goes.
    Standby,
    /// Someone has to change something.
    Failed,
    /// There is nothing more to do (`--until-done`).
    Finished,
    /// Drained on request.
    Stopped,
}

impl TaskState {
    pub(super) const ALL: [Self; 7] =
        [Self::Starting, Self::Running, Self::Retrying, Self::Standby, Self::Failed, Self::Finished, Self::Stopped];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Retrying => "RETRYING",
            Self::Standby => "STANDBY",
            Self::Failed => "FAILED",
            Self::Finished => "FINISHED",
            Self::Stopped => "STOPPED",
        }
    }

    /// A task in this state holds no records: what was in flight is read again.
    pub(super) const fn holds_nothing(self) -> bool {
        !matches!(self, Self::Running | Self::Retrying)
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// On which side of the topics a connector stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Source,
    Sink,
}

impl Kind {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A task's state with its story.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) state: TaskState,
    pub(super) reason: Option<String>,
    pub(super) since: SystemTime,
    /// It has carried records in this life: what a retry goes back to.
    up: bool,
    /// It has been up in some life.
    pub(super) has_run: bool,
    /// Partitions that stay stopped while the others flow on, with the reason.
    pub(super) stopped: BTreeMap<String, String>,
    /// What waits for a retry while the rest flows on.
    held: Option<String>,
    trouble: Trouble,
}

/// A run this long, without a failure, counts as getting on again.
const STEADY: Duration = Duration::from_secs(5);

impl Default for Current {
    fn default() -> Self {
        Self {
            state: TaskState::Starting,
            reason: None,
            since: SystemTime::now(),
            up: false,
            has_run: false,
            stopped: BTreeMap::new(),
            held: None,
            trouble: Trouble::default(),
        }
    }
}

impl Current {
    pub(super) fn change(&mut self, state: TaskState, reason: Option<String>) {
        if self.state != state {
            self.since = SystemTime::now();
        }
        match state {
            TaskState::Starting => {
                self.up = false;
                self.stopped.clear();
            }
            TaskState::Running => (self.up, self.has_run) = (true, true),
            TaskState::Retrying => self.trouble.met(),
            _ => self.trouble.forget(),
        }
        if state.holds_nothing() {
            self.held = None;
        }
        self.state = state;
        self.reason = reason;
    }

    /// What waits for a retry from now on while the rest flows on; `None`: nothing does any more.
    pub(super) fn hold(&mut self, reason: Option<String>) -> Option<Over> {
        self.held.clone_from(&reason);
        if reason.is_none() {
            return self.recover(false);
        }
        self.change(TaskState::Retrying, reason);
        None
    }

    /// What was retried is given up.
    pub(super) fn give_up(&mut self) {
        self.trouble.forget();
    }

    /// How long it has been RUNNING, if it is.
    pub(super) fn running_for(&self) -> Option<Duration> {
        (self.state == TaskState::Running).then(|| self.since.elapsed().unwrap_or_default())
    }

    /// What was retried works again; what is held still waits. Answers what is to be said of the trouble that is over: one that
    /// ended the task's life is so once records are `confirmed`, or after a while.
    pub(super) fn recover(&mut self, confirmed: bool) -> Option<Over> {
        if self.state == TaskState::Retrying && self.held.is_some() {
            self.reason.clone_from(&self.held);
            return None;
        }
        let retried = self.state == TaskState::Retrying;
        if retried {
            self.change(if self.up { TaskState::Running } else { TaskState::Starting }, None);
        }
        let steady = || self.since.elapsed().unwrap_or_default() >= STEADY;
        if self.state == TaskState::Running && (retried || confirmed || steady()) { self.trouble.over() } else { None }
    }
}
