//! One task of a source over its lives.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::prepare::Prepared;
use super::restart::{Restarts, failed};
use crate::pipeline::{Ended, Stop, TaskError};
use crate::retry::seed;
use crate::telemetry::{Kind, TaskState};

/// Runs a task until it is done, stopped or failed for good.
pub(super) async fn supervise(
    prepared: Arc<Prepared>,
    source: usize,
    task: u32,
    stop: Stop,
    until_done: Option<watch::Receiver<bool>>,
) -> Result<Ended, String> {
    let ended = lives(&prepared, source, task, stop, until_done).await;
    if let Some(config) = prepared.plan.config.sources.get(source) {
        prepared.source_task_over(&config.connector.name);
    }
    ended
}

async fn lives(
    prepared: &Arc<Prepared>,
    source: usize,
    task: u32,
    mut stop: Stop,
    until_done: Option<watch::Receiver<bool>>,
) -> Result<Ended, String> {
    let Some(config) = prepared.plan.config.sources.get(source) else { return Ok(Ended::Finished) };
    let name = config.connector.name.as_str();
    let metrics = [prepared.telemetry.connector(name, Kind::Source, task)];
    let mut restarts = Restarts::new(seed(name, task));
    loop {
        restarts.starting(&metrics);
        match live(prepared, source, task, (&stop, until_done.as_ref())).await {
            Ok(ended) => {
                let state = if ended == Ended::Finished { TaskState::Finished } else { TaskState::Stopped };
                metrics.iter().for_each(|m| m.state(state, None));
                return Ok(ended);
            }
            Err(error) => {
                if let Err(reason) = restarts.after(error, name, &metrics, &mut stop).await {
                    metrics.iter().for_each(|metrics| failed(name, task, &reason, metrics));
                    return Err(reason);
                }
            }
        }
        if stop.is_requested() {
            restarts.stopped(name, &metrics);
            return Ok(Ended::Drained);
        }
    }
}

/// One life, in a task of its own: a panic ends this life only, and shows.
async fn live(
    prepared: &Arc<Prepared>,
    source: usize,
    task: u32,
    (stop, until_done): (&Stop, Option<&watch::Receiver<bool>>),
) -> Result<Ended, TaskError> {
    let work = prepared.source_task(source, task, stop.clone(), until_done.cloned())?;
    let prepared = Arc::clone(prepared);
    // Dropping the set ends the task.
    let mut life = JoinSet::new();
    life.spawn(async move { work.run(prepared.log.as_ref()).await });
    match life.join_next().await {
        Some(Ok(result)) => result,
        Some(Err(panicked)) => Err(TaskError::Died(format!("a task panicked: {panicked}"))),
        None => Ok(Ended::Drained),
    }
}
