//! Offsets that exactly-once sinks keep in the file.

use rusqlite::{Connection, OptionalExtension};

use super::fault::Fault;
use crate::capability::sql::keyless::keyless;
use crate::capability::sql::{OffsetMove, OffsetScope, claimed, place, tell_foreign};
use crate::topic_log::TopicPartition;
use crate::topic_log::places::{OffsetChange, StoredOffset};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS _wharf_offsets (log_id TEXT NOT NULL, consumer_group TEXT NOT NULL, topic TEXT NOT NULL, \
    topic_id TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT NULL, updated_at TEXT NOT NULL, \
    PRIMARY KEY (log_id, consumer_group, topic, topic_id, partition)) STRICT, WITHOUT ROWID";
const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%f000Z')";
const MATCHING: &str = "log_id = ?1 AND consumer_group = ?2 AND topic = ?3 AND topic_id = ?4 AND partition = ?5";

/// Whether the table is there, and whether an index makes its rows the only ones of their key.
const LOOK: &str = "SELECT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE name = '_wharf_offsets'), EXISTS (\
    SELECT 1 FROM pragma_index_list('_wharf_offsets', 'main') l WHERE l.\"unique\" AND NOT l.partial \
    AND (SELECT count(*) FROM pragma_index_info(l.name, 'main')) = 5 \
    AND (SELECT count(DISTINCT lower(i.name)) FROM pragma_index_info(l.name, 'main') i \
    WHERE lower(i.name) IN ('log_id', 'consumer_group', 'topic', 'topic_id', 'partition')) = 5)";
const DOUBLED: &str = "SELECT topic, partition, count(*) FROM _wharf_offsets WHERE consumer_group = ?1 \
    GROUP BY log_id, topic, topic_id, partition HAVING count(*) > 1 ORDER BY topic, partition LIMIT 1";

/// Whether the table is there.
///
/// # Errors
/// It is, and has no key.
fn find(db: &Connection, scope: &OffsetScope) -> Result<bool, Fault> {
    let (there, keyed): (bool, bool) = db.prepare_cached(LOOK)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if !there || keyed {
        return Ok(there);
    }
    let row = |row: &rusqlite::Row<'_>| {
        Ok((TopicPartition { topic: row.get::<_, String>(0)?.into(), partition: row.get(1)? }, row.get(2)?))
    };
    Err(keyless(scope, db.query_row(DOUBLED, [&scope.group], row).optional()?).into())
}

/// Makes the table unless it is there.
fn ensure(db: &Connection, scope: &OffsetScope) -> Result<(), Fault> {
    if !find(db, scope)? {
        db.execute_batch(TABLE)?;
    }
    Ok(())
}

pub(super) fn load(
    db: &Connection,
    scope: &OffsetScope,
    partitions: &[(TopicPartition, String)],
) -> Result<Vec<Option<i64>>, Fault> {
    if !find(db, scope)? {
        return Ok(vec![None; partitions.len()]);
    }
    let sql = format!("SELECT next_offset FROM _wharf_offsets WHERE {MATCHING}");
    let mut own = db.prepare_cached(&sql)?;
    let other = "SELECT log_id = ?1 FROM _wharf_offsets WHERE consumer_group = ?2 AND topic = ?3 AND partition = ?4 LIMIT 1";
    let mut other = db.prepare_cached(other)?;
    let mut found = Vec::with_capacity(partitions.len());
    for (at, topic_id) in partitions {
        let next =
            own.query_row((&scope.log_id, &scope.group, &*at.topic, topic_id, at.partition), |row| row.get(0)).optional()?;
        if next.is_none() {
            let other: Option<bool> =
                other.query_row((&scope.log_id, &scope.group, &*at.topic, at.partition), |row| row.get(0)).optional()?;
            if let Some(same_log) = other {
                tell_foreign(scope, at, same_log);
            }
        }
        found.push(next);
    }
    Ok(found)
}

