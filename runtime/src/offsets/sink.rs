//! Offsets of one sink. For an exactly-once sink the rows of its database count, and the log's group, which follows them best
//! effort, is changed first: Kafka refuses that while somebody reads, and then nothing has moved.

use std::path::Path;
use std::sync::Arc;

use super::OffsetsError;
use crate::capability::sql::{Connections, OffsetScope, Session, SqlError};
use crate::config::{Config, LogConfig, SinkConfig};
use crate::supervisor::{Bundle, database_of};
use crate::topic_log::places::{OffsetChange, StoredOffset};
use crate::topic_log::{Mark, Start, TopicLog, TopicPartition, Wanted, group_of};

/// Where the offset that counts is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// In Kafka's group of this name.
    Group(String),
    EmbeddedLog,
    /// In `_wharf_offsets` of the database of this connection.
    Database(String),
}

impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Group(name) => write!(f, "Kafka's group {name}"),
            Self::EmbeddedLog => f.write_str("the embedded log"),
            Self::Database(connection) => write!(f, "_wharf_offsets of connection {connection}"),
        }
    }
}

/// One partition that the sink reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionOffset {
    pub partition: TopicPartition,
    pub topic_id: String,
    /// First offset kept, and the next to be written.
    pub low: i64,
    pub high: i64,
    /// As the log's group has it.
    pub group: StoredOffset,
    /// As the sink's database has it, for an exactly-once sink.
    pub database: Option<StoredOffset>,
}

impl PartitionOffset {
    /// Where the sink goes on; `None`: where its `start` says, or nowhere ([`PartitionOffset::is_lost`]).
    #[must_use]
    pub fn next(&self) -> Option<i64> {
        let group = self.group.own.filter(|_| !self.is_lost());
        self.database.as_ref().and_then(|stored| stored.own).or(group)
    }

    /// The database had its offset, which the group only followed, and has it no longer: the sink stops this partition.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.database.as_ref().is_some_and(|stored| stored.own.is_none()) && self.group.mark == Mark::Followed
    }

    /// Records between the place and the end.
    #[must_use]
    pub fn lag(&self) -> Option<i64> {
        self.next().map(|next| (self.high - next).max(0))
    }
}

/// Where to put offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    Offset(i64),
    Place(Start),
    /// Where the group stands in the log: what an exactly-once sink's database is to take over.
    Group,
    /// `start` of the configuration decides.
    Forgotten,
}

/// One partition's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    pub partition: TopicPartition,
    pub topic_id: String,
    pub from: Option<i64>,
    pub to: Option<i64>,
}

/// The offsets of one sink.
pub struct SinkOffsets {
    log: Arc<dyn TopicLog>,
    scope: OffsetScope,
    topics: Wanted,
    kept: Kept,
    database: Option<Session>,
}

impl std::fmt::Debug for SinkOffsets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SinkOffsets").field("scope", &self.scope).field("kept", &self.kept).finish_non_exhaustive()
    }
}

impl SinkOffsets {
    /// Finds out where the sink's offsets are kept. `log` as it was opened for looking or for writing.
    ///
    /// # Errors
    /// [`OffsetsError`] where the log does not answer or the sink's section cannot work.
    pub async fn open(
        log: Arc<dyn TopicLog>,
        config: &Config,
        sink: &SinkConfig,
        bundle: Bundle,
        component_cache: &Path,
    ) -> Result<Self, OffsetsError> {
        let group = group_of(&config.name, &sink.connector.name);
        let connection = database_of(sink, bundle, component_cache).await?;
        let (kept, database) = match connection {
            Some(name) => {
                let only = config.connections.iter().filter(|(known, _)| **known == name);
                let only = only.map(|(name, connection)| (name.clone(), connection.clone())).collect();
                let session = Connections::new(&only, &config.base_dir)?.session(&name)?;
                (Kept::Database(name), Some(session))
            }
            None if matches!(config.log, LogConfig::Kafka { .. }) => (Kept::Group(group.clone()), None),
            None => (Kept::EmbeddedLog, None),
        };
        let topics = Wanted::of_sink(&sink.topics, &config.name, sink.connector.dead_letter.topic.as_deref())?;
        let scope = OffsetScope { log_id: log.id().await?, group };
        Ok(Self { log, scope, topics, kept, database })
    }

    #[must_use]
    pub const fn kept(&self) -> &Kept {
        &self.kept
    }

