//! Where a sink keeps its offsets, as its section and its component's manifest say. Reaches nothing outside.

use std::path::Path;
use std::sync::Arc;

use super::StartError;
use super::components::{Bundle, Components};
use super::prepare::exactly_once;
use crate::config::{Config, SinkConfig};
use crate::guest::{ComponentKind, Guests};

/// The connection whose database keeps a sink's offsets beside its rows; `None`: the log's group keeps them.
///
/// # Errors
/// [`StartError`] where the component cannot be used, or where it is not clear which connection is meant.
pub async fn database_of(
    config: &Config,
    sink: &SinkConfig,
    bundle: Bundle,
    component_cache: &Path,
) -> Result<Option<String>, StartError> {
    let connector = &sink.connector;
    if sink.exactly_once == Some(false) || (sink.exactly_once.is_none() && connector.allow.sql.is_empty()) {
        return Ok(None);
    }
    let guests = Guests::new(component_cache).map_err(|e| StartError::Config(e.to_string()))?;
    let mut components = Components::new(Arc::new(guests), bundle);
    let component = components.get(&connector.name, &connector.component, ComponentKind::Sink).await?;
    if !exactly_once(sink, &component) {
        return Ok(None);
    }
    match connector.allow.sql.as_slice() {
        [name] if config.connections.contains_key(name) => Ok(Some(name.clone())),
        _ => Err(StartError::Config(format!(
            "`{}` keeps its offsets in the one connection under `allow.sql`: list exactly one, or set `exactly-once = false`",
            connector.name
        ))),
    }
}
