//! Where records arrive, and how it is known that all have: each is counted there, never in the system that is measured.

pub mod tables;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use async_trait::async_trait;

use crate::compare::orders::PARTITIONS;
use crate::compare::topic::Ends;

/// Asked while a system runs: cheaply, as it shares the cores with it.
#[async_trait]
pub trait Destination: Send {
    /// How many records have arrived; asked until it is not none.
    async fn arrived(&mut self) -> Result<u64>;
    /// When all had arrived, as soon as that seems so.
    async fn all(&mut self) -> Result<Option<Instant>>;
    /// Counts exactly, once it seems that all has arrived; an error says what is missing or too much.
    async fn verify(&mut self) -> Result<()>;
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
    async fn arrived(&mut self) -> Result<u64> {
        tokio::task::block_in_place(|| self.ends.sum())
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
    async fn arrived(&mut self) -> Result<u64> {
        Ok(self.taken.load(Ordering::Acquire))
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
