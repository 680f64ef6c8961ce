//! A topic of orders into a table. One thread reads, parses and encodes; each connection has a thread of its own, which writes one
//! batch while the next is made. A partition always goes to the same connection: order per key.

pub mod batch;
pub mod copy;
pub mod lane;
pub mod order;
pub mod places;
pub mod reader;
pub mod verdict;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use self::batch::{Batch, Limits};
use self::lane::Lane;
use self::reader::{Reader, Way};
use super::dead_letters::DeadLetters;
use super::group::Member;

/// Where it runs.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[arg(long)]
    kafka: String,
    /// postgres://USER@HOST:PORT/DATABASE
    #[arg(long)]
    postgres: String,
    #[arg(long)]
    topic: String,
    #[arg(long)]
    table: String,
    #[arg(long)]
    group: String,
    /// Keep the places in the database, in the transaction of the rows
    #[arg(long)]
    exactly_once: bool,
    /// Where records go that do not parse or that the database refuses
    #[arg(long, default_value = "dead-letters.jsonl")]
    dead_letters: PathBuf,
    #[arg(long, default_value_t = 2)]
    connections: usize,
    #[arg(long, default_value_t = 20_000)]
    rows: usize,
    #[arg(long, default_value_t = 16 << 20)]
    bytes: usize,
    #[arg(long, default_value_t = 50)]
    wait_ms: u64,
}

/// # Errors
/// When Kafka or the database refuses.
pub fn run(options: &Options, stop: &AtomicBool) -> Result<()> {
    let letters = DeadLetters::open(&options.dead_letters)?;
    let limits = Limits { rows: options.rows, bytes: options.bytes, wait: Duration::from_millis(options.wait_ms) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if options.exactly_once {
        runtime.block_on(places::create(&options.postgres))?;
    }
    let (tell, done) = channel();
    thread::scope(|scope| {
        let mut ways = Vec::new();
        for at in 0..options.connections.max(1) {
            let (batches, received) = channel();
            ways.push(Way::new(batches, Batch::new(&options.topic, &limits)));
            let (tell, letters) = (tell.clone(), letters.clone());
            scope.spawn(move || {
                let offsets = options.exactly_once.then(|| (options.group.clone(), options.topic.clone()));
                let open = Lane::open(&options.postgres, &options.table, offsets, letters);
                if let Err(error) = lane::run(open, &received, |written| tell.send((at, written)).is_ok()) {
                    // Nobody listens where an error was told before.
                    drop(tell.send((at, Err(error))));
                }
            });
        }
        let member = Member::join(&options.kafka, &options.group, &options.topic)?;
        Reader::new(options, limits, member, (ways, done), runtime).run(stop)
    })
}
