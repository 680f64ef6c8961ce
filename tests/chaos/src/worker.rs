//! The worker that is killed: what `wharf run` does, in this binary, because fault points are compiled in here and not there.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;
use wharf_runtime::config::{Config, Known};
use wharf_runtime::supervisor::{self, Bundle, Options, Outcome};
use wharf_runtime::telemetry::Telemetry;

const BUNDLE: Bundle = Bundle { component: wharf_bundle::component, names: wharf_bundle::names };

/// Exit code of a worker whose counters do not add up.
pub const UNEVEN: u8 = 4;

/// A write beyond the file size limit (`setrlimit(2)`) raises it; unhandled it ends the process.
const SIGXFSZ: i32 = 25;

/// Runs until SIGTERM, then drains. Exits 0 when it drained and its counters add up.
pub async fn run(file: &Path) -> Result<ExitCode> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(false)
        .compact()
        .with_writer(std::io::stderr)
        .init();
    let names = wharf_bundle::names().iter().map(|name| (*name).to_owned()).collect();
    let known = Known { components: Some(names), without_secrets: false };
    let (config, _) = Config::load_with(file, &known).map_err(|errors| anyhow::anyhow!("{errors}"))?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    // Handled, a full disk by limit is an error of the write as a real one is.
    let _full = signal(SignalKind::from_raw(SIGXFSZ)).context("SIGXFSZ")?;
    let (ask, stop) = watch::channel(false);
    let signals = tokio::spawn(async move {
        terminate.recv().await;
        ask.send_replace(true);
        std::future::pending::<()>().await;
    });
    let telemetry = Arc::new(Telemetry::default());
    let outcome = supervisor::run(config, BUNDLE, &telemetry, Options { until_done: None, stop }).await?;
    signals.abort();
    let snapshot = telemetry.snapshot();
    for row in snapshot.connectors().iter().filter(|row| !row.adds_up()) {
        eprintln!("counters do not add up: {row:?}");
    }
    if !snapshot.adds_up() {
        return Ok(ExitCode::from(UNEVEN));
    }
    match outcome {
        Outcome::Clean => Ok(ExitCode::SUCCESS),
        other => bail!("the worker ended as {other:?}"),
    }
}
