//! The `wharf` command: arguments to library calls to exit codes. One file a command; what they do is the library's.
//!
//! Exit codes: 0 done or drained, 1 something went wrong on the way, 2 the command line or the configuration cannot work,
//! 3 every connector failed.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bundle;
mod check;
mod demo;
mod dlq;
mod inspect;
mod log;
mod new;
mod offsets;
mod output;
mod progress;
mod run;
mod status;
mod summary;
mod topic;
mod trial;

/// Runs Kafka connectors as sandboxed WebAssembly components.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
struct Cli {
    /// Form of log lines, which go to stderr. The filter is RUST_LOG (default: info).
    #[arg(long, global = true, value_enum, default_value_t = log::Form::Text)]
    log: log::Form,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The retail example: no Kafka, no accounts, a finished result in a minute.
    Demo(demo::Args),
    /// Validate everything that can be validated without moving a record.
    Check(check::Args),
    /// Run a deployment.
    Run(run::Args),
    /// What a component is, wants (capabilities) and takes (configuration schema).
    Inspect(inspect::Args),
    /// Write a connector project that stands alone: a component in Rust, its tests, the SDK, and a pipeline to run it in.
    ///
    /// Makes the folder NAME here. It needs Rust with the target wasm32-wasip2, and neither Wharf's sources nor its SDK from
    /// anywhere: both lie in the folder. The README.md in it says how to go on.
    New(new::Args),
    /// Run a component on fixture records and print what came of each.
    ///
    /// Nothing is stored, acknowledged or sent again. What the component may reach is what the flags allow; its own output and
    /// its log lines go to stderr. Exit code 0 when every call worked and every record was accepted, put out or filtered; 1 when
    /// one was rejected or is to be tried again, or a call failed; 2 when the component, its configuration or the input cannot work.
    Try(trial::Args),
    /// State of each task of a running deployment, and why one is stopped.
    Status(status::Args),
    /// Look into topics.
    #[command(subcommand)]
    Topic(topic::Command),
    /// Dead letters: counts, contents, and sending them back.
    #[command(subcommand)]
    Dlq(dlq::Command),
    /// Where connectors stand, and putting a stopped one somewhere else.
    #[command(subcommand)]
    Offsets(offsets::Command),
}

/// The configuration file of a deployment.
#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// Configuration of the deployment.
    #[arg(value_name = "FILE.toml")]
    config: PathBuf,
}

/// What commands that list something take.
#[derive(Debug, clap::Args)]
struct Listing {
    #[command(flatten)]
    file: ConfigFile,
    /// Name of a source or sink; left out: all.
    connector: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    log::start(cli.log);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::failed(&error.into()),
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Demo(args) => demo::demo(args).await,
            Command::Check(args) => check::check(args).await,
            Command::Run(args) => run::run(args).await,
            Command::Inspect(args) => inspect::inspect(args).await,
            Command::New(args) => new::new(&args),
            Command::Try(args) => trial::trial(args).await,
            Command::Status(args) => status::status(args).await,
            Command::Topic(command) => topic::topic(command).await,
            Command::Dlq(command) => dlq::dlq(command).await,
            Command::Offsets(command) => offsets::offsets(command).await,
        }
    });
    // Work that a drain deadline gave up may still block a thread: it comes again at the next start.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    done.unwrap_or_else(|error| output::failed(&error))
}
