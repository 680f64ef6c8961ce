//! A whole run: starts what its paths need, runs its legs, reports. A leg that fails ends it, with the command that replays it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::leg::Leg;
use crate::options::{Options, PathName};
use crate::progress::Progress;
use crate::report::{Report, say};
use crate::schedule::{self, LegPlan};
use crate::servers::{self, Servers};

/// Runs and reports. Exit code 0: nothing lost, duplicated or reordered.
pub async fn run(options: &Options) -> Result<ExitCode> {
    let work = tempfile::Builder::new().prefix("wharf-chaos-").tempdir().context("a folder to work in")?;
    // PostgreSQL runs as a user of its own.
    std::fs::set_permissions(work.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let mut servers = Servers::default();
    let paths = available(options, work.path(), &mut servers);
    if paths.is_empty() {
        anyhow::bail!("nothing is left to run");
    }
    let mut progress = Progress::load(options, &paths)?;
    let legs = schedule::legs(options, &paths);
    if !progress.done.is_empty() {
        say(&format!("going on after {} of {} legs", progress.done.len(), legs.len()));
    }
    for (index, plan) in legs.iter().enumerate().skip(progress.done.len()) {
        let began = Instant::now();
        let folder = work.path().join(format!("leg-{index}"));
        let leg = Leg::prepare(*plan, &folder, &mut servers, options.mutant()).await;
        let outcome = match leg {
            Ok(leg) => leg.run().await,
            Err(error) => Err(error),
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                say(&format!("leg {}/{} {}: {error:#}", index + 1, legs.len(), plan.path.name()));
                failed(options, *plan, work, servers);
                return Ok(ExitCode::FAILURE);
            }
        };
        say(&format!(
            "leg {}/{} {}: {} kills, {} records, {:.0} s{}",
            index + 1,
            legs.len(),
            plan.path.name(),
            plan.kills,
            outcome.records,
            began.elapsed().as_secs_f64(),
            if outcome.tally.is_clean() { "" } else { ", NOT CLEAN" }
        ));
        outcome.findings.iter().for_each(|finding| say(&format!("  {finding}")));
        if !outcome.tally.is_clean() {
            // Not kept: a resumed run tries this leg again.
            progress.done.push((plan.path, outcome));
            failed(options, *plan, work, servers);
            Report::of(&progress.done).print();
            return Ok(ExitCode::FAILURE);
        }
        progress.add(plan.path, outcome)?;
        std::fs::remove_dir_all(&folder)?;
    }
    let report = Report::of(&progress.done);
    if let Some(rare) = report.rare() {
        say(&rare);
    }
    report.print();
    Ok(if report.rare().is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The paths that can run here; says in one line each what is skipped and why.
fn available(options: &Options, work: &Path, servers: &mut Servers) -> Vec<PathName> {
    let mut paths = options.paths();
    if paths.iter().any(|path| *path != PathName::Embedded) {
        match servers::start_kafka(work) {
            Ok(server) => servers.kafka = Some(server),
            Err(error) => {
                say(&format!("skipped: all paths but embedded, as there is no Kafka: {error:#}"));
                paths.retain(|path| *path == PathName::Embedded);
            }
        }
    }
    if paths.contains(&PathName::Sink) {
        match servers::start_postgres(work) {
            Ok(server) => servers.postgres = Some(server),
            Err(error) => {
                say(&format!("skipped: path sink, as there is no PostgreSQL: {error:#}"));
                paths.retain(|path| *path != PathName::Sink);
            }
        }
    }
    paths
}

/// What is left for whoever looks into it: logs, configurations, data, and the way to see it again.
fn failed(options: &Options, plan: LegPlan, work: tempfile::TempDir, servers: Servers) {
    drop(servers);
    let folder: PathBuf = work.keep();
    say(&format!("\nlogs and data are kept in {}", folder.display()));
    say(&format!("replay: {}", replay(options, plan)));
}

/// The command that runs one leg alone.
fn replay(options: &Options, plan: LegPlan) -> String {
    let mut command =
        format!("cargo run --release -p wharf-chaos -- --kills {} --seed {} --path {}", plan.kills, plan.seed, plan.path.name());
    if let Some(fault) = options.fault.and_then(|fault| clap::ValueEnum::to_possible_value(&fault)) {
        command.push_str(&format!(" --fault {}", fault.get_name()));
    }
    if let Some(mutant) = options.mutant() {
        command.push_str(&format!(" --mutant {}", mutant.name()));
    }
    command
}
