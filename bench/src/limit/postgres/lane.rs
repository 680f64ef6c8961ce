//! One connection: each batch is a transaction of COPY into a temporary table, one merge into the table, and, for exactly once,
//! the places of its partitions.

use std::ops::Range;

use anyhow::{Context as _, Result, anyhow, bail};
use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls, Statement};

use super::batch::Batch;
use super::order::COLUMNS;
use super::places::Offsets;
use super::verdict::{Verdict, reason, verdict};
use crate::limit::dead_letters::{DeadLetter, DeadLetters};

/// A message of the protocol; the server starts with the first while the next are under way.
const CHUNK: usize = 256 * 1024;

/// A connection whose work goes on in the background, and ends when the client is dropped.
///
/// # Errors
/// When the database refuses.
pub async fn connect(url: &str) -> Result<(Client, JoinHandle<()>)> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("connecting to PostgreSQL")?;
    let work = tokio::spawn(async move {
        if let Err(error) = connection.await {
            eprintln!("postgres: {error}");
        }
    });
    Ok((client, work))
}

pub struct Lane {
    client: Client,
    copy: Statement,
    merge: Statement,
    offsets: Option<Offsets>,
    letters: DeadLetters,
}

impl Lane {
    /// # Errors
    /// When the database refuses, or has no such table.
    pub async fn open(url: &str, table: &str, offsets: Option<(String, String)>, letters: DeadLetters) -> Result<Self> {
        let (client, _) = connect(url).await?;
        let table = quoted(table);
        let columns = COLUMNS.join(", ");
        let set: Vec<_> = COLUMNS.iter().skip(1).map(|column| format!("{column} = excluded.{column}")).collect();
        // Larger than a batch: a temporary table that does not fit goes through files.
        let stage = format!(
            "set temp_buffers = '64MB'; set jit = off; create temporary table limit_stage (like {table}) on commit delete rows"
        );
        client.batch_execute(&stage).await.with_context(|| format!("making the stage for {table}"))?;
        let copy = client.prepare(&format!("copy limit_stage ({columns}) from stdin (format binary)")).await?;
        let merge = format!(
            "insert into {table} ({columns}) select {columns} from limit_stage on conflict (id) do update set {}",
            set.join(", ")
        );
        let merge = client.prepare(&merge).await.context("preparing the merge")?;
        let offsets = match offsets {
            Some((group, topic)) => Some(Offsets::prepare(&client, group, topic).await?),
            None => None,
        };
        Ok(Self { client, copy, merge, offsets, letters })
    }

    /// When this returns, the batch is committed, and its bad records are in the dead-letter file.
    ///
    /// # Errors
    /// When the database fails at more than a record.
    pub async fn write(&mut self, batch: &mut Batch) -> Result<()> {
        self.letters.write(&batch.bad)?;
        loop {
            let all = batch.all()?;
            let written = self.whole(&all, batch).await;
            batch.give(all);
            let Err(error) = written else { return Ok(()) };
            self.client.batch_execute("rollback").await.with_context(|| format!("rolling back after: {error:#}"))?;
            match verdict(&error) {
                Verdict::Again => {}
                Verdict::Record => return self.isolate(batch).await,
                Verdict::Fatal => return Err(error),
            }
        }
    }

    async fn whole(&self, all: &Bytes, batch: &Batch) -> Result<()> {
        self.client.batch_execute("begin").await?;
        if batch.count() > 0 {
            self.load(all).await?;
        }
        self.commit(batch).await
    }

    async fn load(&self, rows: &Bytes) -> Result<()> {
        let mut sink = std::pin::pin!(self.client.copy_in(&self.copy).await?);
        let mut rest = rows.clone();
        while !rest.is_empty() {
            sink.feed(rest.split_to(CHUNK.min(rest.len()))).await?;
        }
        sink.finish().await?;
        self.client.execute(&self.merge, &[]).await?;
        Ok(())
    }

    async fn commit(&self, batch: &Batch) -> Result<()> {
        if let Some(offsets) = &self.offsets {
            offsets.advance(&self.client, &batch.expected, &batch.next).await?;
        }
        self.client.batch_execute("commit").await?;
        Ok(())
    }

    /// Halves the batch until the database takes a half, or refuses one row. All in one transaction.
    async fn isolate(&self, batch: &Batch) -> Result<()> {
        // A deferred constraint would speak at the commit only, when it is too late to find the row.
        self.client.batch_execute("begin; set constraints all immediate").await?;
        let mut letters: Vec<DeadLetter> = Vec::new();
        let mut open = Vec::from([Range { start: 0, end: batch.count() }]);
        while let Some(range) = open.pop() {
            self.client.batch_execute("savepoint part").await?;
            let Err(error) = self.load(&batch.rows(&range)?).await else {
                self.client.batch_execute("release savepoint part; delete from limit_stage").await?;
                continue;
            };
            if !matches!(verdict(&error), Verdict::Record) {
                return Err(error);
            }
            self.client.batch_execute("rollback to savepoint part; release savepoint part").await?;
            match range.len() {
                0 | 1 => letters.push(batch.refused(range.start, &reason(&error))?),
                _ => open.extend(halves(&range)),
            }
        }
        self.letters.write(&letters)?;
        self.commit(batch).await
    }
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}

/// The later half first, as the last one is taken first: order per key.
const fn halves(range: &Range<usize>) -> [Range<usize>; 2] {
    let middle = range.start + (range.end - range.start) / 2;
    [middle..range.end, range.start..middle]
}

fn quoted(table: &str) -> String {
    let parts: Vec<_> = table.split('.').map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
    parts.join(".")
}

/// Runs a lane on a thread of its own: what comes from `batches` is written, and its places go to `done`.
///
/// # Errors
/// When the lane cannot open.
pub fn run(
    open: impl Future<Output = Result<Lane>>,
    batches: &std::sync::mpsc::Receiver<Batch>,
    done: impl Fn(Result<Batch>) -> bool,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut lane = runtime.block_on(open)?;
    while let Ok(mut batch) = batches.recv() {
        let written = runtime.block_on(lane.write(&mut batch)).with_context(|| format!("writing {} rows", batch.count()));
        let ended = written.is_err();
        if !done(written.map(|()| batch)) {
            bail!("nobody waits for the lane any more");
        }
        if ended {
            return Err(anyhow!("the lane has ended"));
        }
    }
    Ok(())
}
