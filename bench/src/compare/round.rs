//! The runs of a scenario: each system in turn, round by round (A B C A B C), so that a machine that changes its pace is fair to all.

use anyhow::{Context as _, Result};

use crate::compare::Options;
use crate::compare::measure::Run;
use crate::compare::results::{Found, Row};
use crate::compare::system::System;

/// Runs every wanted system once a round; `once` does it. The first system has a second turn at the end of each round: what differs
/// between its two is noise. Before all rounds it has one that does not count: Kafka's virtual machine compiles what the work takes, on
/// the same cores, which whoever came first would pay for.
///
/// No rows where no system of the scenario is wanted.
///
/// # Errors
/// What `once` says, with the system's name.
pub async fn in_turn(options: &Options, systems: &[System], mut once: impl AsyncFnMut(&System) -> Result<Run>) -> Result<Found> {
    let wanted: Vec<&System> = systems.iter().filter(|system| options.wants(system.name)).collect();
    let mut rows: Vec<Row> = wanted.iter().map(|system| Row::of(system.name)).collect();
    let mut again = Vec::new();
    if let Some(system) = wanted.first() {
        once(system).await.with_context(|| format!("{}, a run that does not count", system.name))?;
    }
    for round in 0..options.rounds() {
        for (system, row) in wanted.iter().zip(&mut rows) {
            let run = once(system).await.with_context(|| format!("{}, round {}", system.name, round + 1))?;
            eprintln!("{}", row.line(&run));
            row.runs.push(run);
        }
        if let (Some(system), Some(row)) = (wanted.first(), rows.first())
            && wanted.len() > 1
        {
            let run = once(system).await.with_context(|| format!("{} again, round {}", system.name, round + 1))?;
            eprintln!("{}", row.line(&run));
            again.push(run);
        }
    }
    Ok(Found { rows, again })
}
