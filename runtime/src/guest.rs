//! Running guests: the only place that knows wasmtime. Owns engine, compiled components, instances, their limits and the
//! translation between the component interface and host types. Knows no log and no pipeline.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::capability::http::HttpAccess;
use crate::capability::inbox::Inbox;
use crate::capability::sql::Session;
use crate::capability::veil::Veil;
use crate::config::{AllowedFolder, GuestLimits};
use crate::telemetry::ConnectorMetrics;

mod cache;
mod call;
mod component;
mod engine;
mod http;
mod instance;
mod lent;
mod limits;
mod settings;
mod state;
mod stdio;
mod unsent;
mod v0_1;
mod waits;

pub use component::{Component, ComponentError, ComponentKind, Description};
pub use engine::Guests;
pub use instance::{SinkGuest, SourceGuest, TransformGuest};

/// A session of a named connection, shared by the guest's calls and the pipeline that owns the transaction.
pub type SharedSession = Arc<tokio::sync::Mutex<Session>>;

/// What one instance is given: the operator's grants, already cut to what the manifest asks for.
#[derive(Clone)]
pub struct Grants {
    /// Name in the configuration.
    pub connector: String,
    pub task: u32,
    pub http: Option<HttpAccess>,
    /// Sessions by connection name.
    pub sql: BTreeMap<String, SharedSession>,
    pub folders: Vec<AllowedFolder>,
    pub inbox: Option<Arc<Inbox>>,
    pub limits: GuestLimits,
    pub metrics: Arc<ConnectorMetrics>,
}

impl Grants {
    /// Over the credentials that the connector's requests carry.
    pub(crate) fn veil(&self) -> Veil {
        self.http.as_ref().map(|http| http.veil().clone()).unwrap_or_default()
    }
}

impl std::fmt::Debug for Grants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grants")
            .field("connector", &self.connector)
            .field("task", &self.task)
            .field("sql", &self.sql.keys())
            .finish_non_exhaustive()
    }
}

/// What an instance is told when it opens: record `context` of the interface.
#[derive(Debug, Clone)]
pub struct Context {
    pub name: String,
    pub task: u32,
    pub tasks: u32,
    /// The `config` table as JSON.
    pub config: String,
}

/// Why a call of a guest gave no result.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// Try again after this long, or the host's backoff.
    #[error("{message}")]
    Retry { message: String, after: Option<Duration> },
    /// This input can never work.
    #[error("{0}")]
    Reject(String),
    /// The connector cannot go on.
    #[error("{0}")]
    Fatal(String),
    /// The instance is dead; a fresh one is needed.
    #[error("{death}: {detail}")]
    Died { death: Death, detail: String },
}

impl GuestError {
    /// The instance is dead because a service outside let it wait: no record is at fault.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Died { death: Death::Waited | Death::Slow, .. })
    }
}

/// What ended an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    Trap,
    CpuLimit,
    /// It computed, or slept by the clock without having asked any service.
    Deadline,
    /// A service has not answered within the deadline.
    Waited,
    /// Services answered each time, and for all of the call that took too long.
    Slow,
    MemoryLimit,
    /// It answered with something that the interface does not allow.
    Malformed,
    /// A call was dropped half-way (shutdown).
    Cancelled,
}

impl std::fmt::Display for Death {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Trap => "the guest trapped",
            Self::CpuLimit => "the guest used up the CPU time of one call (`limits.call-cpu`)",
            Self::Deadline => "the call took longer than its deadline (`limits.call-deadline`)",
            Self::Waited => "a service did not answer within the deadline of the call (`limits.call-deadline`)",
            Self::Slow => "services answered too slowly for all of the call (`limits.call-deadline`)",
            Self::MemoryLimit => "the guest asked for more memory than it may have (`limits.memory`)",
            Self::Malformed => "the guest answered with what the interface does not allow",
            Self::Cancelled => "the call was dropped half-way",
        })
    }
}
