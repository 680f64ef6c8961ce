//! One task of a source over its lives.

use std::sync::Arc;

use tokio::sync::watch;

use super::prepare::Prepared;
use super::restart::{Restarts, failed};
use crate::pipeline::{Ended, Stop};
use crate::telemetry::{Kind, TaskState};

/// Runs a task until it is done, stopped or failed for good.
pub(super) async fn supervise(
    prepared: Arc<Prepared>,
    source: usize,
    task: u32,
    mut stop: Stop,
    until_done: Option<watch::Receiver<bool>>,
) -> Result<Ended, String> {
    let Some(config) = prepared.plan.config.sources.get(source) else { return Ok(Ended::Finished) };
    let name = config.connector.name.as_str();
    let metrics = prepared.telemetry.connector(name, Kind::Source, task);
    let mut restarts = Restarts::new(u64::from(task));
    loop {
        restarts.starting(&metrics);
        let life =
            async { prepared.source_task(source, task, stop.clone(), until_done.clone())?.run(prepared.log.as_ref()).await };
        match life.await {
            Ok(ended) => {
                let state = if ended == Ended::Finished { TaskState::Finished } else { TaskState::Stopped };
                metrics.state(state, None);
                return Ok(ended);
            }
            Err(error) => {
                if let Err(reason) = restarts.after(error, name, &metrics, &mut stop).await {
                    failed(name, task, &reason, &metrics);
                    return Err(reason);
                }
            }
        }
        if stop.is_requested() {
            metrics.state(TaskState::Stopped, None);
            return Ok(Ended::Drained);
        }
    }
}
