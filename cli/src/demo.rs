//! `wharf demo`: the retail example from end to end. The systems outside (an ERP, a warehouse system's files, marketing's
//! senders) are fixtures that stand in `demo/`; what runs between them is the same binary, TOML and components as anywhere.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::sync::watch;
use wharf_runtime::config::Config;
use wharf_runtime::supervisor::{Outcome, StartError};
use wharf_runtime::telemetry::Telemetry;

use crate::output::{FAILED, OK, say, unusable};
use crate::{bundle, run, summary};

mod erp;
mod files;
mod report;
mod senders;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder for the example: configuration, data, topics and warehouse. A second run goes on where the first one ended.
    #[arg(long, default_value = "wharf-demo")]
    dir: PathBuf,
    /// Use this Kafka instead of the embedded log.
    #[arg(long, value_name = "BOOTSTRAP_SERVERS")]
    kafka: Option<String>,
}

/// Runs the command.
pub async fn demo(args: Args) -> Result<ExitCode> {
    let places = files::prepare(&args.dir, args.kafka.as_deref()).with_context(|| format!("preparing {}", args.dir.display()))?;
    let (config, findings) = match Config::load_with(&places.config, &bundle::known()) {
        Ok(loaded) => loaded,
        Err(errors) => return Ok(unusable(&errors)),
    };
    say!("The retail example in {} (its configuration: {})", args.dir.display(), places.config.display());
    let erp = erp::start(&args.dir, &places.erp).await?;
    let telemetry = Arc::new(Telemetry::default());
    let (done, sent) = watch::channel(false);
    let senders = tokio::spawn(senders::send(args.dir.clone(), places.listen.clone(), done));
    let ended = run::deployment(config.clone(), &telemetry, Some(sent)).await;
    let posts = finish(senders, &ended).await?;
    erp.stop().await;
    let snapshot = telemetry.snapshot();
    let Ok(outcome) = ended else { return Ok(run::exit(findings, ended)) };
    report::arrived(&config, &args.dir, &posts).await?;
    say!("");
    summary::table(&snapshot);
    report::answers(&args.dir)?;
    report::next_steps(&args.dir, &places.config);
    say!("{}", summary::sum(&snapshot));
    let good = outcome == Outcome::Clean && snapshot.adds_up();
    Ok(ExitCode::from(if good { OK } else { FAILED }))
}

/// What the senders did; they are ended where the deployment did not start or was stopped.
async fn finish(
    senders: tokio::task::JoinHandle<Result<senders::Posts>>,
    ended: &Result<Outcome, StartError>,
) -> Result<senders::Posts> {
    if !senders.is_finished() {
        senders.abort();
    }
    match senders.await {
        Ok(Ok(posts)) => Ok(posts),
        Ok(Err(error)) if ended.is_ok() => Err(error),
        _ => Ok(senders::Posts::default()),
    }
}

/// A path inside the example's folder.
fn inside(dir: &Path, name: &str) -> PathBuf {
    dir.join(name)
}
