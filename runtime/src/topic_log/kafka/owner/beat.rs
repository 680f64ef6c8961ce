//! Signs of life of an owner: its claim, written again when it has written nothing for a while, so that one that stands by can
//! tell an idle owner from one that is gone. It also finds out that another took over when there is nothing to append, and that
//! the topic of positions is another one by now, also while there is much to append.

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
        tokio::time::sleep(interval.saturating_sub(writer.quiet())).await;
        match sign(&writer, interval).await {
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

/// False once the claim was given back.
async fn sign(writer: &Writer, interval: Duration) -> Result<bool, LogError> {
    // Before anything is written: a claim may have the broker make the topic anew.
    writer.kept().await?;
    if writer.quiet() < interval { Ok(true) } else { writer.beat().await }
}
