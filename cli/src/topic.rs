//! `wharf topic ls` and `wharf topic cat`: looks into the topics of a deployment, Kafka's or the embedded log's, also while it runs.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow};
use wharf_runtime::batch::Record;
use wharf_runtime::config::{Config, parse_start};
use wharf_runtime::topic_log::{Start, open};

use crate::output::{OK, say, unusable};
use crate::{ConfigFile, bundle};

mod show;

pub use show::{json, structured, text, time};

/// Wait for new records once the end was reached.
const WAIT: Duration = Duration::from_secs(1);

/// Subcommands of `topic`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// All topics with their partitions and number of records.
    Ls(ConfigFile),
    /// The records of a topic, oldest first within each partition.
    Cat(Cat),
}

#[derive(Debug, clap::Args)]
pub struct Cat {
    #[command(flatten)]
    file: ConfigFile,
    /// Name of the topic.
    topic: String,
    /// Where to begin: earliest, latest, or a time (RFC 3339).
    #[arg(long, default_value = "earliest", value_parser = start)]
    from: Start,
    /// Wait for new records until interrupted.
    #[arg(long, short)]
    follow: bool,
    /// Show headers too.
    #[arg(long)]
    headers: bool,
    /// One JSON object a record. Values that are JSON stand as JSON, other text as a string, bytes as {"base64": …}.
    #[arg(long)]
    json: bool,
    /// End after this many records.
    #[arg(long, short = 'n', value_name = "RECORDS")]
    limit: Option<usize>,
}

fn start(text: &str) -> Result<Start, String> {
    parse_start(text).ok_or_else(|| "expected earliest, latest or a time such as 2026-01-31T00:00:00Z".to_owned())
}

/// Runs the command.
pub async fn topic(command: Command) -> Result<ExitCode> {
    match command {
        Command::Ls(file) => match load(&file) {
            Ok(config) => list(&config).await,
            Err(code) => Ok(code),
        },
        Command::Cat(cat) => match load(&cat.file) {
            Ok(config) => print(&config, &cat).await,
            Err(code) => Ok(code),
        },
    }
}

fn load(file: &ConfigFile) -> Result<Config, ExitCode> {
    Config::load_with(&file.config, &bundle::known_without_secrets())
        .map(|(config, _)| config)
        .map_err(|errors| unusable(&errors))
}

async fn list(config: &Config) -> Result<ExitCode> {
    let log = open::open_read_only(config)?;
    let topics = log.topics().await?;
    let width = topics.iter().map(|topic| topic.name.len()).max().unwrap_or(0).max(5);
    say!("{:width$}  {:>10}  {:>12}", "TOPIC", "PARTITIONS", "RECORDS");
    for topic in topics {
        let records: i64 = topic.partitions.iter().map(|p| p.high - p.low).sum();
        say!("{:width$}  {:>10}  {records:>12}", topic.name, topic.partitions.len());
    }
    Ok(ExitCode::from(OK))
}

async fn print(config: &Config, cat: &Cat) -> Result<ExitCode> {
    let log = open::open_read_only(config)?;
    let mut reader = log.read(&cat.topic, cat.from).await?;
    let mut left = cat.limit.unwrap_or(usize::MAX);
    while left > 0 {
        let batch = reader.next(WAIT).await.map_err(|error| anyhow!("reading `{}`: {error}", cat.topic))?;
        if batch.is_empty() && !cat.follow {
            break;
        }
        for record in batch.records().take(left) {
            show(cat, &record);
        }
        left = left.saturating_sub(batch.len());
    }
    Ok(ExitCode::from(OK))
}

fn show(cat: &Cat, record: &Record<'_>) {
    if cat.json {
        say!("{}", json(record));
        return;
    }
    let time = time(record.timestamp);
    say!("{}/{}  {time}  {}  {}", record.partition, record.offset, text(record.key), text(record.value));
    if cat.headers {
        for (name, value) in &record.headers {
            say!("    {}: {}", String::from_utf8_lossy(name), text(*value));
        }
    }
}
