//! What a transaction of a source hands to the log: its records after the transforms, and the dead letters of the others.

use crate::batch::Batch;
use crate::dead_letter::{OVERSIZE, Stage};
use crate::outcome::Rejection;
use crate::pipeline::source::{Outgoing, SourceTask};
use crate::pipeline::transaction::Transaction;
use crate::pipeline::{Tally, TaskError};
use crate::retry::Backoff;
use crate::topic_log::{LogError, Refused, TopicLog};
use crate::transform::Applied;

impl SourceTask {
    /// Raw rejects become dead letters, the rest goes through the transforms.
    pub(super) async fn prepare(&mut self, transaction: Transaction, topics: &dyn TopicLog) -> Result<Outgoing, TaskError> {
        let Transaction { records, rejects, .. } = transaction;
        let read = records.len();
        let mut dead = Batch::default();
        let mut is_raw = vec![false; read];
        let raw: Vec<_> = if rejects.is_empty() { Vec::new() } else { records.records().collect() };
        for (index, rejection) in &rejects {
            let index = *index as usize;
            if let (Some(record), Some(flag)) = (raw.get(index), is_raw.get_mut(index)) {
                self.dead.push(&mut dead, record, Stage::TaskPoll, rejection)?;
                *flag = true;
            }
        }
        let kept = if rejects.is_empty() { records } else { records.select(|i| !is_raw.get(i).copied().unwrap_or(false)) };
        let count = kept.len();
        let (kept, applied) = if self.chain.passes(&kept) {
            (Batch::default(), Applied::unchanged(kept))
        } else {
            let applied = self.chain.apply(kept.clone()).await?;
            (kept, applied)
        };
        let originals: Vec<_> = if applied.rejects.is_empty() { Vec::new() } else { kept.records().collect() };
        for reject in &applied.rejects {
            if let Some(record) = originals.get(reject.index as usize) {
                self.dead.push(&mut dead, record, reject.stage, &reject.rejection)?;
            }
        }
        let raw = dead.len() - applied.rejects.len();
        let rejected = applied.rejects.iter().map(|r| r.index);
        let mut tally = Tally::of(count, &applied.origin, rejected);
        tally += Tally { read: raw as u64, dead_lettered: raw as u64, ..Tally::default() };
        let outgoing = self.without_oversize(applied.records, &mut dead, &mut tally)?;
        let mut outgoing = self.without_unknown_topics(outgoing, topics, &mut dead, &mut tally).await?;
        dead.records().for_each(|letter| outgoing.push(&letter));
        Ok(Outgoing { records: outgoing, tally })
    }

    /// A record larger than the log takes becomes a dead letter here, with a clear reason.
    fn without_oversize(&self, records: Batch, dead: &mut Batch, tally: &mut Tally) -> Result<Batch, TaskError> {
        let limit = self.config.connector.max_record_bytes;
        if records.data.len() <= limit {
            return Ok(records);
        }
        let large = records.sizes().enumerate().filter(|(_, size)| *size > limit);
        let refused: Vec<Refused> = large
            .map(|(index, size)| Refused {
                index,
                code: OVERSIZE,
                reason: format!("{size} bytes, `max-record-bytes` is {limit}"),
            })
            .collect();
        self.bury(records, &refused, dead, tally)
    }

    /// A record that names a topic which is not there becomes a dead letter: it, and only it, is at fault.
    async fn without_unknown_topics(
        &mut self,
        records: Batch,
        topics: &dyn TopicLog,
        dead: &mut Batch,
        tally: &mut Tally,
    ) -> Result<Batch, TaskError> {
        let mut backoff = Backoff::of(&self.config.connector, self.owner.task);
        let refused = loop {
            match self.destinations.refused(&records, topics).await {
                Err(LogError::Retry(message)) => self.wait_for_log(message, &mut backoff).await?,
                answer => {
                    self.grants.metrics.recovered();
                    break answer?;
                }
            }
        };
        self.bury(records, &refused, dead, tally)
    }

    /// Turns refused records into dead letters and answers the others.
    pub(super) fn bury(
        &self,
        records: Batch,
        refused: &[Refused],
        dead: &mut Batch,
        tally: &mut Tally,
    ) -> Result<Batch, TaskError> {
        if refused.is_empty() {
            return Ok(records);
        }
        let all: Vec<_> = records.records().collect();
        for Refused { index, code, reason } in refused {
            if let Some(record) = all.get(*index) {
                let rejection = Rejection::new(*code, reason.clone());
                self.dead.push(dead, record, Stage::KafkaProduce, &rejection)?;
                *tally = tally.refused(1);
            }
        }
        Ok(records.select(|i| refused.iter().all(|r| r.index != i)))
    }
}
