//! Tables that orders are upserted into: one, or one for each connector of a run.

use std::time::Instant;

use anyhow::{Result, bail};
use async_trait::async_trait;
use tokio_postgres::Client;

use crate::compare::destination::Destination;
use crate::compare::orders::{Order, orders};

const COLUMNS: &str = "id bigint primary key, customer text, email text, status text, channel text, quantity integer, \
                       total numeric(12,2), created timestamptz, version bigint, note text";

/// Tables of as many orders each.
#[derive(Debug)]
pub struct Tables {
    client: Client,
    names: Vec<String>,
    /// Records of one table.
    rows: u64,
    /// Of each table: true once the last record of each partition is there.
    last: Vec<String>,
    /// The first ones, of which this is known.
    complete: usize,
    /// Holds for every row in the end.
    holds: &'static str,
}

impl Tables {
    /// Makes the tables anew, with nothing left to do for the server.
    ///
    /// # Errors
    /// When PostgreSQL refuses.
    pub async fn make(postgres: &str, names: Vec<String>, rows: u64, partitions: i32) -> Result<Self> {
        let client = connect(postgres).await?;
        for name in &names {
            client.batch_execute(&format!("drop table if exists {name}; create table {name} ({COLUMNS})")).await?;
        }
        client.batch_execute("checkpoint").await?;
        let ends = ends(rows, partitions);
        let there = |name: &str, order: &Order| {
            format!("exists (select from {name} where id = {} and version = {})", order.id, order.version)
        };
        let all = |name: &String| ends.iter().map(|order| there(name, order)).collect::<Vec<_>>().join(" and ");
        let last = names.iter().map(|name| format!("select {}", all(name))).collect();
        Ok(Self { client, names, rows, last, complete: 0, holds: "true" })
    }

    /// Columns beside the usual ones, and what holds for every row in the end.
    ///
    /// # Errors
    /// When PostgreSQL refuses.
    pub async fn with(mut self, columns: &[&str], holds: &'static str) -> Result<Self> {
        for name in &self.names {
            for column in columns {
                self.client.batch_execute(&format!("alter table {name} add column {column}")).await?;
            }
        }
        self.holds = holds;
        Ok(self)
    }

    /// Removes the tables.
    ///
    /// # Errors
    /// When PostgreSQL refuses.
    pub async fn remove(&self) -> Result<()> {
        Ok(self.client.batch_execute(&format!("drop table {}", self.names.join(", "))).await?)
    }

    /// Rows, the sum of their versions, and rows that are as they have to be.
    async fn count(&self, name: &str) -> Result<(u64, u64, u64)> {
        let holds = self.holds;
        let text = format!("select count(*), coalesce(sum(version), 0)::bigint, count(*) filter (where {holds}) from {name}");
        let found = self.client.query_one(&text, &[]).await?;
        let (rows, versions, right): (i64, i64, i64) = (found.try_get(0)?, found.try_get(1)?, found.try_get(2)?);
        Ok((rows.unsigned_abs(), versions.unsigned_abs(), right.unsigned_abs()))
    }
}

/// The last record of each partition.
fn ends(rows: u64, partitions: i32) -> Vec<Order> {
    let mut ends = vec![None; partitions.unsigned_abs() as usize];
    for order in orders(rows) {
        if let Some(end) = usize::try_from(order.partition(partitions)).ok().and_then(|at| ends.get_mut(at)) {
            *end = Some(order);
        }
    }
    ends.into_iter().flatten().collect()
}

/// A connection of the harness.
///
/// # Errors
/// When PostgreSQL refuses it.
pub async fn connect(postgres: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(postgres, tokio_postgres::NoTls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            eprintln!("the harness lost its connection to PostgreSQL: {error}");
        }
    });
    Ok(client)
}

#[async_trait]
impl Destination for Tables {
    async fn arrived(&mut self) -> Result<u64> {
        let all = |name: &String| format!("(select coalesce(sum(version), 0)::bigint from {name})");
        let sum = self.names.iter().map(all).collect::<Vec<_>>().join(" + ");
        let versions: i64 = self.client.query_one(&format!("select {sum}"), &[]).await?.try_get(0)?;
        Ok(versions.unsigned_abs())
    }

    async fn all(&mut self) -> Result<Option<Instant>> {
        while let Some(last) = self.last.get(self.complete) {
            let there: bool = self.client.query_one(last, &[]).await?.try_get(0)?;
            if !there {
                return Ok(None);
            }
            self.complete += 1;
        }
        Ok(Some(Instant::now()))
    }

    async fn verify(&mut self) -> Result<()> {
        let (rows, versions) = (self.rows - self.rows / 10, self.rows);
        for name in &self.names {
            let (count, sum, right) = self.count(name).await?;
            if count != rows || sum != versions {
                bail!("{name}: {count} rows whose versions add up to {sum}, in place of {rows} and {versions}");
            }
            if right != rows {
                bail!("{name}: only {right} of {rows} rows fulfil `{}`", self.holds);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::ends;
    use crate::compare::orders::{Order, orders};

    #[test]
    fn the_end_of_each_partition_is_its_last_record() {
        let found = ends(1_000, 4);
        assert_eq!(found.len(), 4);
        for end in found {
            let of_it: Vec<Order> = orders(1_000).filter(|order| order.id % 4 == end.id % 4).collect();
            assert_eq!(of_it.last(), Some(&end));
        }
    }
}
