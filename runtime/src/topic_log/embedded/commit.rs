//! Offsets that a group has committed in the embedded log, each with how it is meant.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};

use super::fault::Fault;
use super::lane::Lane;
use super::writer::Tx;
use crate::topic_log::mark::Mark;
use crate::topic_log::{LogError, TopicPartition};

#[derive(Debug, Clone, Copy)]
pub(super) struct Committed {
    pub(super) next: i64,
    pub(super) mark: Mark,
}

/// The committed offset of this very topic; one of an older topic of that name is never used, and that is said.
pub(super) fn committed(db: &Connection, group: &str, topic_id: &str, at: &TopicPartition) -> Result<Option<Committed>, Fault> {
    let mut own =
        db.prepare_cached("SELECT next, mark FROM offsets WHERE grp = ?1 AND topic = ?2 AND topic_id = ?3 AND partition = ?4")?;
    let row = |row: &Row<'_>| Ok(Committed { next: row.get(0)?, mark: Mark::of(&row.get::<_, String>(1)?) });
    let found = own.query_row((group, &*at.topic, topic_id, at.partition), row).optional()?;
    if found.is_none() {
        let mut other = db.prepare_cached("SELECT count(*) FROM offsets WHERE grp = ?1 AND topic = ?2 AND partition = ?3")?;
        let others: i64 = other.query_row((group, &*at.topic, at.partition), |row| row.get(0))?;
        if others > 0 {
            tracing::warn!(group, partition = %at, "the topic was created anew: the offset of the old one is not used");
        }
    }
    Ok(found)
}

impl Lane {
    /// Its place is behind the last record that was handed out.
    pub(super) async fn store_stopped(&mut self, at: &TopicPartition) -> Result<(), LogError> {
        let slot = self.slot(at)?;
        let offset = slot.delivered;
        if slot.stopped_at == Some(offset) {
            return Ok(());
        }
        self.store(&[(at.clone(), offset)], Mark::PastTheEnd).await?;
        self.slot(at)?.stopped_at = Some(offset);
        Ok(())
    }

    pub(super) async fn store(&mut self, offsets: &[(TopicPartition, i64)], mark: Mark) -> Result<(), LogError> {
        self.check_owned(offsets.iter().map(|(at, _)| at))?;
        let mut rows = Vec::with_capacity(offsets.len());
        for (at, next) in offsets {
            let slot = self.slot(at)?;
            // What was delivered before it stopped is committed after that: it is stopped all the same.
            let mark = if slot.stopped_at == Some(*next) { Mark::PastTheEnd } else { mark };
            rows.push((at.clone(), slot.topic_id.clone(), *next, mark));
        }
        let (group, join, groups) = (self.group.clone(), self.join, Arc::clone(&self.shared.groups));
        let work = move |tx: &Tx<'_>| {
            // Once more, in the order of writes: a newer join may have read its offsets since.
            if !groups.is_newest(&group, join) {
                return Err(LogError::NotOwner(rows.into_iter().map(|(at, ..)| at).collect()).into());
            }
            let mut upsert = tx.db.prepare_cached("INSERT OR REPLACE INTO offsets VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
            for (at, topic_id, next, mark) in &rows {
                upsert.execute((&group, &*at.topic, topic_id, at.partition, next, mark.word()))?;
            }
            Ok(())
        };
        self.shared.writer()?.run(work).await
    }
}
