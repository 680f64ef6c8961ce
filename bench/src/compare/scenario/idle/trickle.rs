//! 100 records a second, in turn to twenty topics or into twenty files.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tokio::time::{Instant, MissedTickBehavior};

use crate::compare::orders::{BYTES, Order};
use crate::compare::topic::client;

/// Between two records.
const PACE: Duration = Duration::from_millis(10);
const ASK: Duration = Duration::from_secs(30);

/// Where records go.
pub enum Trickle {
    Topics(BaseProducer, Vec<String>),
    Files(Vec<File>),
}

/// The file of a connector.
#[must_use]
pub fn file(folder: &Path, at: usize) -> PathBuf {
    folder.join(format!("lines-{at}"))
}

impl Trickle {
    /// # Errors
    /// When there can be no client.
    pub fn topics(kafka: &str, topics: &[String]) -> Result<Self> {
        Ok(Self::Topics(client(kafka).set("acks", "all").set("linger.ms", "0").create()?, topics.to_vec()))
    }

    /// Makes the files, empty.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn files(folder: &Path, count: usize) -> Result<Self> {
        let files =
            (0..count).map(|at| file(folder, at)).map(|path| File::create(&path).with_context(|| path.display().to_string()));
        Ok(Self::Files(files.collect::<Result<Vec<_>>>()?))
    }

    /// Sends for so long. How many records that were.
    ///
    /// # Errors
    /// When a record cannot be sent.
    pub async fn run(&mut self, span: Duration) -> Result<u64> {
        let (began, mut clock) = (Instant::now(), tokio::time::interval(PACE));
        clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut value, mut sent) = (String::new(), 0);
        while began.elapsed() < span {
            clock.tick().await;
            let order = Order { id: sent, version: 1 };
            order.value(BYTES, &mut value);
            self.send(order, &value)?;
            sent += 1;
        }
        if let Self::Topics(producer, _) = self {
            tokio::task::block_in_place(|| producer.flush(ASK)).context("sending the last records")?;
        }
        Ok(sent)
    }

    fn send(&mut self, order: Order, value: &str) -> Result<()> {
        let turn = |count: usize| usize::try_from(order.id).unwrap_or_default() % count.max(1);
        match self {
            Self::Topics(producer, topics) => {
                let topic = topics.get(turn(topics.len())).context("no topic to send to")?;
                let key = order.key();
                producer.send(BaseRecord::<str, str>::to(topic).key(&key).payload(value)).map_err(|(error, _)| error)?;
                producer.poll(Duration::ZERO);
            }
            Self::Files(files) => {
                let at = turn(files.len());
                writeln!(files.get_mut(at).context("no file to write to")?, "{value}")?;
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Trickle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Files(_)) { "Files" } else { "Topics" })
    }
}
