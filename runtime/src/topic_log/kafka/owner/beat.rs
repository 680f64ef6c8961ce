//! Signs of life of an owner: its claim, written again when it has written nothing for a while, so that one that stands by can
//! tell an idle owner from one that is gone. It also finds out that another took over when there is nothing to append.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::writing::Writer;
use crate::topic_log::LogError;

/// Beats in a session: one may come late, another fail.
const BEATS: u32 = 4;

/// Runs until the owner is dropped, has given the source up, or has lost it: that is told once.
pub(super) async fn beat(writer: Arc<Writer>, session: Duration, lost: watch::Sender<Option<LogError>>) {
    let interval = session / BEATS;
    loop {
        let quiet = writer.quiet();
        if quiet < interval {
            tokio::time::sleep(interval.saturating_sub(quiet)).await;
            continue;
        }
        match writer.beat().await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error @ (LogError::Fenced(_) | LogError::Fatal(_))) => {
                drop(lost.send_replace(Some(error)));
                return;
            }
            // What stands between this and Kafka is told by the next append.
            Err(error) => {
                tracing::debug!(%error, "no sign of life could be given");
                tokio::time::sleep(interval).await;
            }
        }
    }
}
