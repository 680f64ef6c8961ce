//! A plan on its topic log: topics created, the log's identity known. Builds each task of the deployment.

use std::sync::Arc;

use tokio::sync::watch;

use super::given::context;
use super::kept::{exactly_once, offsets_connection};
use super::plan::{Loaded, Plan};
use super::{StartError, topics};
use crate::capability::inbox::Inbox;
use crate::capability::sql::OffsetScope;
use crate::config::{Config, Connector, SourceConfig, TransformConfig, TransformStep};
use crate::guest::Grants;
use crate::listen::Route;
use crate::pipeline::chain::{Chain, WasmStep};
use crate::pipeline::dead::Dead;
use crate::pipeline::destinations::Destinations;
use crate::pipeline::sink::SinkTask;
use crate::pipeline::source::SourceTask;
use crate::pipeline::stored::Offsets;
use crate::pipeline::{Stop, TaskError};
use crate::telemetry::{Kind, Telemetry};
use crate::topic_log::{LogError, SinkSpec, SourceOwner, TopicLog, open};

/// A deployment that is ready to run.
pub struct Prepared {
    pub plan: Plan,
    pub log: Arc<dyn TopicLog>,
    pub telemetry: Arc<Telemetry>,
    log_id: String,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("name", &self.plan.config.name).field("log_id", &self.log_id).finish_non_exhaustive()
    }
}

impl Prepared {
    pub(super) fn new(plan: Plan, telemetry: Arc<Telemetry>) -> Result<Self, StartError> {
        let log = open::open(&plan.config)?;
        announce(&plan.config, &telemetry);
        Ok(Self { plan, log, telemetry, log_id: String::new() })
    }

    /// Waits for the log, creates topics, and learns the log's identity.
    pub(super) async fn connect(&mut self) -> Result<(), LogError> {
        topics::create(&self.plan.config, self.log.as_ref(), &self.telemetry).await?;
        self.log_id = topics::identity(self.log.as_ref(), &self.telemetry).await?;
        self.telemetry.log_reached();
        Ok(())
    }

    /// The webhook paths.
    pub(super) fn routes(&self) -> Vec<Route> {
        let route = |source: &SourceConfig| {
            let intake = Arc::clone(self.plan.intakes.get(&source.connector.name)?);
            Some(Route { connector: source.connector.name.clone(), listen: source.listen.clone()?, intake })
        };
        self.plan.config.sources.iter().filter_map(route).collect()
    }

    /// Stopping: requests that no task has taken are to come again.
    pub(super) fn close_intakes(&self) {
        self.plan.intakes.values().for_each(|intake| intake.close());
    }

    /// A task of a source will take no more requests.
    pub(super) fn source_task_over(&self, source: &str) {
        if let Some(intake) = self.plan.intakes.get(source) {
            intake.task_over();
        }
    }

    pub(super) fn source_task(
        &self,
        index: usize,
        task: u32,
        stop: Stop,
        until_done: Option<watch::Receiver<bool>>,
    ) -> Result<SourceTask, TaskError> {
        let (config, loaded) = pair(&self.plan.config.sources, &self.plan.sources, index)?;
        let connector = &config.connector;
        let mut grants = self.grants(connector, Kind::Source, task)?;
        grants.inbox = self.plan.intakes.get(&connector.name).map(|intake| Arc::new(Inbox::new(intake)));
        let owner = SourceOwner::of(&self.plan.config.name, config, task);
        Ok(SourceTask {
            chain: chain(connector, loaded, &grants, Edge::Source)?,
            dead: Dead::new(&self.plan.config.name, connector, &loaded.component.description().name, task, grants.veil()),
            context: context(connector, task),
            destinations: Destinations::new(&config.topic),
            component: loaded.component.clone(),
            config: Arc::new(config.clone()),
            grants,
            owner,
            stop,
            until_done,
        })
    }

    pub(super) fn sink_spec(&self, index: usize) -> Result<SinkSpec, TaskError> {
        let (config, _) = pair(&self.plan.config.sinks, &self.plan.sinks, index)?;
        Ok(SinkSpec {
            deployment: self.plan.config.name.clone(),
            sink: config.connector.name.clone(),
            topics: config.topics.clone(),
            dead_letters: config.connector.dead_letter.topic.clone(),
            tasks: config.connector.tasks,
            start: config.start,
            properties: config.connector.kafka_properties(),
        })
    }

