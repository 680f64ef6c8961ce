//! Runs a deployment: prepares, starts every connector, restarts what may pass, drains on request. Owns the tasks; moves no record.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::Config;
use crate::listen::{ListenError, Listener};
use crate::pipeline::{Ended, Stop};
use crate::telemetry::Telemetry;
use crate::topic_log::LogError;

mod components;
mod fit;
mod given;
mod kept;
mod look;
mod plan;
mod prepare;
mod restart;
mod sinks;
mod sources;
mod state_dir;
mod topics;

pub use components::{Bundle, Components, Unusable};
pub use fit::{Misfit, Section, manifest, section};
pub use kept::database_of;
pub use plan::Plan;
pub use prepare::Prepared;
pub use state_dir::StateDir;
pub use topics::{missing as missing_topics, partitions as sink_partitions};

/// How to run.
#[derive(Debug)]
pub struct Options {
    /// End when there is nothing more to do. The value says whether senders to webhooks have sent all they have.
    pub until_done: Option<watch::Receiver<bool>>,
    /// Turns true when the process is asked to stop (SIGTERM, Ctrl-C).
    pub stop: watch::Receiver<bool>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Stopped on request and drained, or done, and no connector had failed.
    Clean,
    /// Stopped on request, but not all was confirmed within the deadline: it comes again at the next start.
    DrainDeadline,
    /// Some connectors failed, the others are done or drained.
    SomeFailed,
    /// Every connector failed.
    AllFailed,
}

/// Why a run did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot work: exit code 2.
    #[error("{0}")]
    Config(String),
    /// Sections that do not fit their components: exit code 2.
    #[error("{}", .0.iter().map(|m| format!("`{}`{}: {}", m.connector, m.pointer, m.message)).collect::<Vec<_>>().join("\n"))]
    Misfits(Vec<Misfit>),
    #[error(transparent)]
    Component(#[from] Unusable),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("state-dir: {0}")]
    State(String),
    #[error("topic log: {0}")]
    Log(#[from] LogError),
}

/// Runs a deployment until it is done, stopped, or failed as a whole. Must be called inside the main tokio runtime.
///
/// # Errors
/// [`StartError`] when nothing was started.
pub async fn run(config: Config, bundle: Bundle, telemetry: &Arc<Telemetry>, options: Options) -> Result<Outcome, StartError> {
    let state =
        StateDir::lock(&config.state_dir).map_err(|text| StartError::State(format!("{text}, or set another `state-dir`")))?;
    let plan = Plan::new(config, bundle, &state.component_cache()).await?;
    let mut prepared = Prepared::new(plan, Arc::clone(telemetry))?;
    // Listens before the log is there, so that `/ready` can say no meanwhile.
    let listener = Listener::start(
        prepared.plan.config.listen.as_ref(),
        &prepared.plan.config.state_dir,
        prepared.routes(),
        Arc::clone(telemetry),
    )
    .await?;
    let mut stop = options.stop.clone();
    // Cancel-safe: nothing was started yet.
    let connected = tokio::select! {
        connected = prepared.connect() => connected.map(|()| true),
        () = requested(&mut stop) => {
            telemetry.draining();
            Ok(false)
        }
    };
    let outcome = match connected {
        Ok(true) => {
            let config = &prepared.plan.config;
            let address = config.listen.as_ref().map(|listen| listen.address.as_str());
            tracing::info!(
                deployment = config.name,
                sources = config.sources.len(),
                sinks = config.sinks.len(),
                address,
                "running"
            );
            Ok(supervise(Arc::new(prepared), options).await)
        }
        Ok(false) => Ok(Outcome::Clean),
        Err(error) => Err(error.into()),
    };
    listener.shutdown().await;
    drop(state);
    outcome
}

/// Starts all connectors and waits for them.
async fn supervise(prepared: Arc<Prepared>, mut options: Options) -> Outcome {
    let (stop_tasks, stop) = Stop::new();
    let (all_read, upstream) = watch::channel(false);
    let mut sources = JoinSet::new();
    for (index, source) in prepared.plan.config.sources.iter().enumerate() {
        for task in 0..source.connector.tasks {
            sources.spawn(sources::supervise(Arc::clone(&prepared), index, task, stop.clone(), options.until_done.clone()));
        }
    }
    let mut sinks = JoinSet::new();
    for index in 0..prepared.plan.config.sinks.len() {
        let upstream = options.until_done.as_ref().map(|_| upstream.clone());
        sinks.spawn(sinks::supervise(Arc::clone(&prepared), index, stop.clone(), upstream));
    }
    let total = sources.len() + sinks.len();
    let (log, telemetry) = (Arc::clone(&prepared.log), Arc::clone(&prepared.telemetry));
    // Ends with this function.
    let mut looking = JoinSet::new();
    looking.spawn(async move { look::look(log.as_ref(), &telemetry).await });
    let failed = {
        let ending = async {
            let mut failed = join(&mut sources).await;
            all_read.send_replace(true);
            failed += join(&mut sinks).await;
            failed
        };
        tokio::pin!(ending);
        // Cancel-safe: `ending` is polled again below, the other branch only waits.
        tokio::select! {
            failed = &mut ending => Some(failed),
            () = requested(&mut options.stop) => {
                tracing::info!("draining");
                prepared.telemetry.draining();
                prepared.close_intakes();
                stop_tasks.send_replace(true);
                tokio::time::timeout(prepared.plan.config.drain_timeout, &mut ending).await.ok()
            }
        }
    };
    stop_tasks.send_replace(true);
    looking.shutdown().await;
    sources.shutdown().await;
    sinks.shutdown().await;
    prepared.telemetry.abandoned("not drained in time: what was in flight comes again at the next start");
    match failed {
        None => Outcome::DrainDeadline,
        Some(0) => Outcome::Clean,
        Some(failed) if failed == total => Outcome::AllFailed,
        Some(_) => Outcome::SomeFailed,
    }
}

/// Waits for tasks; answers how many failed.
async fn join(tasks: &mut JoinSet<Result<Ended, String>>) -> usize {
    let mut failed = 0;
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => failed += 1,
            Err(error) => {
                tracing::error!(%error, "a connector's task panicked");
                failed += 1;
            }
        }
    }
    failed
}

async fn requested(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Pause between two looks at something that is not there yet.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
