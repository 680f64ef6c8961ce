//! Offsets that exactly-once sinks keep in the database.

use super::fault::Fault;
use super::schema;
use super::wire::Wire;
use crate::capability::sql::keyless::keyless;
use crate::capability::sql::{OffsetMove, OffsetScope, claimed, place, tell_foreign};
use crate::topic_log::TopicPartition;
use crate::topic_log::places::{OffsetChange, StoredOffset};

const DDL: &str = "CREATE TABLE _wharf_offsets (log_id text NOT NULL, consumer_group text NOT NULL, topic text NOT NULL, \
    topic_id text NOT NULL, partition int4 NOT NULL, next_offset int8 NOT NULL, updated_at timestamptz NOT NULL, \
    PRIMARY KEY (log_id, consumer_group, topic, topic_id, partition))";

/// Whether the table is there, and whether an index makes its rows the only ones of their key. One that is checked late or
/// that holds some rows only makes none the only one.
const LOOK: &str = "SELECT to_regclass('_wharf_offsets') IS NOT NULL, EXISTS (SELECT 1 FROM pg_catalog.pg_index i \
    WHERE i.indrelid = to_regclass('_wharf_offsets') AND i.indisunique AND i.indisvalid AND i.indimmediate \
    AND i.indpred IS NULL AND i.indnkeyatts = 5 AND (SELECT count(DISTINCT a.attname) FROM unnest(i.indkey) WITH ORDINALITY k (num, place) \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num \
    WHERE k.place <= 5 AND a.attname IN ('log_id', 'consumer_group', 'topic', 'topic_id', 'partition')) = 5)";
const DOUBLED: &str = "SELECT topic::text, partition::int4, count(*) FROM _wharf_offsets WHERE consumer_group = $1 \
    GROUP BY log_id, topic, topic_id, partition HAVING count(*) > 1 ORDER BY topic, partition LIMIT 1";

/// Makes the table unless it is there; the right to create is asked for only when it is missing.
async fn ensure(wire: &mut Wire, scope: &OffsetScope) -> Result<(), Fault> {
    if !wire.has_offsets && !find(wire, scope).await? {
        schema::change(wire, DDL).await?;
    }
    Ok(())
}

/// Whether the table is there, and whether it has a key.
async fn look(wire: &mut Wire) -> Result<(bool, bool), Fault> {
    let look = wire.prepare(LOOK).await?;
    let seen = wire.client.query_one(&look, &[]).await?;
    Ok((seen.try_get(0)?, seen.try_get(1)?))
}

/// Whether the table is there.
///
/// # Errors
/// It is, and has no key.
async fn find(wire: &mut Wire, scope: &OffsetScope) -> Result<bool, Fault> {
    let (mut there, mut keyed) = look(wire).await?;
    if there && !keyed {
        // `to_regclass` sees a table that another task has made since the statement began, whose index the statement does not see yet.
        (there, keyed) = look(wire).await?;
    }
    if there && !keyed {
        let row = wire.client.query_opt(DOUBLED, &[&scope.group]).await?;
        let doubled = row.map(|row| -> Result<_, Fault> {
            let topic: String = row.try_get(0)?;
            Ok((TopicPartition { topic: topic.into(), partition: row.try_get(1)? }, row.try_get(2)?))
        });
        return Err(keyless(scope, doubled.transpose()?).into());
    }
    // Undone with the transaction that made it, and then `forget` takes this back.
    wire.has_offsets = there;
    Ok(there)
}

pub(super) async fn load(
    wire: &mut Wire,
    scope: &OffsetScope,
    partitions: &[(TopicPartition, String)],
) -> Result<Vec<Option<i64>>, Fault> {
    if !find(wire, scope).await? {
        return Ok(vec![None; partitions.len()]);
    }
    let topics: Vec<&str> = partitions.iter().map(|(at, _)| &*at.topic).collect();
    let numbers: Vec<i32> = partitions.iter().map(|(at, _)| at.partition).collect();
    let sql = "SELECT log_id, topic, topic_id, partition, next_offset FROM _wharf_offsets \
               WHERE consumer_group = $1 AND topic = ANY($2) AND partition = ANY($3)";
    let statement = wire.prepare(sql).await?;
    let mut stored: Vec<(String, String, String, i32, i64)> = Vec::new();
    for row in wire.client.query(&statement, &[&scope.group, &topics, &numbers]).await? {
        stored.push((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?));
    }
    let find = |(at, topic_id): &(TopicPartition, String)| {
        let mut here = stored.iter().filter(|(_, topic, _, partition, _)| **topic == *at.topic && *partition == at.partition);
        let own = here.clone().find(|(log_id, _, id, _, _)| *log_id == scope.log_id && id == topic_id);
        if let (None, Some((log_id, ..))) = (own, here.next()) {
            tell_foreign(scope, at, *log_id == scope.log_id);
        }
        own.map(|(.., next)| *next)
    };
    Ok(partitions.iter().map(find).collect())
}

