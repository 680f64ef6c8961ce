//! `wharf dlq`: looking at dead letters, also while a worker runs, and sending their records back.

use std::process::ExitCode;

use anyhow::Result;
use wharf_runtime::config::Config;
use wharf_runtime::redrive::Filter;

use crate::output::unusable;
use crate::{ConfigFile, Listing, bundle};

mod list;
mod redrive;
mod show;

/// Subcommands of `dlq`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// How many dead letters there are, by connector, code and stage.
    Ls(Listing),
    /// The dead letters of a connector: place, reason, headers, key and value.
    Show(Show),
    /// Send the records in dead letters back to where they came from, each once.
    Redrive(Redrive),
}

#[derive(Debug, clap::Args)]
pub struct Show {
    #[command(flatten)]
    file: ConfigFile,
    /// Name of a source or sink.
    connector: String,
    #[command(flatten)]
    only: Only,
    /// End after this many.
    #[arg(long, short = 'n', value_name = "LETTERS")]
    limit: Option<usize>,
    /// One JSON object a letter.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Redrive {
    #[command(flatten)]
    file: ConfigFile,
    /// Name of a source or sink.
    connector: String,
    #[command(flatten)]
    only: Only,
    /// Records a second at most, such as 50/s; left out: as fast as the log takes them.
    #[arg(long, value_parser = redrive::rate)]
    rate: Option<std::num::NonZeroU32>,
    /// Leave those that died more often where they are.
    #[arg(long, default_value_t = 3)]
    max_attempts: u32,
    /// Also send records that a newer record of their key has overtaken: an upsert goes back to them.
    #[arg(long)]
    overtaken: bool,
    /// Send to this topic instead; then every reader of it takes them.
    #[arg(long, value_name = "TOPIC")]
    to: Option<String>,
    /// Say what would be sent, and send nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Which dead letters; all that is given must hold.
#[derive(Debug, clap::Args)]
pub struct Only {
    /// Of this code; may be repeated.
    #[arg(long)]
    code: Vec<String>,
    /// Died at this time or later (RFC 3339).
    #[arg(long, value_parser = time)]
    since: Option<i64>,
    /// Died before this time (RFC 3339).
    #[arg(long, value_parser = time)]
    until: Option<i64>,
    /// The one of this place, topic/partition/offset: of the record, or of the letter itself.
    #[arg(long, value_parser = place)]
    place: Option<String>,
}

impl Only {
    fn filter(&self) -> Filter {
        Filter { codes: self.code.clone(), since: self.since, until: self.until, place: self.place.clone() }
    }
}

/// What is said where no letter was met; `letters` are all of the connector.
fn nothing(connector: &str, only: &Only, letters: usize) -> String {
    if letters == 0 || only.filter() == Filter::default() {
        return format!("there is no dead letter of `{connector}`");
    }
    format!("the filter matches none of the {letters} dead letters of `{connector}`; `wharf dlq ls` shows their codes and times")
}

fn place(text: &str) -> Result<String, String> {
    let mut parts = text.rsplitn(3, '/');
    let mut number = || parts.next().is_some_and(|part| part.parse::<u64>().is_ok());
    let numbers = number() && number();
    if numbers && parts.next().is_some_and(|topic| !topic.is_empty()) {
        return Ok(text.to_owned());
    }
    Err("expected topic/partition/offset, such as orders/0/17".to_owned())
}

fn time(text: &str) -> Result<i64, String> {
    let time = text.parse::<jiff::Timestamp>();
    time.map(jiff::Timestamp::as_millisecond).map_err(|_| "expected a time such as 2026-01-31T00:00:00Z".to_owned())
}

/// Runs the command.
pub async fn dlq(command: Command) -> Result<ExitCode> {
    let file = match &command {
        Command::Ls(ls) => &ls.file,
        Command::Show(show) => &show.file,
        Command::Redrive(redrive) => &redrive.file,
    };
    let config = match Config::load_with(&file.config, &bundle::known_without_secrets()) {
        Ok((config, _)) => config,
        Err(errors) => return Ok(unusable(&errors)),
    };
    match command {
        Command::Ls(ls) => list::list(&config, ls.connector.as_deref(), ls.json).await,
        Command::Show(args) => show::show(&config, &args).await,
        Command::Redrive(args) => redrive::redrive(&config, &args).await,
    }
}
