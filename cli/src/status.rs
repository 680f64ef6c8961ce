//! `wharf status`: asks the running worker of a deployment, through the socket in its state-dir, for the state of each task.

use std::process::ExitCode;

use anyhow::Result;
use wharf_runtime::config::Config;
use wharf_runtime::listen::ask_status;
use wharf_runtime::telemetry::Snapshot;

use crate::output::{FAILED, OK, say, unusable};
use crate::{ConfigFile, bundle};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: ConfigFile,
    /// Everything as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command. Exit code 1 where the worker is not healthy or none runs.
pub async fn status(args: Args) -> Result<ExitCode> {
    let config = match Config::load_with(&args.file.config, &bundle::known_without_secrets()) {
        Ok((config, _)) => config,
        Err(errors) => return Ok(unusable(&errors)),
    };
    let snapshot = match ask_status(&config.state_dir).await {
        Ok(snapshot) => snapshot,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(ExitCode::from(FAILED));
        }
    };
    if args.json {
        say!("{}", serde_json::to_string_pretty(&snapshot)?);
    } else {
        show(&snapshot);
    }
    Ok(ExitCode::from(if snapshot.health.healthy { OK } else { FAILED }))
}

fn show(snapshot: &Snapshot) {
    let word = |yes: bool, word: &str| if yes { word.to_owned() } else { format!("not {word}") };
    let health = &snapshot.health;
    say!(
        "process {} since {}: {}, {}",
        snapshot.process,
        snapshot.started,
        word(health.healthy, "healthy"),
        word(health.ready, "ready")
    );
    if let Some(reason) = snapshot.log.reason.as_ref().filter(|_| !snapshot.log.reached) {
        say!("the topic log does not answer: {reason}");
    }
    let width = snapshot.tasks.iter().map(|task| task.connector.len()).max().unwrap_or(0).max(9);
    say!(
        "{:width$}  {:<6} {:>4}  {:<9} {:>9} {:>9} {:>9} {:>8} {:>13}",
        "CONNECTOR",
        "KIND",
        "TASK",
        "STATE",
        "READ",
        "DELIVERED",
        "FILTERED",
        "LAG",
        "DEAD-LETTERED"
    );
    for task in &snapshot.tasks {
        let lag = task.lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string());
        say!(
            "{:width$}  {:<6} {:>4}  {:<9} {:>9} {:>9} {:>9} {lag:>8} {:>13}",
            task.connector,
            task.kind.to_string(),
            task.task,
            task.state.to_string(),
            task.read,
            task.delivered,
            task.filtered,
            task.dead_lettered
        );
        if let Some(reason) = &task.reason {
            say!("{:width$}  {reason}", "");
        }
        if task.lost > 0 {
            say!("{:width$}  lost: retention removed {} records before they were read", "", task.lost);
        }
        for reason in task.stopped_partitions.values() {
            say!("{:width$}  stopped: {reason}", "");
        }
    }
}
