//! What an instance of a connector's component is given: its configuration, and what it may reach with which credentials.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::StartError;
use super::plan::Plan;
use crate::capability::sql::SqlError;
use crate::config::Connector;
use crate::guest::{Component, Context, Grants};
use crate::telemetry::ConnectorMetrics;

impl Plan {
    /// The first connector of the plan with all that its component is given, for running it without a log. Requests that senders
    /// bring (`inbox`) are not among it.
    ///
    /// # Errors
    /// [`StartError::Config`] for a plan without connectors, or a connection that cannot be used.
    pub fn first(&self) -> Result<(Component, Grants, Context), StartError> {
        let loaded = self.sources.iter().chain(&self.sinks).next();
        let (Some(connector), Some(loaded)) = (self.config.connectors().next(), loaded) else {
            return Err(StartError::Config("there is no connector".to_owned()));
        };
        let grants = self.grants(connector, 0, Arc::default()).map_err(|e| StartError::Config(e.to_string()))?;
        Ok((loaded.component.clone(), grants, Context { tasks: 1, ..context(connector, 0) }))
    }

    /// What a task may reach, but for an inbox.
    pub(super) fn grants(&self, connector: &Connector, task: u32, metrics: Arc<ConnectorMetrics>) -> Result<Grants, SqlError> {
        let mut sql = BTreeMap::new();
        for name in &connector.allow.sql {
            sql.insert(name.clone(), Arc::new(tokio::sync::Mutex::new(self.connections.session(name)?)));
        }
        Ok(Grants {
            connector: connector.name.clone(),
            task,
            http: self.http.get(&connector.name).cloned(),
            sql,
            folders: connector.allow.files.clone(),
            inbox: None,
            limits: connector.guest.clone(),
            metrics,
        })
    }
}

pub(super) fn context(connector: &Connector, task: u32) -> Context {
    Context { name: connector.name.clone(), task, tasks: connector.tasks, config: connector.config.to_string() }
}
