//! A call of the log that takes long is shown while it lasts: the log itself tries again, for as long as its timeouts say.

use std::future::Future;
use std::time::Duration;

use crate::telemetry::{ConnectorMetrics, TaskState};

/// A confirmation takes milliseconds.
pub(super) const LONG: Duration = Duration::from_secs(5);

/// The answer of a call. What it means for the task's state is the caller's.
pub(super) async fn shown<T>(metrics: &ConnectorMetrics, long: Duration, call: impl Future<Output = T>) -> T {
    tokio::pin!(call);
    // Cancel-safe: `call` is polled again below, the other branch only waits.
    tokio::select! {
        answer = &mut call => return answer,
        () = tokio::time::sleep(long) => {}
    }
    let reason = format!("the topic log has not confirmed within {long:?}, and is waited for");
    metrics.state(TaskState::Retrying, Some(reason));
    call.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_source_is_retrying_while_the_log_does_not_confirm() {
        let metrics = ConnectorMetrics::default();
        metrics.state(TaskState::Running, None);
        let long = Duration::from_millis(20);
        shown(&metrics, long, async {}).await;
        assert_eq!(metrics.task_state(), TaskState::Running, "what comes at once is not shown");
        let (answer, answered) = tokio::sync::oneshot::channel();
        let seen = async {
            while metrics.task_state() != TaskState::Retrying {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            answer.send(7).unwrap();
        };
        let both = async { tokio::join!(shown(&metrics, long, answered), seen) };
        let (value, ()) = tokio::time::timeout(Duration::from_secs(10), both).await.expect("it is never shown");
        assert_eq!(value, Ok(7));
        metrics.committed_now();
        assert_eq!(metrics.task_state(), TaskState::Running);
    }
}
