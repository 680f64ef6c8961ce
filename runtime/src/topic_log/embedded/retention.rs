//! What a topic's limits let go: whole chunks, oldest first, per partition. Age counts from the append.

use rusqlite::{Connection, OptionalExtension, Row};

use super::catalog::{Limits, Topic};
use super::fault::Fault;
use super::fetch::place;
use super::writer::Tx;

/// Chunks removed from one partition in one transaction.
const AT_ONCE: usize = 16;
/// Pages given back to the file system at once, and how many free ones there must be (8 KiB each).
const PAGES: i64 = 1024;

struct Chunk {
    first: i64,
    next: i64,
    bytes: i64,
    appended_at: i64,
}

impl Limits {
    /// There is a limit at all.
    pub(super) const fn removes(&self) -> bool {
        self.retention_ms.is_some() || self.retention_bytes.is_some()
    }

    fn lets_go(&self, chunk: &Chunk, total: i64, now: i64) -> bool {
        let old = self.retention_ms.is_some_and(|ms| chunk.appended_at < now.saturating_sub(ms));
        // As Kafka does: what stays is never less than the limit.
        old || self.retention_bytes.is_some_and(|bytes| total - chunk.bytes >= bytes)
    }
}

/// All partitions of a topic; true: there is more to remove.
pub(super) fn sweep(tx: &Tx<'_>, topic: &Topic) -> Result<bool, Fault> {
    let mut more = false;
    for partition in &topic.partitions {
        let removed = enforce(tx, &topic.limits, partition.stream)?;
        if removed > 0 {
            tx.touch(&topic.name);
        }
        more |= removed == AT_ONCE;
    }
    Ok(more)
}

/// Removes chunks of one partition, some at once; answers how many.
pub(super) fn enforce(tx: &Tx<'_>, limits: &Limits, stream: i64) -> Result<usize, Fault> {
    if !limits.removes() {
        return Ok(0);
    }
    let mut total = tx.db.prepare_cached("SELECT coalesce(sum(bytes), 0) FROM chunks WHERE stream = ?1")?;
    let mut total: i64 = total.query_row([stream], |row| row.get(0))?;
    for removed in 0..AT_ONCE {
        let Some(chunk) = oldest(tx.db, stream)?.filter(|chunk| limits.lets_go(chunk, total, tx.now)) else { return Ok(removed) };
        total -= chunk.bytes;
        remove(tx.db, stream, &chunk)?;
    }
    Ok(AT_ONCE)
}

fn oldest(db: &Connection, stream: i64) -> Result<Option<Chunk>, Fault> {
    let mut oldest =
        db.prepare_cached("SELECT first, next, bytes, appended_at FROM chunks WHERE stream = ?1 ORDER BY first LIMIT 1")?;
    let columns =
        |row: &Row<'_>| Ok(Chunk { first: row.get(0)?, next: row.get(1)?, bytes: row.get(2)?, appended_at: row.get(3)? });
    Ok(oldest.query_row([stream], columns).optional()?)
}

fn remove(db: &Connection, stream: i64, chunk: &Chunk) -> Result<(), Fault> {
    let mut records = db.prepare_cached("DELETE FROM records WHERE place >= ?1 AND place < ?2")?;
    records.execute((place(stream, chunk.first)?, place(stream, chunk.next)?))?;
    db.prepare_cached("DELETE FROM chunks WHERE stream = ?1 AND first = ?2")?.execute((stream, chunk.first))?;
    db.prepare_cached("UPDATE partitions SET low = ?2 WHERE stream = ?1")?.execute((stream, chunk.next))?;
    Ok(())
}

/// Shrinks the file by some pages where many are free; new records use the others.
pub(super) fn give_back(db: &Connection) -> rusqlite::Result<()> {
    let free: i64 = db.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    if free < 4 * PAGES {
        return Ok(());
    }
    let mut vacuum = db.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}
