//! A look at the topic log from time to time, apart from all tasks: whether it answers, and where the partitions end that sinks
//! read. A task that waits for its target, or for the log itself, can tell neither.

use std::time::Duration;

use crate::telemetry::Telemetry;
use crate::topic_log::TopicLog;

/// Between two looks, and between those at a log that does not answer.
const EVERY: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_secs(1);

/// Runs until it is dropped.
pub(super) async fn look(log: &dyn TopicLog, telemetry: &Telemetry) {
    loop {
        let wait = match log.look(&telemetry.partitions()).await {
            Ok(ends) => {
                telemetry.ends(&ends);
                if let Some(away) = telemetry.log_reached() {
                    tracing::info!(seconds = away.as_secs(), "the topic log answers again");
                }
                EVERY
            }
            Err(error) => {
                let reason = error.to_string();
                if telemetry.log_awaited(&reason) {
                    tracing::warn!(reason, "the topic log does not answer");
                }
                AGAIN
            }
        };
        telemetry.tell_dead_letters();
        tokio::time::sleep(wait).await;
    }
}
