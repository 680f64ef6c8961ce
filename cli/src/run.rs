//! `wharf run`: runs a deployment until it is told to stop (SIGTERM, Ctrl-C) or, with `--until-done`, until nothing is left to do.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use wharf_runtime::config::{Config, Findings};
use wharf_runtime::supervisor::{self, Options, Outcome, StartError};
use wharf_runtime::telemetry::Telemetry;
use wharf_runtime::topic_log::LogError;

use crate::output::{ALL_FAILED, FAILED, OK, unusable};
use crate::progress::Progress;
use crate::{ConfigFile, bundle, check, summary};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: ConfigFile,
    /// End when every source has nothing more to read and every sink has caught up. Webhooks count as done when no request waits.
    #[arg(long)]
    until_done: bool,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode> {
    let (config, findings) = match Config::load_with(&args.file.config, &bundle::known()) {
        Ok(loaded) => loaded,
        Err(errors) => return Ok(unusable(&errors)),
    };
    if !findings.list.is_empty() {
        eprintln!("{findings}");
    }
    let telemetry = Arc::new(Telemetry::default());
    // Nobody tells when the senders of webhooks are done: they count as done from the start.
    let (_senders, senders) = watch::channel(true);
    let ended = deployment(config, &telemetry, args.until_done.then_some(senders)).await;
    // Nothing ran: a table of zeros would hide why.
    if ended.is_ok() {
        summary::print(&telemetry.snapshot());
    }
    Ok(exit(findings, ended))
}

/// Runs a deployment with progress shown, and drains it on a signal.
///
/// # Errors
/// What kept it from starting.
pub async fn deployment(
    config: Config,
    telemetry: &Arc<Telemetry>,
    until_done: Option<watch::Receiver<bool>>,
) -> Result<Outcome, StartError> {
    let (ask, stop) = watch::channel(false);
    let signals = tokio::spawn(listen_to_signals(ask));
    let progress = Progress::start(Arc::clone(telemetry));
    let ended = supervisor::run(config, bundle::BUNDLE, telemetry, Options { until_done, stop }).await;
    progress.end().await;
    signals.abort();
    ended
}

/// Signals that come together are one: a process group and its leader are often both sent one.
const TOGETHER: Duration = Duration::from_secs(1);

/// The first signal asks for a drain, a later one ends the process at once: nothing is lost by it, what was not confirmed
/// comes again.
async fn listen_to_signals(ask: watch::Sender<bool>) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        tracing::warn!("signals cannot be listened to: SIGTERM ends without a drain");
        return std::future::pending().await;
    };
    let mut asked: Option<Instant> = None;
    loop {
        // Cancel-safe: a signal that the other branch won over is delivered again.
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        match asked {
            None => {
                asked = Some(Instant::now());
                ask.send_replace(true);
            }
            Some(first) if first.elapsed() < TOGETHER => {}
            Some(_) => break,
        }
    }
    tracing::warn!("second signal: ending without a drain");
    std::process::exit(i32::from(FAILED));
}

/// The exit code of a run that ended like this, after what has to be said of it.
pub fn exit(findings: Findings, ended: Result<Outcome, StartError>) -> ExitCode {
    let code = match ended {
        Ok(Outcome::Clean) => OK,
        Ok(Outcome::DrainDeadline) => {
            eprintln!("stopped before everything was confirmed (`drain-timeout`): it is delivered again at the next start");
            FAILED
        }
        Ok(Outcome::SomeFailed) => FAILED,
        Ok(Outcome::AllFailed) => ALL_FAILED,
        // A full disk, for example: nothing is wrong with the configuration.
        Err(StartError::Log(error @ LogError::Retry(_))) => {
            eprintln!("error: {}: topic log: {error}", findings.path.display());
            FAILED
        }
        Err(StartError::Misfits(list)) => return unusable(&check::misfits(findings, &list)),
        Err(error) => return unusable(&format!("error: {}: {error}", findings.path.display())),
    };
    ExitCode::from(code)
}
