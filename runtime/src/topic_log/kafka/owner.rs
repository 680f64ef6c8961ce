//! One task of a source as the owner of its positions: taking over, and appending. Two owners are told apart by the claims in
//! the positions topic: who was fenced by a newer one stands by instead of fighting.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::Shared;
use super::append::Appender;
use super::client::blocking;
use super::positions::{self, Entry, Stamp, Stored};
use super::refused::refused;
use super::transaction::{Cargo, Transactions};
use crate::batch::{Batch, Record};
use crate::topic_log::{LogError, Position, Refused, SourceLog, SourceOwner};

/// Waits for a new topic to be known everywhere: tries, and between them.
const TRIES: u32 = 50;
const LOOK: Duration = Duration::from_millis(100);

/// What this process has done so far for each source. Its tasks take turns in taking over.
#[derive(Debug, Default)]
pub(super) struct Sources(Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<Option<Stamp>>>>>);

impl Sources {
    fn of(&self, owner: &SourceOwner) -> Arc<tokio::sync::Mutex<Option<Stamp>>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(format!("{}.{}", owner.deployment, owner.source)).or_default())
    }
}

/// How records leave.
enum Way {
    /// Records and positions in one transaction.
    Once(Arc<Transactions>),
    /// Positions after the records are acknowledged. Nobody is fenced.
    AtLeastOnce(Appender),
}

pub(super) struct Owner {
    shared: Arc<Shared>,
    identity: SourceOwner,
    stamp: Stamp,
    way: Way,
    positions: Vec<Position>,
}

fn transactional_id(owner: &SourceOwner, task: u32) -> String {
    format!("wharf.{}.{}.{task}", owner.deployment, owner.source)
}

impl Owner {
    /// Order matters: all ids are inited (which aborts what predecessors left open) before any position is read.
    pub(super) async fn take_over(shared: &Arc<Shared>, owner: &SourceOwner) -> Result<Self, LogError> {
        let log = shared.id().await?;
        ensure_topic(shared, owner).await?;
        let turn = shared.sources.of(owner);
        let mut turn = turn.lock().await;
        let first = turn.is_none();
        // A transaction that a killed predecessor left open holds every reader back until it times out: it is aborted first.
        let mut inited = None;
        if first && owner.exactly_once {
            for task in (0..owner.tasks).filter(|task| *task != owner.task) {
                drop(init(shared, owner, task).await?);
            }
            inited = Some(init(shared, owner, owner.task).await?);
        }
        let before = read(shared, owner, &log).await?;
        let stamp = match &*turn {
            Some(stamp) => {
                stand_by(owner, stamp, &before)?;
                stamp.clone()
            }
            None => first_stamp(shared, &log, &before),
        };
        // From here on a later call knows that this process has been here, even when it fails half-way.
        let removed: Vec<u32> = before.claims.keys().copied().filter(|task| *task >= owner.tasks).collect();
        let way = if owner.exactly_once {
            if first {
                for task in &removed {
                    drop(init(shared, owner, *task).await?);
                }
            }
            let own = match inited {
                Some(own) => own,
                None => init(shared, owner, owner.task).await?,
            };
            Way::Once(Arc::new(own))
        } else {
            let name = transactional_id(owner, owner.task);
            Way::AtLeastOnce(Appender::new(shared.properties.clone(), owner.properties.clone(), name))
        };
        *turn = Some(stamp.clone());
        let stored = read(shared, owner, &log).await?;
        stand_by(owner, &stamp, &stored)?;
        if !stored.foreign.is_empty() {
            let slices = stored.foreign.join(", ");
            tracing::warn!(source = owner.source, slices, "positions of another cluster are not used; these slices begin anew");
        }
        let this = Self { shared: Arc::clone(shared), identity: owner.clone(), stamp, way, positions: stored.positions };
        this.claim(&removed).await?;
        drop(turn);
        Ok(this)
    }

    /// Makes this owner known, and removed tasks forgotten.
    async fn claim(&self, removed: &[u32]) -> Result<(), LogError> {
        let mut entries = vec![positions::claim_entry(&self.identity, self.identity.task, Some(&self.stamp))?];
        for task in removed {
            entries.push(positions::claim_entry(&self.identity, *task, None)?);
        }
        let refused = self.write(&Batch::default(), entries).await?;
        match refused.first() {
            None => Ok(()),
            Some(refused) => Err(LogError::Fatal(format!("the claim of the source was refused: {}", refused.reason))),
        }
    }

