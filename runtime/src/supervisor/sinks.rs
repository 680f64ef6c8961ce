//! One sink over its lives: a consumer and its lanes, one task a lane. A task that cannot go on by itself ends the life of the
//! whole sink, as its lanes share the consumer; the next life begins at the committed offsets.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::prepare::Prepared;
use super::restart::{Restarts, failed};
use crate::pipeline::{Ended, Stop, TaskError};
use crate::retry::seed;
use crate::telemetry::{ConnectorMetrics, Kind, TaskState};

/// Runs a sink until it is done, stopped or failed for good.
pub(super) async fn supervise(
    prepared: Arc<Prepared>,
    sink: usize,
    mut stop: Stop,
    upstream: Option<watch::Receiver<bool>>,
) -> Result<Ended, String> {
    let Some(config) = prepared.plan.config.sinks.get(sink) else { return Ok(Ended::Finished) };
    let (name, tasks) = (config.connector.name.as_str(), config.connector.tasks);
    let metrics: Vec<_> = (0..tasks).map(|task| prepared.telemetry.connector(name, Kind::Sink, task)).collect();
    let mut restarts = Restarts::new(seed(name, 0));
    loop {
        restarts.starting(&metrics);
        match live(&prepared, sink, &stop, upstream.as_ref()).await {
            Ok(Ended::Finished) => return finished(name, &metrics),
            Ok(Ended::Drained) => {
                metrics.iter().for_each(|m| m.state(TaskState::Stopped, None));
                return Ok(Ended::Drained);
            }
            Err(error) => {
                if let Err(reason) = restarts.after(error, name, &metrics, &mut stop).await {
                    (0..tasks).zip(&metrics).for_each(|(task, metrics)| failed(name, task, &reason, metrics));
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

/// Every lane has read what flows. What stands still is not done: that is no good end for its task.
fn finished(name: &str, metrics: &[Arc<ConnectorMetrics>]) -> Result<Ended, String> {
    let mut ended = Ok(Ended::Finished);
    for (task, metrics) in (0u32..).zip(metrics) {
        let stopped = metrics.stopped_partitions();
        if stopped.is_empty() {
            metrics.state(TaskState::Finished, None);
            continue;
        }
        let reason = format!("all else is delivered, but: {}", stopped.join("; "));
        failed(name, task, &reason, metrics);
        ended = Err(reason);
    }
    ended
}

/// One life: joins the group, runs every lane, and ends all of them when one cannot go on.
async fn live(
    prepared: &Arc<Prepared>,
    sink: usize,
    stop: &Stop,
    upstream: Option<&watch::Receiver<bool>>,
) -> Result<Ended, TaskError> {
    let spec = prepared.sink_spec(sink)?;
    let lanes = prepared.log.sink(&spec).await?;
    let (stop_lanes, lane_stop) = Stop::new();
    let mut tasks = JoinSet::new();
    for (task, mut lane) in (0u32..).zip(lanes) {
        let work = prepared.sink_task(sink, task, lane_stop.clone(), upstream.cloned())?;
        let prepared = Arc::clone(prepared);
        tasks.spawn(async move { work.run(prepared.log.as_ref(), lane.as_mut()).await });
    }
    let mut stop = stop.clone();
    let mut ended = Ok(Ended::Finished);
    loop {
        // Cancel-safe: `join_next` loses no task when the other branch wins.
        let joined = tokio::select! {
            joined = tasks.join_next() => joined,
            () = stop.requested(), if !*stop_lanes.borrow() => {
                stop_lanes.send_replace(true);
                continue;
            }
        };
        let result = match joined {
            None => return ended,
            Some(Ok(result)) => result,
            Some(Err(panicked)) => Err(TaskError::Died(format!("a task panicked: {panicked}"))),
        };
        match result {
            Ok(Ended::Drained) if ended.is_ok() => ended = Ok(Ended::Drained),
            Ok(_) => {}
            Err(error) => {
                stop_lanes.send_replace(true);
                if ended.is_ok() {
                    ended = Err(error);
                }
            }
        }
    }
}