    pub(super) fn sink_task(
        &self,
        index: usize,
        task: u32,
        stop: Stop,
        until_done: Option<watch::Receiver<bool>>,
    ) -> Result<SinkTask, TaskError> {
        let (config, loaded) = pair(&self.plan.config.sinks, &self.plan.sinks, index)?;
        let connector = &config.connector;
        let grants = self.grants(connector, Kind::Sink, task)?;
        let offsets = if exactly_once(config, &loaded.component) { Some(self.offsets(index, &grants)?) } else { None };
        Ok(SinkTask {
            chain: chain(connector, loaded, &grants, Edge::Sink)?.of_group(self.sink_spec(index)?.group()),
            dead: Dead::new(&self.plan.config.name, connector, &loaded.component.description().name, task, grants.veil()),
            context: context(connector, task),
            component: loaded.component.clone(),
            config: Arc::new(config.clone()),
            grants,
            offsets,
            stop,
            until_done,
        })
    }

    fn offsets(&self, index: usize, grants: &Grants) -> Result<Offsets, TaskError> {
        let (config, _) = pair(&self.plan.config.sinks, &self.plan.sinks, index)?;
        let name = offsets_connection(config).map_err(TaskError::Failed)?;
        let session = grants.sql.get(name).ok_or_else(|| TaskError::Failed(format!("connection `{name}` was not opened")))?;
        let group = self.sink_spec(index)?.group();
        Ok(Offsets::new(Arc::clone(session), OffsetScope { log_id: self.log_id.clone(), group }))
    }

    fn grants(&self, connector: &Connector, kind: Kind, task: u32) -> Result<Grants, TaskError> {
        let metrics = self.telemetry.connector(&connector.name, kind, task);
        self.plan.grants(connector, task, metrics).map_err(|e| TaskError::Failed(e.to_string()))
    }
}

fn chain(connector: &Connector, loaded: &Loaded, grants: &Grants, edge: Edge) -> Result<Chain, TaskError> {
    let (decode, encode) = match edge {
        Edge::Source => (None, Some(connector.format)),
        Edge::Sink => (Some(connector.format), None),
    };
    Chain::new(decode, &connector.transforms, encode, |index, step| wasm_step(connector, loaded, grants, (index, step)))
}

/// On which side of a chain the format stands.
#[derive(Debug, Clone, Copy)]
enum Edge {
    Source,
    Sink,
}

/// A Wasm transform reaches nothing but the clock and the log.
fn wasm_step(
    connector: &Connector,
    loaded: &Loaded,
    grants: &Grants,
    (index, step): (usize, &TransformConfig),
) -> Result<WasmStep, TaskError> {
    let (TransformStep::Component { config, .. }, Some(component)) = (&step.step, loaded.transforms.get(&index)) else {
        return Err(TaskError::Failed(format!("transform {index} of `{}` was not loaded", connector.name)));
    };
    let mut context = context(connector, grants.task);
    context.config = config.to_string();
    let mut grants = grants.clone();
    (grants.http, grants.inbox) = (None, None);
    grants.sql.clear();
    grants.folders.clear();
    Ok(WasmStep { component: component.clone(), context, grants, when: step.when.clone(), guest: None })
}

fn pair<'a, A, B>(configs: &'a [A], loaded: &'a [B], index: usize) -> Result<(&'a A, &'a B), TaskError> {
    configs.get(index).zip(loaded.get(index)).ok_or_else(|| TaskError::Failed(format!("there is no connector {index}")))
}

/// Makes every task known before the first one starts: what has not come up yet is not ready.
fn announce(config: &Config, telemetry: &Telemetry) {
    let sources = config.sources.iter().map(|s| (&s.connector, Kind::Source));
    for (connector, kind) in sources.chain(config.sinks.iter().map(|s| (&s.connector, Kind::Sink))) {
        for task in 0..connector.tasks {
            telemetry.connector(&connector.name, kind, task);
        }
    }
}
