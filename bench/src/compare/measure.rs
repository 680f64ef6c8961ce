//! One run of one system: from the start of its process until all has arrived, counted at the destination.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::compare::destination::Destination;
use crate::compare::process::{Process, Used};
use crate::compare::server::Server;

/// How often the destination is asked before its first record, and after it: more often would load the servers.
const LOOK: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(25)];
/// A run that is not complete after this long will not be.
const PATIENCE: Duration = Duration::from_secs(600);
/// The same once the process has ended by itself, as some do at the end of a file.
const AFTER_ITS_END: Duration = Duration::from_secs(5);

/// What a table can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// From the first look at the destination that found records, without those that it found.
    Rate,
    /// From the start of the process on.
    RateWithStart,
    /// CPU-seconds of the worker per million records, from its start on.
    Cpu,
    /// The same, from the first record on.
    CpuAfterFirst,
    KafkaCpu,
    PostgresCpu,
    /// Peak resident memory in MB.
    Peak,
    /// Start to first record, in ms.
    First,
    /// Resident memory in MB at a point in time.
    Memory,
    /// Share of one core, in per cent.
    Load,
    /// Latency in ms.
    Median,
    P99,
    /// Threads of the process.
    Threads,
    /// Memory and load again, with some work to do.
    BusyMemory,
    BusyLoad,
    /// Megabytes of values a second.
    Megabytes,
}

/// Figures of one run.
pub type Run = BTreeMap<Measure, f64>;

/// What there was when the destination held records for the first time.
struct First {
    after: Duration,
    cpu: f64,
    records: u64,
}

/// Runs a system once.
///
/// # Errors
/// When it fails, does not deliver all in time, or delivers something else.
pub async fn measure(
    command: Command,
    log: &Path,
    rows: u64,
    destination: &mut dyn Destination,
    servers: [&Server; 2],
) -> Result<Run> {
    let before = cpu(servers)?;
    let start = Instant::now();
    let mut process = Process::start(command, log)?;
    let mut first: Option<First> = None;
    let (mut used, mut ran) = (Used::default(), Instant::now());
    let all = loop {
        if process.runs()? {
            // One that ends just now is gone: what was seen last counts.
            used = process.used().unwrap_or(used);
            ran = Instant::now();
        } else if ran.elapsed() > AFTER_ITS_END {
            bail!("it ended before all had arrived; {}", process.tail());
        }
        if first.is_none() {
            let records = destination.arrived().await?;
            first = (records > 0).then(|| First { after: start.elapsed(), cpu: used.cpu, records });
        }
        if first.is_some()
            && let Some(at) = destination.all().await?
        {
            break at.duration_since(start);
        }
        if start.elapsed() > PATIENCE {
            bail!("not complete after {PATIENCE:?}; {}", process.tail());
        }
        tokio::time::sleep(if first.is_some() { LOOK[1] } else { LOOK[0] }).await;
    };
    let after = cpu(servers)?;
    if process.runs()? {
        used = process.used().unwrap_or(used);
    }
    let counted = verify(destination).await.with_context(|| process.tail());
    process.stop()?;
    counted?;
    let first = first.context("a first record")?;
    let million = |value: f64, records: u64| value * 1e6 / records as f64;
    let mut run = BTreeMap::from([
        (Measure::RateWithStart, rows as f64 / all.as_secs_f64()),
        (Measure::Cpu, million(used.cpu, rows)),
        (Measure::KafkaCpu, million(after[0] - before[0], rows)),
        (Measure::PostgresCpu, million(after[1] - before[1], rows)),
        (Measure::Peak, used.peak as f64 / 1e6),
        (Measure::First, first.after.as_secs_f64() * 1e3),
    ]);
    // Nothing can be said of the time after the first where all came at once.
    let (rest, took) = (rows.saturating_sub(first.records), all.saturating_sub(first.after));
    if rest > 0 && !took.is_zero() {
        run.insert(Measure::Rate, rest as f64 / took.as_secs_f64());
        run.insert(Measure::CpuAfterFirst, million(used.cpu - first.cpu, rest));
    }
    Ok(run)
}

/// A system with several requests under way may have some left when the last record is there.
async fn verify(destination: &mut dyn Destination) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        match destination.verify().await {
            Err(_) if Instant::now() < until => tokio::time::sleep(Duration::from_millis(100)).await,
            counted => return counted,
        }
    }
}

fn cpu(servers: [&Server; 2]) -> Result<[f64; 2]> {
    Ok([servers[0].cpu()?, servers[1].cpu()?])
}
