//! One task of a source as the owner of its positions: taking over, and appending. Two owners are told apart by the claims in
//! the positions topic: who was fenced by a newer one stands by instead of fighting, until that one gives up or falls silent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::claim::{Turn, newer, stamp_after};
use self::writing::{Way, Writer};
use super::admin::Identity;
use super::append::Appender;
use super::client::blocking;
use super::memory::Kept;
use super::positions::{self, Stamp, Stored};
use super::transaction::Transactions;
use super::{SESSION, Shared};
use crate::batch::Batch;
use crate::topic_log::{LogError, Position, Refused, SourceLog, SourceOwner};

mod beat;
mod claim;
pub(super) mod kept;
mod writing;

/// Waits for a new topic to be known everywhere: tries, and between them.
const TRIES: u32 = 50;
const LOOK: Duration = Duration::from_millis(100);

/// What this process has done so far for each source. Its tasks take turns in taking over.
#[derive(Debug, Default)]
pub(super) struct Sources(Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<Turn>>>>);

impl Sources {
    fn of(&self, owner: &SourceOwner) -> Arc<tokio::sync::Mutex<Turn>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(format!("{}.{}", owner.deployment, owner.source)).or_default())
    }
}

pub(super) struct Owner {
    writer: Arc<Writer>,
    positions: Vec<Position>,
    /// Why this is the owner no longer, once it is known.
    lost: watch::Receiver<Option<LogError>>,
    #[expect(dead_code, reason = "held: the beats end with the owner")]
    beats: JoinSet<()>,
}

impl Owner {
    /// Order matters: all ids are inited (which aborts what predecessors left open) before any position is read.
    pub(super) async fn take_over(shared: &Arc<Shared>, owner: &SourceOwner) -> Result<Self, LogError> {
        let log = shared.id().await?;
        let topic = settle_topic(shared, owner, &log).await?;
        shared.positions_stay.get_or_try_init(|| check_policy(shared, owner)).await?;
        let session = session(shared, owner);
        // Also by one who stands by: it must not make the topic anew, once that and the owner are gone.
        let kept = || topic.clone().map(|id| Kept { log: log.clone(), topic: positions::topic(&owner.deployment), id });
        let turn = shared.sources.of(owner);
        let mut turn = turn.lock().await;
        if let Some(stamp) = turn.stamp.clone() {
            let found = read(shared, names(owner), &log).await?;
            if let Some(claim) = newer(owner, &stamp, &found) {
                remember(shared, owner, kept()).await?;
                turn.stand_by(owner, claim, (found.last, session))?;
            }
        }
        let first = turn.stamp.is_none();
        let own = if owner.exactly_once { Some(init_all(shared, owner, first).await?) } else { None };
        let mut found = read(shared, names(owner), &log).await?;
        let stamp = match turn.stamp.clone() {
            Some(stamp) => Stamp { topic: topic.clone(), ..stamp },
            None => stamp_after(shared, (&log, topic.clone()), &found),
        };
        let removed: Vec<u32> = found.claims.keys().copied().filter(|task| *task >= owner.tasks).collect();
        if first && owner.exactly_once && !removed.is_empty() {
            for task in &removed {
                drop(init(shared, owner, *task).await?);
            }
            // They may have written since.
            found = read(shared, names(owner), &log).await?;
        }
        // From here on a later call knows that this process has been here.
        turn.stamp = Some(stamp.clone());
        if let Some(claim) = newer(owner, &stamp, &found) {
            remember(shared, owner, kept()).await?;
            turn.stand_by(owner, claim, (found.last, session))?;
        }
        if !found.foreign.is_empty() {
            let slices = found.foreign.join(", ");
            tracing::warn!(source = owner.source, slices, "positions of another cluster are not used; these slices begin anew");
        }
        let way = own.map_or_else(
            || {
                let name = transactional_id(owner, owner.task);
                Way::AtLeastOnce(Appender::new(
                    shared.properties.clone(),
                    owner.properties.clone(),
                    name,
                    Arc::clone(&shared.lifelines),
                ))
            },
            |own| Way::Once(Arc::new(own)),
        );
        let writer = Arc::new(Writer::new(Arc::clone(shared), owner.clone(), stamp, way));
        writer.claim(&removed).await?;
        // What was read and the claim are of the same topic.
        writer.kept().await?;
        remember(shared, owner, kept()).await?;
        drop(turn);
        let (tell, lost) = watch::channel(None);
        let mut beats = JoinSet::new();
        beats.spawn(beat::beat(Arc::clone(&writer), session, tell));
        Ok(Self { writer, positions: found.positions, lost, beats })
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.writer.close();
    }
}

/// Of its deployment and its own.
fn names(owner: &SourceOwner) -> (&str, &str) {
    (&owner.deployment, &owner.source)
}

