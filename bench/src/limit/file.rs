//! A file of JSON Lines into a topic. One thread reads and checks, one sends.

pub mod lines;
pub mod plain;
pub mod transactional;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use anyhow::{Result, anyhow};
use rdkafka::ClientConfig;

use self::lines::Block;
use self::plain::Plain;
use self::transactional::Transactional;
use super::dead_letters::DeadLetters;

/// Blocks that are read ahead.
const AHEAD: usize = 2;

/// Where it runs.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[arg(long)]
    kafka: String,
    #[arg(long)]
    file: PathBuf,
    #[arg(long)]
    topic: String,
    /// Exactly once: the place goes to the topic TOPIC.positions, in the transaction of the records
    #[arg(long)]
    transactional: bool,
    /// Where the place is kept without transactions; default: FILE.place
    #[arg(long)]
    state: Option<PathBuf>,
    /// Where lines go that are no JSON object
    #[arg(long, default_value = "dead-letters.jsonl")]
    dead_letters: PathBuf,
}

/// # Errors
/// When the file cannot be read, or Kafka refuses.
pub fn run(options: &Options, stop: &AtomicBool) -> Result<()> {
    let Options { kafka, file, topic, .. } = options;
    let letters = DeadLetters::open(&options.dead_letters)?;
    if options.transactional {
        let transactional = Transactional::new(kafka, topic, file.display().to_string(), letters)?;
        let place = transactional.place()?;
        return beside(options, place, stop, |blocks| transactional.run(blocks, stop));
    }
    let state = options.state.clone().unwrap_or_else(|| file.with_added_extension("place"));
    let place = plain::kept(&state)?;
    let plain = Plain::new(kafka, topic, state, letters)?;
    beside(options, place, stop, |blocks| plain.run(blocks, stop))
}

/// Reads on one thread while `send` takes on this one.
fn beside(options: &Options, place: u64, stop: &AtomicBool, send: impl FnOnce(&Receiver<Block>) -> Result<()>) -> Result<()> {
    let (blocks, taken) = sync_channel(AHEAD);
    thread::scope(|scope| {
        let reader = scope.spawn(move || lines::read(&options.file, place, &blocks, stop));
        let sent = send(&taken);
        // The reader may wait for room.
        drop(taken);
        let read = reader.join().map_err(|_| anyhow!("the reader panicked"))?;
        sent.and(read)
    })
}

/// What both ways have in common.
fn producer(kafka: &str) -> ClientConfig {
    let mut config = super::config(kafka);
    config.set("compression.type", "none").set("linger.ms", "5").set("batch.size", "1000000");
    config.set("queue.buffering.max.messages", "100000");
    config
}
