//! Wharf beside what it replaces: one command that starts the servers, runs each system in turn on the same records, counts at the
//! destination, and writes a table. What a scenario measures stands in its file, how a system is set up under `bench/wharf` and
//! `bench/peers`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::compare::place::Place;
use crate::compare::results::Results;
use crate::compare::scenario::Scenario;
use crate::compare::target::Verdict;

pub mod destination;
pub mod measure;
pub mod orders;
pub mod place;
pub mod process;
pub mod results;
pub mod round;
pub mod scenario;
pub mod server;
pub mod system;
pub mod target;
pub mod topic;

/// Which scenarios, on how many records, how often.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Only these scenarios
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Records of a run
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Runs of each system, in turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// 200,000 records, one round: a few minutes a scenario
    #[arg(long, conflicts_with_all = ["rows", "rounds"])]
    quick: bool,
    /// Exit 1, with a line for each, when a target is missed
    #[arg(long)]
    check: bool,
    /// Only systems whose name holds one of these
    #[arg(long, value_delimiter = ',')]
    systems: Vec<String>,
    /// The binary to measure; built where it is not given
    #[arg(long)]
    wharf: Option<PathBuf>,
    /// Where the table is written, beside being printed; by default bench/RESULTS.md when nothing was left out, `-`: nowhere
    #[arg(long)]
    results: Option<PathBuf>,
    /// Where servers and systems keep their data and logs; by default a folder that goes at the end
    #[arg(long)]
    keep: Option<PathBuf>,
}

impl Options {
    /// Records of a run.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        if self.quick { 200_000 } else { self.rows }
    }

    /// Runs of each system.
    #[must_use]
    pub const fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds }
    }

    /// Where the table is written. A part of it is not to take the place of the whole.
    fn page(&self) -> Option<PathBuf> {
        match &self.results {
            Some(given) => (given.as_os_str() != "-").then(|| given.clone()),
            None if self.quick || !self.only.is_empty() || !self.systems.is_empty() => None,
            None => Some(concat!(env!("CARGO_MANIFEST_DIR"), "/RESULTS.md").into()),
        }
    }

    /// Whether a system takes part.
    #[must_use]
    pub fn wants(&self, system: &str) -> bool {
        self.systems.is_empty() || self.systems.iter().any(|part| system.to_lowercase().contains(&part.to_lowercase()))
    }
}

/// # Errors
/// When a server or a system does not start, does not deliver all records, or (with `--check`) misses a target.
#[expect(clippy::print_stdout, reason = "the table is what this is for")]
pub fn run(options: &Options) -> Result<()> {
    if options.rows() < 1_000 {
        bail!("--rows {}: at least 1000, as fewer are one batch", options.rows());
    }
    if options.rounds() == 0 {
        bail!("--rounds 0: at least 1");
    }
    // Known after an hour it would be too late.
    if let Some(folder) = options.page().as_deref().and_then(Path::parent)
        && !folder.as_os_str().is_empty()
        && !folder.is_dir()
    {
        bail!("--results: there is no folder {}", folder.display());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (results, ended) = runtime.block_on(all(options))?;
    let verdicts = target::verdicts(&results);
    let text = results.markdown(&verdicts);
    println!("{text}");
    // What came before the fault is printed; the page stays as it was.
    ended?;
    if let Some(page) = options.page() {
        std::fs::write(&page, &text).with_context(|| page.display().to_string())?;
    }
    if results.found.values().all(|found| found.rows.is_empty()) {
        bail!("--systems {}: no system of these scenarios is called so", options.systems.join(","));
    }
    if options.check && !verdicts.iter().any(Verdict::asks) {
        bail!("--check: no target compares the systems that were measured");
    }
    let missed: Vec<&Verdict> = verdicts.iter().filter(|verdict| verdict.missed()).collect();
    if options.check && !missed.is_empty() {
        missed.iter().for_each(|verdict| println!("missed: {verdict}"));
        bail!("{} of {} targets are missed", missed.len(), verdicts.iter().filter(|verdict| verdict.asks()).count());
    }
    Ok(())
}

/// What was found, and why there is no more of it.
async fn all(options: &Options) -> Result<(Results, Result<()>)> {
    // Servers have a session of their own: they would stay where this process just died.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut place = Place::prepare(options)?;
    let mut results = Results::new(options, &place);
    let ended = tokio::select! {
        ended = each(options, &mut place, &mut results) => ended,
        _ = interrupt.recv() => Err(anyhow!("it was interrupted")),
        _ = terminate.recv() => Err(anyhow!("it was asked to end")),
    };
    Ok((results, ended))
}

async fn each(options: &Options, place: &mut Place, results: &mut Results) -> Result<()> {
    for scenario in Scenario::chosen(&options.only) {
        let found = scenario.run(options, place).await.with_context(|| format!("scenario {scenario}"))?;
        results.add(scenario, found);
    }
    Ok(())
}
