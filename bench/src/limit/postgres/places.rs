//! Exactly once: the next offset of each partition stands in the database and moves in the transaction of the rows, from the
//! place that was expected or not at all. An owner that has lost its partition cannot commit behind the back of the new one.

use anyhow::{Context as _, Result, bail};
use tokio_postgres::{Client, Statement};

use super::lane::connect;
use crate::limit::group::Places;

const TABLE: &str = "create table if not exists limit_offsets (\
    grp text, topic text, part integer, next_offset bigint not null, primary key (grp, topic, part))";

/// Makes the table of places.
///
/// # Errors
/// When the database refuses.
pub async fn create(url: &str) -> Result<()> {
    let (client, work) = connect(url).await?;
    client.batch_execute(TABLE).await.context("creating table limit_offsets")?;
    drop(client);
    work.await.context("closing the connection")
}

/// Where partitions go on, -1 for one that is new: from the beginning.
///
/// # Errors
/// When the database refuses.
pub async fn read(url: &str, group: &str, topic: &str, partitions: &[i32]) -> Result<Places> {
    let (client, work) = connect(url).await?;
    let fresh = "insert into limit_offsets select $1, $2, part, -1 from unnest($3::integer[]) part on conflict do nothing";
    client.execute(fresh, &[&group, &topic, &partitions]).await.context("adding to limit_offsets")?;
    let found = "select part, next_offset from limit_offsets where grp = $1 and topic = $2 and part = any($3)";
    let rows = client.query(found, &[&group, &topic, &partitions]).await.context("reading limit_offsets")?;
    drop(client);
    work.await.context("closing the connection")?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Moves places.
#[derive(Debug)]
pub struct Offsets {
    group: String,
    topic: String,
    advance: Statement,
}

impl Offsets {
    /// # Errors
    /// When the database refuses.
    pub async fn prepare(client: &Client, group: String, topic: String) -> Result<Self> {
        let advance = "update limit_offsets o set next_offset = n.next \
            from unnest($3::integer[], $4::bigint[], $5::bigint[]) n(part, expected, next) \
            where o.grp = $1 and o.topic = $2 and o.part = n.part and o.next_offset = n.expected";
        let advance = client.prepare(advance).await.context("preparing the update of limit_offsets")?;
        Ok(Self { group, topic, advance })
    }

    /// # Errors
    /// When the database refuses, or a partition does not stand where it is expected.
    pub async fn advance(&self, client: &Client, expected: &Places, next: &Places) -> Result<()> {
        let mut columns: (Vec<i32>, Vec<i64>, Vec<i64>) = Default::default();
        for (partition, next) in next {
            let expected = expected.get(partition).context("a partition without a place")?;
            columns.0.push(*partition);
            columns.1.push(*expected);
            columns.2.push(*next);
        }
        let moved = client.execute(&self.advance, &[&self.group, &self.topic, &columns.0, &columns.1, &columns.2]).await?;
        if usize::try_from(moved)? != next.len() {
            bail!(
                "partitions {:?} of `{}` do not stand at {expected:?}: another process has them; nothing of this batch is committed",
                columns.0,
                self.topic
            );
        }
        Ok(())
    }
}
