//! `wharf-chaos`: kills a real worker again and again, breaks the servers around it, and compares what arrived with what was
//! sent. Arguments to a run to an exit code; the run itself is in `run.rs`.

use std::process::ExitCode;

use clap::Parser as _;

mod compare;
mod fault;
mod leg;
mod numbered;
mod options;
mod path;
mod process;
mod progress;
mod report;
mod run;
mod schedule;
mod servers;
mod worker;

/// SIGTERM or Ctrl-C.
async fn interrupted() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            // Cancel-safe: either ends the run.
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(error) => {
            eprintln!("signals cannot be listened to: {error}");
            std::future::pending::<()>().await;
        }
    }
}

fn main() -> ExitCode {
    let cli = options::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        match cli.command {
            Some(options::Command::Worker { config }) => worker::run(&config).await,
            // Cancel-safe: what the run has started ends as it is dropped.
            None => tokio::select! {
                done = run::run(&cli.options) => done,
                () = interrupted() => Err(anyhow::anyhow!("interrupted; with --state the same command goes on where it was")),
            },
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
