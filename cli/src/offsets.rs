//! `wharf offsets`: where connectors stand, and setting them back or ahead while they are stopped. Every change is shown as
//! from -> to and asked for, or allowed by `--yes`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use wharf_runtime::config::{Config, SinkConfig, SourceConfig};

use crate::output::unusable;
use crate::{ConfigFile, Listing, bundle, check};

mod change;
mod confirm;
mod list;
mod select;

/// Subcommands of `offsets`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Where each connector stands: a sink by topic and partition with its lag, a source by slice. Also while it runs.
    Ls(Listing),
    /// Put a stopped connector somewhere else.
    Set(Set),
    /// Forget where a stopped connector stands: a sink begins by its `start`, a source reads its system again.
    Reset(Reset),
}

#[derive(Debug, clap::Args)]
pub struct Set {
    #[command(flatten)]
    which: Which,
    /// For a sink: an offset, earliest, latest, a time (RFC 3339), or group (where the group stands in the log, for a sink whose
    /// offsets are kept in a database). For a source: the place of the slice, as `ls` shows it
    /// (text, or base64:…).
    #[arg(allow_hyphen_values = true)]
    to: String,
    #[command(flatten)]
    part: Part,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, clap::Args)]
pub struct Reset {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    part: Part,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, clap::Args)]
pub struct Which {
    #[command(flatten)]
    file: ConfigFile,
    /// Name of a source or sink.
    connector: String,
}

/// Which part of a connector; left out: all of it.
#[derive(Debug, clap::Args)]
pub struct Part {
    /// Of a sink: this topic alone.
    #[arg(long)]
    topic: Option<String>,
    /// Of a sink: this partition alone.
    #[arg(long)]
    partition: Option<i32>,
    /// Of a source: this slice alone.
    #[arg(long)]
    slice: Option<String>,
}

/// A connector of the configuration.
enum Found<'a> {
    Source(&'a SourceConfig),
    Sink(&'a SinkConfig),
}

/// Runs the command.
pub async fn offsets(command: Command) -> Result<ExitCode> {
    let file = match &command {
        Command::Ls(ls) => &ls.file,
        Command::Set(Set { which, .. }) | Command::Reset(Reset { which, .. }) => &which.file,
    };
    // With secrets: offsets may stand in a database.
    let config = match Config::load_with(&file.config, &bundle::known()) {
        Ok((config, _)) => config,
        Err(errors) => return Ok(unusable(&errors)),
    };
    match command {
        Command::Ls(ls) => list::list(&config, ls.connector.as_deref(), ls.json).await,
        Command::Set(set) => change::change(&config, &set.which.connector, &set.part, (Some(&set.to), set.yes)).await,
        Command::Reset(reset) => change::change(&config, &reset.which.connector, &reset.part, (None, reset.yes)).await,
    }
}

/// Compiled components of the deployment's worker, where it has run here.
fn component_cache(config: &Config) -> PathBuf {
    let own = config.state_dir.join("components");
    if own.is_dir() { own } else { check::component_cache() }
}

fn find<'a>(config: &'a Config, name: &str) -> Result<Found<'a>, String> {
    if let Some(source) = config.sources.iter().find(|s| s.connector.name == name) {
        return Ok(Found::Source(source));
    }
    if let Some(sink) = config.sinks.iter().find(|s| s.connector.name == name) {
        return Ok(Found::Sink(sink));
    }
    Err(format!("error: {}", config.no_connector(name)))
}