    /// The group's name.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.scope.group
    }

    /// Who reads just now.
    ///
    /// # Errors
    /// [`OffsetsError::Log`]
    pub async fn members(&self) -> Result<Vec<String>, OffsetsError> {
        Ok(self.log.members(&self.scope.group).await?)
    }

    /// Every partition of the topics that the sink takes, in order.
    ///
    /// # Errors
    /// [`OffsetsError`] where the log or the database does not answer.
    pub async fn list(&mut self) -> Result<Vec<PartitionOffset>, OffsetsError> {
        let mut found = Vec::new();
        for topic in self.log.topics().await? {
            if !self.topics.takes(&topic.name) {
                continue;
            }
            let name: Arc<str> = topic.name.as_str().into();
            found.extend(topic.partitions.iter().map(|p| PartitionOffset {
                partition: TopicPartition { topic: Arc::clone(&name), partition: p.partition },
                topic_id: topic.id.clone(),
                low: p.low,
                high: p.high,
                group: StoredOffset::default(),
                database: None,
            }));
        }
        let asked: Vec<_> = found.iter().map(|p| (p.partition.clone(), p.topic_id.clone())).collect();
        let group = self.log.group_offsets(&self.scope.group, &asked).await?;
        found.iter_mut().zip(group).for_each(|(partition, stored)| partition.group = stored);
        if let Some(session) = &mut self.database {
            let stored = session.stored_offsets(&self.scope, &asked).await?;
            found.iter_mut().zip(stored).for_each(|(partition, stored)| partition.database = Some(stored));
        }
        Ok(found)
    }

    /// What a change would do to these partitions.
    ///
    /// # Errors
    /// [`OffsetsError::Refused`] for an offset that the partition does not hold, or one number for several partitions.
    pub async fn plan(&self, partitions: &[PartitionOffset], to: To) -> Result<Vec<Move>, OffsetsError> {
        let places: Vec<_> = partitions.iter().map(|p| p.partition.clone()).collect();
        let targets: Vec<Option<i64>> = match (to, partitions) {
            (To::Forgotten, _) => vec![None; partitions.len()],
            (To::Group, _) if self.database.is_none() => {
                return Err(OffsetsError::Refused(format!(
                    "the offsets of this sink are kept in {} and nowhere else: it stands where its group stands, and `group` changes \
                     nothing. It is for exactly-once sinks, whose offsets are kept in a database",
                    self.kept
                )));
            }
            (To::Group, _) => {
                let own = |p: &PartitionOffset| {
                    let none = || OffsetsError::Refused(format!("the group has no offset of {} to go by", p.partition));
                    p.group.own.map(Some).ok_or_else(none)
                };
                partitions.iter().map(own).collect::<Result<_, _>>()?
            }
            (To::Place(start), _) => self.log.offsets_at(&places, start).await?.into_iter().map(Some).collect(),
            (To::Offset(offset), [one]) => {
                if !(one.low..=one.high).contains(&offset) {
                    return Err(OffsetsError::Refused(format!(
                        "{} holds offsets {} to {}, and {offset} is not among them ({} is the next one to be written)",
                        one.partition,
                        one.low,
                        one.high - 1,
                        one.high
                    )));
                }
                vec![Some(offset)]
            }
            (To::Offset(_), _) => {
                return Err(OffsetsError::Refused(format!(
                    "an offset means another record in each of {} partitions: name one by --topic and --partition, or give \
                     earliest, latest or a time",
                    partitions.len()
                )));
            }
        };
        let moves = partitions.iter().zip(targets).map(|(p, to)| Move {
            partition: p.partition.clone(),
            topic_id: p.topic_id.clone(),
            from: p.next(),
            to,
        });
        Ok(moves.collect())
    }

    /// Does what was planned.
    ///
    /// # Errors
    /// [`OffsetsError::Log`] where the group is in use: nothing moved. [`OffsetsError::Half`] where only the group moved.
    pub async fn change(&mut self, moves: &[Move]) -> Result<(), OffsetsError> {
        let change = |m: &Move| OffsetChange { partition: m.partition.clone(), topic_id: m.topic_id.clone(), next: m.to };
        let changes: Vec<_> = moves.iter().map(change).collect();
        self.log.move_group(&self.scope.group, &changes).await?;
        let Some(session) = &mut self.database else { return Ok(()) };
        session.change_offsets(&self.scope, &changes).await.map_err(|error: SqlError| {
            OffsetsError::Half(format!(
                "{error}. The group's offsets in the log have moved, those in the database, which count, have not: run the same \
                 command again"
            ))
        })
    }
}