async fn remember(shared: &Shared, owner: &SourceOwner, kept: Option<Kept>) -> Result<(), LogError> {
    let (memory, source) = (Arc::clone(&shared.memory), owner.source.clone());
    blocking(move || memory.keep(&source, kept.as_ref())).await
}

fn transactional_id(owner: &SourceOwner, task: u32) -> String {
    format!("wharf.{}.{}.{task}", owner.deployment, owner.source)
}

/// How long an owner may be silent before another takes over: `session.timeout.ms`, as for members of a group.
fn session(shared: &Shared, owner: &SourceOwner) -> Duration {
    let config = shared.properties.consumer("", &owner.properties);
    config.get("session.timeout.ms").and_then(|millis| millis.parse().ok()).map_or(SESSION, Duration::from_millis)
}

/// The id of the topic to go on in, where it is known. It is made where the source has not lost one.
async fn settle_topic(shared: &Arc<Shared>, owner: &SourceOwner, log: &str) -> Result<Option<String>, LogError> {
    let known = kept::check(shared, names(owner), log).await?;
    ensure_topic(shared, owner).await?;
    if known.is_some() { Ok(known) } else { kept::check(shared, names(owner), log).await }
}

async fn ensure_topic(shared: &Shared, owner: &SourceOwner) -> Result<(), LogError> {
    let topic = positions::topic(&owner.deployment);
    let mut created = false;
    for _ in 0..TRIES {
        let (admin, name) = (Arc::clone(&shared.admin), topic.clone());
        let there = blocking(move || {
            let partitions = admin.partitions(&name)?.is_some_and(|partitions| !partitions.is_empty());
            Ok(partitions && admin.identity(&name)? != Identity::Missing)
        });
        if there.await? {
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

/// A topic that forgets by age forgets positions of sources that have nothing new, and those would begin anew in silence.
async fn check_policy(shared: &Shared, owner: &SourceOwner) -> Result<(), LogError> {
    let topic = positions::topic(&owner.deployment);
    match shared.admin.cleanup_policy(&topic).await? {
        Some(policy) if policy == "compact" => Ok(()),
        Some(policy) => Err(LogError::Fatal(format!(
            "topic `{topic}` has cleanup.policy={policy}: positions in it would expire, and sources would read everything again. Set \
             cleanup.policy=compact (`kafka-configs.sh --alter --topic {topic} --add-config cleanup.policy=compact`), then start \
             again. What has expired by now is read again, unless `wharf offsets set` puts the source where it was"
        ))),
        None => {
            tracing::warn!(
                topic,
                "this user may not read the topic's configuration: see to it that cleanup.policy is compact, or positions expire"
            );
            Ok(())
        }
    }
}

async fn read(shared: &Arc<Shared>, (deployment, source): (&str, &str), log: &str) -> Result<Stored, LogError> {
    let (shared, deployment, source, log) = (Arc::clone(shared), deployment.to_owned(), source.to_owned(), log.to_owned());
    blocking(move || positions::read(&shared.admin, &shared.properties, &deployment, &source, &log)).await
}

async fn init(shared: &Arc<Shared>, owner: &SourceOwner, task: u32) -> Result<Transactions, LogError> {
    let (shared, owner) = (Arc::clone(shared), owner.clone());
    let id = transactional_id(&owner, task);
    blocking(move || Transactions::init(&shared.properties, &owner.properties, &id, &shared.lifelines)).await
}

/// The own id, on the first time those of all tasks too: a transaction that a killed predecessor left open holds every reader
/// back until it times out.
async fn init_all(shared: &Arc<Shared>, owner: &SourceOwner, first: bool) -> Result<Transactions, LogError> {
    if first {
        for task in (0..owner.tasks).filter(|task| *task != owner.task) {
            drop(init(shared, owner, task).await?);
        }
    }
    init(shared, owner, owner.task).await
}

#[async_trait]
impl SourceLog for Owner {
    fn positions(&self) -> &[Position] {
        &self.positions
    }

    async fn append(&mut self, records: &Arc<Batch>, positions: &[Position]) -> Result<Vec<Refused>, LogError> {
        // What the beats found out: a source that always has something to append must not wait for a rest to hear it.
        if let Some(error) = self.lost.borrow().clone() {
            return Err(error);
        }
        match self.writer.append(records, positions).await {
            // The topic of positions may be what is missing.
            Err(error @ (LogError::Retry(_) | LogError::Fatal(_))) => match self.writer.kept().await {
                Err(gone @ LogError::Fatal(_)) => Err(gone),
                _ => Err(error),
            },
            answer => answer,
        }
    }

    async fn lost(&mut self) -> LogError {
        match self.lost.wait_for(Option::is_some).await.ok().and_then(|lost| lost.clone()) {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    async fn release(&mut self) -> Result<(), LogError> {
        self.writer.release().await
    }
}
