//! What guests import, beside WASI: log lines and the inbox. Each call checks the grant. `sql` stands in its own file.

use std::time::Duration;

use super::{inbox, logging, types};
use crate::guest::state::{State, on_main};
use crate::guest::waits::Asked;

/// Longest message and number of fields of one log line.
const MESSAGE: usize = 4_000;
const FIELDS: usize = 20;

impl types::Host for State {}

impl logging::Host for State {
    async fn write(&mut self, level: logging::Level, message: String, fields: Vec<(String, String)>) {
        let veil = self.grants.veil();
        let message: String = veil.over(&message).chars().take(MESSAGE).collect();
        let fields = fields.iter().take(FIELDS).map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ");
        let fields = veil.over(&fields);
        let (connector, task) = (self.grants.connector.as_str(), self.grants.task);
        match level {
            logging::Level::Debug => tracing::debug!(connector, task, %fields, "{message}"),
            logging::Level::Info => tracing::info!(connector, task, %fields, "{message}"),
            logging::Level::Warn => tracing::warn!(connector, task, %fields, "{message}"),
            logging::Level::Error => tracing::error!(connector, task, %fields, "{message}"),
        }
    }
}

impl inbox::Host for State {
    async fn take(&mut self, max: u32, wait_ms: u32) -> Vec<inbox::Request> {
        let Some(inbox) = self.grants.inbox.clone() else {
            return Vec::new();
        };
        let wait = Duration::from_millis(u64::from(wait_ms));
        let waiting = self.waits.ask(Asked::Inbox);
        let taken = on_main(&self.io, async move { inbox.take(max as usize, wait).await }).await;
        drop(waiting);
        let taken = taken.unwrap_or_default();
        taken
            .into_iter()
            .map(|r| inbox::Request {
                id: r.id,
                received: r.received,
                method: r.method,
                path: r.path,
                headers: r.headers,
                body: r.body.to_vec(),
            })
            .collect()
    }

    async fn refuse(&mut self, id: u64, status: u16, message: String) {
        if let Some(inbox) = &self.grants.inbox {
            inbox.refuse(id, status, &message);
        }
    }
}
