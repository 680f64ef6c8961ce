//! Sending letters back: records and the memory of them in one transaction, at a rate.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::RedriveError;
use super::letter::Letter;
use super::memory::Memory;
use super::plan::{Held, Plan, Request};
use super::scan::Scan;
use crate::batch::{Batch, Header, Record};
use crate::dead_letter::headers::{ATTEMPT, REDRIVE_FOR};
use crate::topic_log::{LogError, SourceLog, SourceOwner, Start, TopicLog};

/// One transaction at most.
const RECORDS: usize = 1000;
const BYTES: usize = 4 << 20;

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    pub records: usize,
    /// Those that the log refused.
    pub refused: usize,
}

/// What a redrive would do now. Takes nothing over, so another one may run at the same time.
///
/// # Errors
/// [`RedriveError`] where the log does not answer.
pub async fn look(log: &dyn TopicLog, request: &Request) -> Result<Plan, RedriveError> {
    let Some((_, topic_id)) = Scan::open(log, &request.dead_letters, Start::Latest).await? else { return Ok(Plan::default()) };
    let stored = log.positions(&request.deployment, &super::owner_of(&request.connector)).await?;
    let memory = Memory::load(&request.dead_letters, &topic_id, &stored.positions)?;
    Plan::new(log, request, &memory).await
}

/// A redrive under way: the owner of its memory.
pub struct Redrive {
    owner: Box<dyn SourceLog>,
    memory: Memory,
    request: Request,
    pub plan: Plan,
}

impl std::fmt::Debug for Redrive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redrive").field("request", &self.request).field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Redrive {
    /// Takes the memory over, which fences an earlier redrive of this connector, and plans. `None`: no letter was ever written.
    ///
    /// # Errors
    /// [`RedriveError`] where the log does not answer.
    pub async fn begin(log: &dyn TopicLog, request: Request) -> Result<Option<Self>, RedriveError> {
        let Some((_, topic_id)) = Scan::open(log, &request.dead_letters, Start::Latest).await? else { return Ok(None) };
        let owner = SourceOwner {
            deployment: request.deployment.clone(),
            source: super::owner_of(&request.connector),
            task: 0,
            tasks: 1,
            exactly_once: true,
            properties: [].into(),
        };
        let owner = log.source(&owner).await?;
        let memory = Memory::load(&request.dead_letters, &topic_id, owner.positions())?;
        let plan = Plan::new(log, &request, &memory).await?;
        Ok(Some(Self { owner, memory, request, plan }))
    }

    /// Sends what was planned, at most `rate` records a second; `told` hears the number sent so far.
    ///
    /// # Errors
    /// [`RedriveError`]: what was sent is remembered, and the next redrive goes on behind it.
    pub async fn send(
        &mut self,
        log: &dyn TopicLog,
        rate: Option<NonZeroU32>,
        mut told: impl FnMut(usize),
    ) -> Result<Sent, RedriveError> {
        let per_second = rate.map(|rate| rate.get() as usize);
        let chunk = per_second.map_or(RECORDS, |rate| rate.min(RECORDS));
        let mut sent = Sent::default();
        let mut due = Instant::now();
        let (mut batch, mut letters) = (Batch::default(), Vec::new());
        let found = Scan::open(log, &self.request.dead_letters, Start::Earliest).await?;
        let Some((mut scan, _)) = found else { return Ok(sent) };
        loop {
            let read = scan.next().await?;
            for record in read.iter().flat_map(Batch::records) {
                let place = (record.partition, record.offset);
                let Some(letter) = Letter::of(&record).filter(|_| self.plan.send.contains(&place)) else { continue };
                push(&mut batch, (&self.request, &self.plan), &letter);
                letters.push(place);
                if batch.len() >= chunk || batch.data.len() >= BYTES {
                    tokio::time::sleep_until(due).await;
                    due = Instant::now() + pause(per_second, batch.len());
                    self.append(&mut batch, &mut letters, &mut sent).await?;
                    told(sent.records);
                }
            }
            if read.is_none() {
                break;
            }
        }
        tokio::time::sleep_until(due).await;
        self.append(&mut batch, &mut letters, &mut sent).await?;
        told(sent.records);
        self.owner.release().await?;
        Ok(sent)
    }

    /// One transaction. Records that the log refuses stay behind, and the others go without them.
    async fn append(&mut self, batch: &mut Batch, letters: &mut Vec<(i32, i64)>, sent: &mut Sent) -> Result<(), RedriveError> {
        let mut batch = Arc::new(std::mem::take(batch));
        while !batch.is_empty() {
            let before = self.memory.clone();
            letters.iter().for_each(|(partition, offset)| self.memory.add(*partition, *offset));
            let positions = self.memory.take_changed()?;
            let refused = match self.owner.append(&batch, &positions).await {
                Ok(refused) => refused,
                Err(LogError::Fenced(_)) => {
                    let text = format!(
                        "another redrive of `{}` has taken over; {} records were sent",
                        self.request.connector, sent.records
                    );
                    return Err(RedriveError::Refused(text));
                }
                Err(error) => return Err(error.into()),
            };
            if refused.is_empty() {
                sent.records += batch.len();
                break;
            }
            self.memory = before;
            sent.refused += refused.len();
            *self.plan.held.entry(Held::Refused).or_default() += refused.len();
            let stays = |index: usize| refused.iter().all(|r| r.index != index);
            let mut index = 0;
            letters.retain(|_| {
                index += 1;
                stays(index - 1)
            });
            batch = Arc::new(batch.select(stays));
        }
        letters.clear();
        Ok(())
    }
}

fn pause(per_second: Option<usize>, records: usize) -> Duration {
    let Some(rate) = per_second else { return Duration::ZERO };
    Duration::from_micros(u64::try_from(records.saturating_mul(1_000_000) / rate.max(1)).unwrap_or(0))
}

/// The record as it was, with the number of its deaths and, in its own topic, the sink that it is for. In a topic that is compacted it
/// takes the place of the record that died, which other sinks may not have read: there it is for all.
fn push(batch: &mut Batch, (request, plan): (&Request, &Plan), letter: &Letter<'_>) {
    let attempt = letter.attempt.to_string();
    let mut headers: Vec<Header<'_>> = letter.own_headers().collect();
    headers.push((ATTEMPT.as_bytes(), Some(attempt.as_bytes())));
    let is_for_all = request.to.is_some() || plan.compacted.contains(request.target(letter));
    if let Some(group) = request.group().filter(|_| !is_for_all) {
        headers.push((REDRIVE_FOR.as_bytes(), Some(group.as_bytes())));
    }
    batch.push(&Record {
        topic: request.target(letter),
        partition: -1,
        offset: -1,
        timestamp: letter.timestamp,
        key: letter.record.key,
        value: letter.record.value,
        headers,
        attempt: 1,
    });
}