pub(super) async fn claim(
    wire: &mut Wire,
    scope: &OffsetScope,
    (at, topic_id): (&TopicPartition, &str),
    next: i64,
) -> Result<(), Fault> {
    ensure(wire, scope).await?;
    let insert = "INSERT INTO _wharf_offsets VALUES ($1, $2, $3, $4, $5, $6, now()) ON CONFLICT DO NOTHING";
    let insert = wire.prepare(insert).await?;
    let topic = &*at.topic;
    let inserted = wire.client.execute(&insert, &[&scope.log_id, &scope.group, &topic, &topic_id, &at.partition, &next]).await?;
    if inserted == 1 {
        return Ok(());
    }
    let select = "SELECT next_offset FROM _wharf_offsets \
                  WHERE log_id = $1 AND consumer_group = $2 AND topic = $3 AND topic_id = $4 AND partition = $5";
    let select = wire.prepare(select).await?;
    let row = wire.client.query_opt(&select, &[&scope.log_id, &scope.group, &topic, &topic_id, &at.partition]).await?;
    let stored: i64 = match row {
        Some(row) => row.try_get(0)?,
        None => next,
    };
    if stored == next { Ok(()) } else { Err(claimed(at, stored, next).into()) }
}

/// Another transaction that holds a row is waited for; what it leaves behind is then compared.
pub(super) async fn advance(wire: &mut Wire, scope: &OffsetScope, moves: &[OffsetMove]) -> Result<bool, Fault> {
    ensure(wire, scope).await?;
    let sql = "UPDATE _wharf_offsets o SET next_offset = m.next, updated_at = now() \
               FROM unnest($3::text[], $4::text[], $5::int4[], $6::int8[], $7::int8[]) AS m (topic, topic_id, partition, expected, next) \
               WHERE o.log_id = $1 AND o.consumer_group = $2 AND o.topic = m.topic AND o.topic_id = m.topic_id \
               AND o.partition = m.partition AND o.next_offset = m.expected";
    let statement = wire.prepare(sql).await?;
    let topics: Vec<&str> = moves.iter().map(|m| &*m.partition.topic).collect();
    let ids: Vec<&str> = moves.iter().map(|m| m.topic_id.as_str()).collect();
    let partitions: Vec<i32> = moves.iter().map(|m| m.partition.partition).collect();
    let expected: Vec<i64> = moves.iter().map(|m| m.expected).collect();
    let next: Vec<i64> = moves.iter().map(|m| m.next).collect();
    let moved =
        wire.client.execute(&statement, &[&scope.log_id, &scope.group, &topics, &ids, &partitions, &expected, &next]).await?;
    Ok(usize::try_from(moved).is_ok_and(|moved| moved == moves.len()))
}

/// Everything that is stored for these partitions, also for other logs and earlier topics.
pub(super) async fn stored(
    wire: &mut Wire,
    scope: &OffsetScope,
    partitions: &[(TopicPartition, String)],
) -> Result<Vec<StoredOffset>, Fault> {
    let mut found = vec![StoredOffset::default(); partitions.len()];
    if !find(wire, scope).await? {
        return Ok(found);
    }
    let sql = "SELECT log_id, topic, topic_id, partition, next_offset FROM _wharf_offsets WHERE consumer_group = $1";
    for row in wire.client.query(sql, &[&scope.group]).await? {
        let (topic, partition): (String, i32) = (row.try_get(1)?, row.try_get(3)?);
        let asked = partitions.iter().zip(&mut found).filter(|((at, _), _)| *at.topic == *topic && at.partition == partition);
        for ((_, topic_id), stored) in asked {
            place(stored, scope, topic_id, (row.try_get(0)?, row.try_get(2)?, row.try_get(4)?));
        }
    }
    Ok(found)
}

/// Within the caller's transaction.
pub(super) async fn change(wire: &mut Wire, scope: &OffsetScope, changes: &[OffsetChange]) -> Result<(), Fault> {
    ensure(wire, scope).await?;
    let set = "INSERT INTO _wharf_offsets VALUES ($1, $2, $3, $4, $5, $6, now()) \
               ON CONFLICT (log_id, consumer_group, topic, topic_id, partition) DO UPDATE SET next_offset = $6, updated_at = now()";
    let forget = "DELETE FROM _wharf_offsets \
                  WHERE log_id = $1 AND consumer_group = $2 AND topic = $3 AND topic_id = $4 AND partition = $5";
    let (set, forget) = (wire.prepare(set).await?, wire.prepare(forget).await?);
    for OffsetChange { partition: at, topic_id, next } in changes {
        let topic = &*at.topic;
        match next {
            Some(next) => {
                wire.client.execute(&set, &[&scope.log_id, &scope.group, &topic, topic_id, &at.partition, next]).await?
            }
            None => wire.client.execute(&forget, &[&scope.log_id, &scope.group, &topic, topic_id, &at.partition]).await?,
        };
    }
    Ok(())
}