pub(super) fn claim(
    db: &Connection,
    scope: &OffsetScope,
    (at, topic_id): (&TopicPartition, &str),
    next: i64,
) -> Result<(), Fault> {
    ensure(db, scope)?;
    let insert = format!("INSERT INTO _wharf_offsets VALUES (?1, ?2, ?3, ?4, ?5, ?6, {NOW}) ON CONFLICT DO NOTHING");
    let inserted = db.execute(&insert, (&scope.log_id, &scope.group, &*at.topic, topic_id, at.partition, next))?;
    if inserted == 1 {
        return Ok(());
    }
    let sql = format!("SELECT next_offset FROM _wharf_offsets WHERE {MATCHING}");
    let stored: i64 = db.query_row(&sql, (&scope.log_id, &scope.group, &*at.topic, topic_id, at.partition), |row| row.get(0))?;
    if stored == next { Ok(()) } else { Err(claimed(at, stored, next).into()) }
}

pub(super) fn advance(db: &Connection, scope: &OffsetScope, moves: &[OffsetMove]) -> Result<bool, Fault> {
    ensure(db, scope)?;
    let set = format!("UPDATE _wharf_offsets SET next_offset = ?6, updated_at = {NOW} WHERE {MATCHING} AND next_offset = ?7");
    // Outside the host's transaction this one undoes itself when not all could move.
    db.execute_batch("SAVEPOINT wharf_offsets")?;
    let moved = || -> Result<bool, rusqlite::Error> {
        let mut statement = db.prepare_cached(&set)?;
        for one in moves {
            let at = &one.partition;
            let key = (&scope.log_id, &scope.group, &*at.topic, &one.topic_id, at.partition, one.next, one.expected);
            if statement.execute(key)? != 1 {
                return Ok(false);
            }
        }
        Ok(true)
    };
    let all = moved();
    let undo = if matches!(all, Ok(true)) { "" } else { "ROLLBACK TO wharf_offsets; " };
    db.execute_batch(&format!("{undo}RELEASE wharf_offsets"))?;
    Ok(all?)
}

/// Everything that is stored for these partitions, also for other logs and earlier topics.
pub(super) fn stored(
    db: &Connection,
    scope: &OffsetScope,
    partitions: &[(TopicPartition, String)],
) -> Result<Vec<StoredOffset>, Fault> {
    if !find(db, scope)? {
        return Ok(vec![StoredOffset::default(); partitions.len()]);
    }
    let sql =
        "SELECT log_id, topic_id, next_offset FROM _wharf_offsets WHERE consumer_group = ?1 AND topic = ?2 AND partition = ?3";
    let mut all = db.prepare_cached(sql)?;
    let mut found = Vec::with_capacity(partitions.len());
    for (at, topic_id) in partitions {
        let mut stored = StoredOffset::default();
        let columns = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?));
        for row in all.query_map((&scope.group, &*at.topic, at.partition), columns)? {
            let (log_id, id, next) = row?;
            place(&mut stored, scope, topic_id, (log_id, id, next));
        }
        found.push(stored);
    }
    Ok(found)
}

/// Within the caller's transaction.
pub(super) fn change(db: &Connection, scope: &OffsetScope, changes: &[OffsetChange]) -> Result<(), Fault> {
    ensure(db, scope)?;
    let mut set = db.prepare_cached(&format!("INSERT OR REPLACE INTO _wharf_offsets VALUES (?1, ?2, ?3, ?4, ?5, ?6, {NOW})"))?;
    let mut forget = db.prepare_cached(&format!("DELETE FROM _wharf_offsets WHERE {MATCHING}"))?;
    for OffsetChange { partition: at, topic_id, next } in changes {
        match next {
            Some(next) => set.execute((&scope.log_id, &scope.group, &*at.topic, topic_id, at.partition, next))?,
            None => forget.execute((&scope.log_id, &scope.group, &*at.topic, topic_id, at.partition))?,
        };
    }
    Ok(())
}
