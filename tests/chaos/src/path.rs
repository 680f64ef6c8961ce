//! A path: how its worker is configured, where its records go in, and where they come out. One file a path; what they share
//! stands here. Breaks nothing itself.

use std::path::{Path as FsPath, PathBuf};

use anyhow::Result;
use async_trait::async_trait;

use crate::compare::Arrived;
use crate::fault::Fault;
use crate::numbered::Numbered;
use crate::options::PathName;
use crate::servers::Servers;

mod embedded;
mod files;
mod flaky;
mod http;
mod odata;
mod service;
mod sink;
mod source;
mod target;
mod topics;

/// Which process a configuration is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Main,
    /// The same deployment on another machine: its own state folder and group member.
    Second,
    /// The same, as the same member of the group.
    Twin,
    /// Another source of the same deployment, with files of its own.
    Neighbour,
}

impl Role {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Second => "second",
            Self::Twin => "twin",
            Self::Neighbour => "neighbour",
        }
    }
}

/// Timeouts of the deployments here, all at most 10 s, so that a run does not wait for defaults made for real outages.
pub mod timeouts {
    /// `transaction.timeout.ms` of sources.
    pub const TRANSACTION_MS: u64 = 5_000;
    /// `session.timeout.ms` of sinks; the broker takes no less.
    pub const SESSION_MS: u64 = 6_000;
    /// `max.poll.interval.ms` of sinks.
    pub const MAX_POLL_MS: u64 = 7_000;
    /// Longer than each of them.
    pub const PAST_ALL: std::time::Duration = std::time::Duration::from_secs(9);
}

/// One path while a leg runs on it.
#[async_trait]
pub trait Path: Send {
    /// Names of the fault points that its records pass.
    fn phases(&self) -> &'static [&'static str];
    fn faults(&self) -> &'static [Fault];
    /// Of 400 records, how many the target is to refuse.
    fn refused(&self) -> u32;
    /// The configuration of a worker.
    fn config(&self, role: Role) -> String;
    /// Sends records, in order. Does not wait for a server that is down; answers false where they could not be taken on.
    async fn send(&mut self, records: &[Numbered], role: Role) -> Result<bool>;
    /// How many records have arrived, repeated ones included; what was known last while the destination is down.
    async fn count(&mut self) -> Result<u64>;
    /// Everything that has arrived.
    async fn arrived(&mut self) -> Result<Arrived>;
    /// Connections are reset from now on, or no more.
    fn reset_connections(&mut self, _on: bool) {}
}

/// Prepares a path in a folder of its own; `name` is unique among the legs of the servers.
pub async fn prepare(path: PathName, folder: &FsPath, name: &str, servers: &Servers, seed: u64) -> Result<Box<dyn Path>> {
    let ground = Ground {
        folder: folder.to_owned(),
        name: name.to_owned(),
        kafka: servers.kafka.as_ref().map(|s| s.address.clone()).unwrap_or_default(),
        postgres: servers.postgres.as_ref().map(|s| s.address.clone()).unwrap_or_default(),
    };
    Ok(match path {
        PathName::Source => Box::new(source::Source::prepare(ground).await?),
        PathName::Odata => Box::new(odata::Odata::prepare(ground, seed).await?),
        PathName::Sink => Box::new(sink::Sink::prepare(ground).await?),
        PathName::Http => Box::new(http::Http::prepare(ground, seed).await?),
        PathName::Embedded => Box::new(embedded::Embedded::prepare(ground)?),
    })
}

/// What a path stands on.
#[derive(Debug, Clone)]
pub struct Ground {
    folder: PathBuf,
    name: String,
    kafka: String,
    postgres: String,
}

impl Ground {
    fn topic(&self) -> String {
        format!("{}.numbers", self.name)
    }

    fn dead_letters(&self, connector: &str) -> String {
        format!("dlq.{}.{connector}", self.name)
    }

    /// What every configuration begins with.
    fn head(&self, role: Role) -> String {
        format!("name = \"{}\"\nstate-dir = \"state-{}\"\ncreate = true\n", self.name, role.name())
    }

    fn kafka(&self) -> String {
        format!(
            "[kafka]\nbootstrap.servers = \"{}\"\nreconnect.backoff.max.ms = 500\ntopic.metadata.refresh.interval.ms = 1000\n",
            self.kafka
        )
    }

    /// Small batches make many transactions, and the dead-letter window never stops a run that has many dead letters.
    fn connector(linger: &str) -> String {
        format!(
            "batch = {{ records = 40, linger = \"{linger}\" }}\nretry = {{ initial = \"50ms\", max = \"1s\" }}\n\
             dead-letter = {{ window = {{ size = 0, limit = 0 }} }}\nmax-record-bytes = \"{}\"\n",
            crate::numbered::MAX_RECORD_BYTES
        )
    }

    /// Properties of a member of a sink's group: static, so that a restart takes its partitions over at once.
    fn member(role: Role) -> String {
        format!(
            "group.instance.id = \"{}\"\nsession.timeout.ms = {}\nheartbeat.interval.ms = 500\nmax.poll.interval.ms = {}\n",
            if role == Role::Twin { Role::Main.name() } else { role.name() },
            timeouts::SESSION_MS,
            timeouts::MAX_POLL_MS
        )
    }
}
