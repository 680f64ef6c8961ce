//! The measurements that need processes: `cargo run --release -p wharf-bench -- start --help`.

use anyhow::Result;
use clap::{Parser, Subcommand};
use wharf_bench::start::{self, bare};
use wharf_bench::{compare, instructions, limit};

#[derive(Parser)]
#[command(about = "What Wharf costs")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Wharf beside Kafka Connect, Redpanda Connect and hand-written programs, on the same records
    Compare(compare::Options),
    /// Time from the start of a worker to the first row in the target
    Start(start::Options),
    /// The bare client that `start` measures Wharf against
    #[command(hide = true)]
    Bare(bare::Options),
    /// Instructions a record at the boundary and on both lines, counted by callgrind and held against a baseline
    Instructions(instructions::Options),
    /// The process that `instructions` counts for the boundary
    #[command(hide = true)]
    Boundary(instructions::boundary::Options),
    /// A pipeline written by hand with rdkafka, which Wharf is compared with
    #[command(subcommand)]
    Limit(limit::Pipeline),
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Compare(options) => compare::run(&options),
        Command::Start(options) => start::run(&options),
        Command::Bare(options) => bare::run(&options),
        Command::Instructions(options) => instructions::run(&options),
        Command::Boundary(options) => instructions::boundary::run(&options),
        Command::Limit(pipeline) => limit::run(&pipeline),
    }
}
