//! The worker as a process of its own, so that SIGKILL takes all of it at once. It is this same binary.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tokio::sync::watch;
use tracing_subscriber::EnvFilter;
use wharf_runtime::config::Config;
use wharf_runtime::supervisor::{self, Options};
use wharf_runtime::telemetry::Telemetry;

use crate::flow::components::BUNDLE;
use crate::flow::deployment::Deployment;

/// Names the TOML of a worker.
const FILE: &str = "WHARF_TEST_DAY_WORKER";

/// A worker that runs. It is killed when it is dropped.
pub struct Worker {
    child: Child,
    /// Where it logs to.
    log: std::path::PathBuf,
}

impl Worker {
    pub async fn start(deployment: &Deployment, body: &str) -> Self {
        let (file, log) = (deployment.prepare(body).await, deployment.path("worker.log"));
        let lines = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "--nocapture", "flow::day::process::worker"]).env(FILE, file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(lines);
        Self { child: command.spawn().unwrap(), log }
    }

    /// It has to be running.
    pub fn check(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            panic!("the worker has ended by itself, {status}:\n{}", lines[lines.len().saturating_sub(25)..].join("\n"));
        }
    }

    /// Kills it (SIGKILL), wherever it stands.
    pub fn kill(mut self) {
        self.check();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // After a kill there is nothing left to end.
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("the worker could not be ended: {error}");
        }
    }
}

#[test]
#[ignore = "no test: the process that the day starts and kills"]
fn worker() {
    let Ok(file) = std::env::var(FILE) else { return };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(std::io::stderr).init();
    let config =
        Config::parse(&std::fs::read_to_string(&file).unwrap(), file.as_ref()).unwrap_or_else(|errors| panic!("{errors}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (_asks, stop) = watch::channel(false);
    let ended = runtime.block_on(async {
        supervisor::run(config, BUNDLE, &Arc::new(Telemetry::default()), Options { until_done: None, stop }).await
    });
    panic!("nobody asked it to end: {ended:?}");
}