    async fn write(&self, records: &Batch, entries: Vec<Entry>) -> Result<Vec<Refused>, LogError> {
        let topic = positions::topic(&self.identity.deployment);
        let transactions = match &self.way {
            Way::AtLeastOnce(appender) => return self.write_at_least_once(appender, records, &entries, &topic).await,
            Way::Once(transactions) => Arc::clone(transactions),
        };
        let waited_for = Arc::new(AtomicBool::new(true));
        let guard = Waited(Arc::clone(&waited_for));
        let batch = records.clone();
        let failures =
            blocking(move || transactions.run(&Cargo { records: &batch, topic: &topic, entries: &entries }, &waited_for)).await;
        drop(guard);
        let failures = failures?;
        if failures.is_empty() {
            return Ok(Vec::new());
        }
        if failures.iter().all(|f| f.index >= records.len()) {
            let code = failures.first().map(|f| f.code.to_string()).unwrap_or_default();
            return Err(LogError::Fatal(format!("positions cannot be written, nothing was: {code}")));
        }
        let refused = refused(&self.shared.admin, records, &failures).await?;
        if refused.is_empty() {
            return Err(super::append::not_written(records, &failures));
        }
        Ok(refused)
    }

    async fn write_at_least_once(
        &self,
        appender: &Appender,
        records: &Batch,
        entries: &[Entry],
        topic: &str,
    ) -> Result<Vec<Refused>, LogError> {
        let refused = appender.append(&self.shared.admin, records).await?;
        if !refused.is_empty() {
            return Ok(refused);
        }
        let mut batch = Batch::default();
        for (key, value) in entries {
            let (key, value) = (Some(key.as_slice()), value.as_deref());
            batch.push(&Record { topic, partition: 0, offset: -1, timestamp: -1, key, value, headers: Vec::new(), attempt: 1 });
        }
        match appender.append(&self.shared.admin, &batch).await?.first() {
            None => Ok(Vec::new()),
            Some(refused) => Err(LogError::Fatal(format!("a position cannot be written: {}", refused.reason))),
        }
    }
}

/// Set to false when the call that waits goes away.
struct Waited(Arc<AtomicBool>);

impl Drop for Waited {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Way::Once(transactions) = &self.way {
            transactions.close();
        }
    }
}

async fn ensure_topic(shared: &Shared, owner: &SourceOwner) -> Result<(), LogError> {
    let topic = positions::topic(&owner.deployment);
    let mut created = false;
    for _ in 0..TRIES {
        let (admin, name) = (Arc::clone(&shared.admin), topic.clone());
        if blocking(move || admin.partitions(&name)).await?.is_some_and(|partitions| !partitions.is_empty()) {
            return Ok(());
        }
        if !created {
            shared.admin.create(&[positions::spec(&owner.deployment)]).await?;
            created = true;
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(LogError::Retry(format!("topic `{topic}` was created, and is not there yet")))
}

async fn read(shared: &Arc<Shared>, owner: &SourceOwner, log: &str) -> Result<Stored, LogError> {
    let (shared, owner, log) = (Arc::clone(shared), owner.clone(), log.to_owned());
    blocking(move || positions::read(&shared.admin, &shared.properties, &owner.deployment, &owner.source, &log)).await
}

async fn init(shared: &Arc<Shared>, owner: &SourceOwner, task: u32) -> Result<Transactions, LogError> {
    let (shared, owner) = (Arc::clone(shared), owner.clone());
    blocking(move || Transactions::init(&shared.properties, &owner.properties, &transactional_id(&owner, task))).await
}

/// A start is always newer than what it finds, whatever the clocks say.
fn first_stamp(shared: &Shared, log: &str, found: &Stored) -> Stamp {
    let newest = found.claims.values().map(|claim| claim.epoch).max().unwrap_or(0);
    Stamp { log: log.to_owned(), worker: shared.worker.clone(), epoch: shared.started.max(newest.saturating_add(1)) }
}

/// A newer owner has claimed the task: leave it alone.
fn stand_by(owner: &SourceOwner, stamp: &Stamp, found: &Stored) -> Result<(), LogError> {
    let newer = |claim: &&Stamp| claim.log == stamp.log && claim.worker != stamp.worker && claim.epoch > stamp.epoch;
    match found.claims.get(&owner.task).filter(newer) {
        None => Ok(()),
        Some(claim) => Err(LogError::Retry(format!(
            "standing by: task {} of source `{}` was taken over by worker {}, started after this one. Stop one of the two; a \
             restart of this worker takes the source back",
            owner.task, owner.source, claim.worker
        ))),
    }
}

#[async_trait]
impl SourceLog for Owner {
    fn positions(&self) -> &[Position] {
        &self.positions
    }

    async fn append(&mut self, records: &Batch, positions: &[Position]) -> Result<Vec<Refused>, LogError> {
        let entries = positions.iter().map(|p| positions::position_entry(&self.identity, &self.stamp, p));
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        self.write(records, entries).await
    }
}
