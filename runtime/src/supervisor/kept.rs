//! Where a sink keeps its offsets, as its section and its component's manifest say. Reaches nothing outside.

use std::path::Path;
use std::sync::Arc;

use super::StartError;
use super::components::{Bundle, Components};
use crate::config::SinkConfig;
use crate::guest::{Component, ComponentKind, Guests};

/// The connection whose database keeps a sink's offsets beside its rows; `None`: the log's group keeps them.
///
/// # Errors
/// [`StartError`] where the component cannot be used, or where it is not clear which connection is meant.
pub async fn database_of(sink: &SinkConfig, bundle: Bundle, component_cache: &Path) -> Result<Option<String>, StartError> {
    let connector = &sink.connector;
    if !asks_for_once(sink) {
        return Ok(None);
    }
    let guests = Guests::new(component_cache).map_err(|e| StartError::Config(e.to_string()))?;
    let mut components = Components::new(Arc::new(guests), bundle);
    let component = components.get(&connector.name, &connector.component, ComponentKind::Sink).await?;
    if !exactly_once(sink, &component) {
        return Ok(None);
    }
    offsets_connection(sink).map(|name| Some(name.to_owned())).map_err(StartError::Config)
}

/// Whether a sink's offsets live in the database it writes to: the default for one that writes through `sql` alone.
pub(super) fn exactly_once(sink: &SinkConfig, component: &Component) -> bool {
    can_be_exactly_once(component) && asks_for_once(sink)
}

/// One that asks for HTTP too delivers to a service, which no transaction of a database holds: what it keeps in a database has to
/// be durable when its call returns, and not when its offsets are.
pub(super) fn can_be_exactly_once(component: &Component) -> bool {
    component.wants("sql") && !component.wants("http")
}

/// What its section says; the component has to be able to.
fn asks_for_once(sink: &SinkConfig) -> bool {
    sink.exactly_once.unwrap_or(!sink.connector.allow.sql.is_empty())
}

/// The one connection where rows and offsets of an exactly-once sink move together.
pub(super) fn offsets_connection(sink: &SinkConfig) -> Result<&str, String> {
    match sink.connector.allow.sql.as_slice() {
        [name] => Ok(name),
        _ => Err(format!(
            "`{}` is exactly once and keeps its offsets in the one connection under `allow.sql`: list exactly one, or set \
             `exactly-once = false`",
            sink.connector.name
        )),
    }
}
