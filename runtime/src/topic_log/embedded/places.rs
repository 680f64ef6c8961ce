//! Stored places of the embedded log, for whoever holds the state-dir or only looks.

use async_trait::async_trait;
use rusqlite::{Connection, Row};

use super::fault::Fault;
use super::{EmbeddedLog, fetch, owner};
use crate::topic_log::places::{Foreign, OffsetChange, Places, StoredOffset, StoredPositions};
use crate::topic_log::{LogError, Mark, Start, TopicPartition};

fn stored(db: &Connection, group: &str, at: &TopicPartition, topic_id: &str) -> Result<StoredOffset, Fault> {
    let of = "FROM offsets WHERE grp = ?1 AND topic = ?2 AND partition = ?3";
    // A file of version 1 that nobody has opened for writing yet has no marks.
    let with_marks = db.prepare_cached(&format!("SELECT topic_id, next, mark {of}"));
    let mut all = with_marks.or_else(|_| db.prepare_cached(&format!("SELECT topic_id, next, '' {of}")))?;
    let columns = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?));
    let mut found = StoredOffset::default();
    for row in all.query_map((group, &*at.topic, at.partition), columns)? {
        let (id, next, word) = row?;
        if id == topic_id {
            (found.own, found.mark) = (Some(next), Mark::of(&word));
        } else {
            found.others.push((Foreign::Topic(id), next));
        }
    }
    Ok(found)
}

#[async_trait]
impl Places for EmbeddedLog {
    async fn members(&self, group: &str) -> Result<Vec<String>, LogError> {
        Ok(self.shared.groups.is_joined(group).then(|| "this process".to_owned()).into_iter().collect())
    }

    async fn group_offsets(&self, group: &str, of: &[(TopicPartition, String)]) -> Result<Vec<StoredOffset>, LogError> {
        let (group, of) = (group.to_owned(), of.to_vec());
        self.shared.readers.run(move |db| of.iter().map(|(at, id)| stored(db, &group, at, id)).collect()).await
    }

    async fn move_group(&self, group: &str, changes: &[OffsetChange]) -> Result<(), LogError> {
        if self.shared.groups.is_joined(group) {
            return Err(LogError::Fatal(format!("group `{group}` is in use by this process: stop the sink first")));
        }
        let (group, changes) = (group.to_owned(), changes.to_vec());
        let work = move |tx: &super::writer::Tx<'_>| {
            let mut set = tx.db.prepare_cached("INSERT OR REPLACE INTO offsets VALUES (?1, ?2, ?3, ?4, ?5, '')")?;
            let mut forget =
                tx.db.prepare_cached("DELETE FROM offsets WHERE grp = ?1 AND topic = ?2 AND topic_id = ?3 AND partition = ?4")?;
            for OffsetChange { partition: at, topic_id, next } in &changes {
                match next {
                    Some(next) => set.execute((&group, &*at.topic, topic_id, at.partition, next))?,
                    None => forget.execute((&group, &*at.topic, topic_id, at.partition))?,
                };
            }
            Ok(())
        };
        self.shared.writer()?.run(work).await
    }

    async fn offsets_at(&self, partitions: &[TopicPartition], start: Start) -> Result<Vec<i64>, LogError> {
        self.shared.look_again().await?;
        let stream = |at: &TopicPartition| {
            let ends = self.shared.catalog.borrow().ends(at);
            ends.map(|p| p.stream).ok_or_else(|| LogError::Fatal(format!("there is no partition {at}")))
        };
        let streams = partitions.iter().map(stream).collect::<Result<Vec<_>, _>>()?;
        self.shared.readers.run(move |db| streams.into_iter().map(|s| fetch::resolve(db, s, start)).collect()).await
    }

    async fn positions(&self, deployment: &str, source: &str) -> Result<StoredPositions, LogError> {
        let (deployment, source) = (deployment.to_owned(), source.to_owned());
        let positions = self.shared.readers.run(move |db| owner::positions(db, &deployment, &source)).await?;
        Ok(StoredPositions { positions, foreign: Vec::new() })
    }
}
