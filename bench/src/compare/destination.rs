//! Where records arrive, and how it is known that all have: each is counted there, never in the system that is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use async_trait::async_trait;
use tokio_postgres::Client;

use crate::compare::orders::{PARTITIONS, orders};
use crate::compare::topic::Ends;

/// Asked while a system runs: cheaply, as it shares the cores with it.
#[async_trait]
pub trait Destination: Send {
    /// Whether something has arrived.
    async fn any(&mut self) -> Result<bool>;
    /// When all had arrived, as soon as that seems so.
    async fn all(&mut self) -> Result<Option<Instant>>;
    /// Counts exactly, once it seems that all has arrived; an error says what is missing or too much.
    async fn verify(&mut self) -> Result<()>;
}

/// A table that orders are upserted into.
#[derive(Debug)]
pub struct Table {
    client: Client,
    name: String,
    rows: u64,
    /// True once the last record of each partition is there.
    last: String,
}

impl Table {
    /// Makes the table anew, with nothing left to do for the server.
    ///
    /// # Errors
    /// When PostgreSQL refuses.
    pub async fn make(postgres: &str, name: &str, rows: u64) -> Result<Self> {
        let client = connect(postgres).await?;
        let columns = "id bigint primary key, customer text, email text, status text, channel text, quantity integer, total numeric(12,2), created timestamptz, version bigint, note text";
        client.batch_execute(&format!("drop table if exists {name}; create table {name} ({columns})")).await?;
        client.batch_execute("checkpoint").await?;
        let mut last = vec![None; PARTITIONS.unsigned_abs() as usize];
        for order in orders(rows) {
            if let Some(last) = usize::try_from(order.partition()).ok().and_then(|at| last.get_mut(at)) {
                *last = Some(order);
            }
        }
        let one = |order: &crate::compare::orders::Order| {
            format!("exists (select from {name} where id = {} and version = {})", order.id, order.version)
        };
        let last = last.iter().flatten().map(one).collect::<Vec<_>>().join(" and ");
        Ok(Self { client, name: name.to_owned(), rows, last: format!("select {last}") })
    }

    /// Removes the table.
    ///
    /// # Errors
    /// When PostgreSQL refuses.
    pub async fn remove(&self) -> Result<()> {
        Ok(self.client.batch_execute(&format!("drop table {}", self.name)).await?)
    }
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
impl Destination for Table {
    async fn any(&mut self) -> Result<bool> {
        Ok(self.client.query_one(&format!("select exists (select from {})", self.name), &[]).await?.try_get(0)?)
    }

    async fn all(&mut self) -> Result<Option<Instant>> {
        let there: bool = self.client.query_one(&self.last, &[]).await?.try_get(0)?;
        Ok(there.then(Instant::now))
    }

    async fn verify(&mut self) -> Result<()> {
        let text = format!("select count(*), coalesce(sum(version), 0)::bigint from {}", self.name);
        let found = self.client.query_one(&text, &[]).await?;
        let (count, sum): (i64, i64) = (found.try_get(0)?, found.try_get(1)?);
        let (rows, versions) = (self.rows - self.rows / 10, self.rows);
        if count.unsigned_abs() != rows || sum.unsigned_abs() != versions {
            bail!("{count} rows whose versions add up to {sum}, in place of {rows} and {versions}");
        }
        Ok(())
    }
}

/// A topic that lines are written to.
#[derive(Debug)]
pub struct Topic {
    ends: Ends,
    rows: u64,
    seen: (u64, Instant),
}

impl Topic {
    /// It is complete when it has not grown for this long.
    const QUIET: Duration = Duration::from_millis(700);

    /// # Errors
    /// When there can be no client.
    pub fn watch(kafka: &str, name: &str, rows: u64) -> Result<Self> {
        Ok(Self { ends: Ends::new(kafka, name, PARTITIONS)?, rows, seen: (0, Instant::now()) })
    }
}

#[async_trait]
impl Destination for Topic {
    async fn any(&mut self) -> Result<bool> {
        Ok(tokio::task::block_in_place(|| self.ends.sum())? > 0)
    }

    async fn all(&mut self) -> Result<Option<Instant>> {
        let sum = tokio::task::block_in_place(|| self.ends.sum())?;
        if sum != self.seen.0 {
            self.seen = (sum, Instant::now());
        }
        Ok((sum >= self.rows && self.seen.1.elapsed() > Self::QUIET).then_some(self.seen.1))
    }

    async fn verify(&mut self) -> Result<()> {
        let (records, _) = tokio::task::block_in_place(|| self.ends.count())?;
        if records != self.rows {
            bail!("{records} records in place of {}", self.rows);
        }
        Ok(())
    }
}

/// Lines that a server of the harness has taken.
#[derive(Debug, Clone)]
pub struct Lines {
    pub taken: Arc<AtomicU64>,
    pub rows: u64,
}

#[async_trait]
impl Destination for Lines {
    async fn any(&mut self) -> Result<bool> {
        Ok(self.taken.load(Ordering::Acquire) > 0)
    }

    async fn all(&mut self) -> Result<Option<Instant>> {
        Ok((self.taken.load(Ordering::Acquire) >= self.rows).then(Instant::now))
    }

    async fn verify(&mut self) -> Result<()> {
        let taken = self.taken.load(Ordering::Acquire);
        if taken != self.rows {
            bail!("{taken} lines in place of {}", self.rows);
        }
        Ok(())
    }
}
