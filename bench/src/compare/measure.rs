//! One run of one system: from the start of its process until all has arrived, counted at the destination.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::compare::destination::Destination;
use crate::compare::process::Process;
use crate::compare::server::Server;

/// How often the destination is asked before its first record, and after it.
const LOOK: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(25)];
/// A run that is not complete after this long will not be.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a table can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// From the first record on.
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
}

/// Figures of one run.
pub type Run = BTreeMap<Measure, f64>;

/// Runs a system once.
///
/// # Errors
/// When it ends, does not deliver all in time, or delivers something else.
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
    let mut first: Option<(Duration, f64)> = None;
    let all = loop {
        process.check()?;
        if first.is_none() && destination.any().await? {
            first = Some((start.elapsed(), process.cpu()?));
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
    let (cpu_all, after, peak) = (process.cpu()?, cpu(servers)?, process.peak_memory()?);
    let counted = verify(destination).await.with_context(|| process.tail());
    process.stop()?;
    counted?;
    let (first, cpu_first) = first.context("a first record")?;
    let million = |value: f64| value * 1e6 / rows as f64;
    Ok(BTreeMap::from([
        (Measure::Rate, rows as f64 / all.saturating_sub(first).as_secs_f64()),
        (Measure::RateWithStart, rows as f64 / all.as_secs_f64()),
        (Measure::Cpu, million(cpu_all)),
        (Measure::CpuAfterFirst, million(cpu_all - cpu_first)),
        (Measure::KafkaCpu, million(after[0] - before[0])),
        (Measure::PostgresCpu, million(after[1] - before[1])),
        (Measure::Peak, peak as f64 / 1e6),
        (Measure::First, first.as_secs_f64() * 1e3),
    ]))
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
