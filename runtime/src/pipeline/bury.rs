//! Dead letters of a sink: written and confirmed before anything is committed.

use std::time::{Instant, SystemTime};

use crate::batch::Batch;
use crate::fault_point::{self, Phase};
use crate::pipeline::TaskError;
use crate::pipeline::deliver::{Burial, Delivery, Piece};
use crate::pipeline::sink::Running;
use crate::pipeline::slow::{LONG, shown};
use crate::telemetry::TaskState;
use crate::topic_log::LogError;

impl Running<'_> {
    /// Writes dead letters and waits until they are confirmed; a failed write stops here, it never drops one (invariant 2).
    pub(super) async fn bury(&mut self, delivery: &Delivery, piece: &mut Piece, burials: Vec<Burial>) -> Result<(), TaskError> {
        let fresh: Vec<_> = burials.into_iter().filter(|b| !piece.settled.buried.contains(&b.input)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        // What was delivered before counts in the window by which the sink may stop here.
        self.commit_confirmed().await?;
        let mut letters = Batch::default();
        let inputs: Vec<_> = delivery.input.records().collect();
        for Burial { input, stage, rejection } in &fresh {
            if let Some(record) = inputs.get(*input) {
                self.task.dead.push(&mut letters, record, *stage, rejection)?;
            }
        }
        self.task.dead.check(piece.input_count().saturating_sub(fresh.len()), fresh.len())?;
        let mut backoff = self.new_backoff();
        loop {
            match shown(&self.task.grants.metrics, LONG, self.log.append(&letters)).await {
                Ok(refused) if refused.is_empty() => break,
                // The others were written.
                Ok(refused) => {
                    let mut again = Batch::default();
                    self.task.dead.again(&mut again, &letters, &refused)?;
                    letters = again;
                }
                Err(LogError::Retry(message)) => {
                    let Some(wait) = backoff.next(Instant::now(), None) else {
                        return Err(TaskError::Restart(format!(
                            "dead letters could not be written, nothing is committed: {message}"
                        )));
                    };
                    self.task.grants.metrics.retried(1);
                    let told = backoff.told(&format!("writing dead letters: {message}"), wait, SystemTime::now());
                    self.task.grants.metrics.state(TaskState::Retrying, Some(told));
                    if self.task.stop.sleep(wait).await {
                        return Err(TaskError::Restart(format!("stopped while dead letters could not be written: {message}")));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        fault_point::pass(Phase::Buried, fresh.len());
        self.task.dead.confirmed(&self.task.grants.metrics);
        piece.settled.buried.extend(fresh.iter().map(|b| b.input));
        Ok(())
    }
}
