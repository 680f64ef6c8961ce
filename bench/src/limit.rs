//! The limits: what a good engineer writes by hand with rdkafka for one pipeline, without any framework. `compare` measures Wharf
//! against them. Each runs until SIGTERM. There are no retries: what is not a bad record ends the process with an error, and a
//! new start goes on where the last one has committed.

pub mod dead_letters;
pub mod file;
pub mod group;
pub mod http;
pub mod idle;
pub mod postgres;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use rdkafka::ClientConfig;
use tokio::signal::unix::{SignalKind, signal};

/// One pipeline.
#[derive(Debug, clap::Subcommand)]
pub enum Pipeline {
    /// A topic into a table of PostgreSQL
    Postgres(postgres::Options),
    /// A file of JSON Lines into a topic
    File(file::Options),
    /// A topic into an HTTP service
    Http(http::Options),
    /// Topics that are read, and that hold little
    Idle(idle::Options),
}

/// # Errors
/// When Kafka or the other side refuses.
pub fn run(pipeline: &Pipeline) -> Result<()> {
    let stop = stop_at_sigterm()?;
    match pipeline {
        Pipeline::Postgres(options) => postgres::run(options, &stop),
        Pipeline::File(options) => file::run(options, &stop),
        Pipeline::Http(options) => http::run(options, &stop),
        Pipeline::Idle(options) => idle::run(options, &stop),
    }
}

fn config(kafka: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka).set("enable.metrics.push", "false");
    config
}

/// The flag is set when the process is asked to end.
fn stop_at_sigterm() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("waiting for SIGTERM")?;
    let mut asked = {
        let _inside = runtime.enter();
        signal(SignalKind::terminate()).context("waiting for SIGTERM")?
    };
    let flag = Arc::clone(&stop);
    std::thread::spawn(move || {
        runtime.block_on(asked.recv());
        flag.store(true, Ordering::Release);
    });
    Ok(stop)
}
