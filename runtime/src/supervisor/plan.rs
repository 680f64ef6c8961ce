//! What can be known of a deployment without reaching anything: components loaded and fitting, connections and hosts well
//! formed, inboxes where they belong. `check` ends here; `run` goes on from it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::components::{Bundle, Components};
use super::{Misfit, StartError, fit};
use crate::capability::http::{ClientOptions, HttpAccess, SharedClients};
use crate::capability::inbox::Intake;
use crate::capability::sql::{Connections, SqlError};
use crate::config::{Config, Connector, TransformStep};
use crate::guest::{Component, ComponentKind, Guests};

/// A deployment that could run.
#[derive(Debug)]
pub struct Plan {
    pub config: Config,
    pub(super) sources: Vec<Loaded>,
    pub(super) sinks: Vec<Loaded>,
    /// By connector, for those that were granted hosts: its tasks share a remote account's pauses.
    pub(super) http: BTreeMap<String, HttpAccess>,
    pub(super) connections: Connections,
    /// By source, where it listens.
    pub(super) intakes: BTreeMap<String, Arc<Intake>>,
}

/// The components of one connector: its own and those of its Wasm transforms, by index of the step.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) component: Component,
    pub(super) transforms: BTreeMap<usize, Component>,
}

impl Loaded {
    fn misfits(&self, config: &Config, connector: &Connector) -> Vec<Misfit> {
        let mut found = fit::connector(config, connector, &self.component);
        found.extend(self.transforms.iter().flat_map(|(index, component)| fit::step(connector, *index, component)));
        found
    }
}

impl Plan {
    /// Loads every component and checks each section against it. Compiled components are kept in `component_cache`.
    /// Must be called inside the main tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] with everything that does not fit, or the first component that cannot be used.
    pub async fn new(config: Config, bundle: Bundle, component_cache: &Path) -> Result<Self, StartError> {
        let guests = Guests::new(component_cache).map_err(|e| StartError::Config(e.to_string()))?;
        let mut components = Components::new(Arc::new(guests), bundle);
        let (mut sources, mut sinks, mut misfits) = (Vec::new(), Vec::new(), Vec::new());
        for source in &config.sources {
            let loaded = load(&mut components, &source.connector, ComponentKind::Source).await?;
            misfits.extend(loaded.misfits(&config, &source.connector));
            sources.push(loaded);
        }
        for sink in &config.sinks {
            let loaded = load(&mut components, &sink.connector, ComponentKind::Sink).await?;
            misfits.extend(loaded.misfits(&config, &sink.connector));
            sinks.push(loaded);
        }
        if !misfits.is_empty() {
            return Err(StartError::Misfits(misfits));
        }
        let connections =
            Connections::new(&config.connections, &config.base_dir).map_err(|e| StartError::Config(e.to_string()))?;
        let (http, intakes) = (http(&config)?, intakes(&config, &sources)?);
        Ok(Self { config, sources, sinks, http, connections, intakes })
    }

    /// What can run, and would do so badly.
    #[must_use]
    pub fn doubtful(&self) -> Vec<Misfit> {
        let sources = self.config.sources.iter().map(|source| &source.connector).zip(&self.sources);
        let sinks = self.config.sinks.iter().map(|sink| &sink.connector).zip(&self.sinks);
        sources.chain(sinks).flat_map(|(connector, loaded)| fit::doubtful(&self.config, connector, &loaded.component)).collect()
    }

    /// Connects to a `[connection.NAME]`; answers what is there in one line.
    ///
    /// # Errors
    /// [`SqlError`] with what did not work.
    pub async fn probe(&self, connection: &str) -> Result<String, SqlError> {
        self.connections.probe(connection).await
    }
}

async fn load(components: &mut Components, connector: &Connector, kind: ComponentKind) -> Result<Loaded, StartError> {
    let component = components.get(&connector.name, &connector.component, kind).await?;
    let mut transforms = BTreeMap::new();
    for (index, step) in connector.transforms.iter().enumerate() {
        if let TransformStep::Component { component, .. } = &step.step {
            transforms.insert(index, components.get(&connector.name, component, ComponentKind::Transform).await?);
        }
    }
    Ok(Loaded { component, transforms })
}

/// HTTP access of every connector that was granted hosts, over pools that all share.
fn http(config: &Config) -> Result<BTreeMap<String, HttpAccess>, StartError> {
    let clients = SharedClients::new(&ClientOptions::default()).map_err(|e| StartError::Config(e.to_string()))?;
    let connectors = config.connectors().filter(|c| !c.allow.http.is_empty());
    let access = connectors.map(|c| {
        let access = HttpAccess::new(&clients, &c.name, &c.allow.http, &c.auth);
        Ok((c.name.clone(), access.map_err(|e| StartError::Config(format!("`{}`: {e}", c.name)))?))
    });
    access.collect()
}

fn intakes(config: &Config, loaded: &[Loaded]) -> Result<BTreeMap<String, Arc<Intake>>, StartError> {
    let mut intakes = BTreeMap::new();
    for (source, loaded) in config.sources.iter().zip(loaded) {
        let name = &source.connector.name;
        match (&source.listen, loaded.component.wants("inbox")) {
            (Some(_), true) if config.listen.is_none() => {
                return Err(StartError::Config(format!("`{name}` listens on a path, but there is no [listen] with an address")));
            }
            (Some(_), true) => {
                intakes.insert(name.clone(), Arc::new(Intake::new(source.connector.tasks)));
            }
            (None, true) => {
                return Err(StartError::Config(format!("`{name}` takes requests: give it a path under [source.listen]")));
            }
            (Some(_), false) => {
                return Err(StartError::Config(format!(
                    "`{name}` has [source.listen], but its component does not take requests"
                )));
            }
            (None, false) => {}
        }
    }
    Ok(intakes)
}
