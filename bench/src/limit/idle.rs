//! Consumers with little to do, one a topic: what any worker with so many sinks has to hold. What they read is counted and dropped.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rdkafka::consumer::{BaseConsumer, Consumer as _};

/// What to read.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[arg(long)]
    kafka: String,
    /// Topics are PREFIX0, PREFIX1 and so on; each has a group of the same name
    #[arg(long)]
    topic_prefix: String,
    #[arg(long, default_value_t = 20)]
    count: usize,
}

/// Prints how many records were read, at the end.
///
/// # Errors
/// When Kafka refuses.
#[expect(clippy::print_stdout, reason = "the count is for whoever compares")]
pub fn run(options: &Options, stop: &AtomicBool) -> Result<()> {
    let read = AtomicU64::new(0);
    let consumers = (0..options.count).map(|at| consumer(options, at)).collect::<Result<Vec<_>>>()?;
    thread::scope(|scope| {
        let threads: Vec<_> = consumers.iter().map(|consumer| scope.spawn(|| drain(consumer, &read, stop))).collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a consumer's thread panicked"))??;
        }
        println!("{}", read.load(Ordering::Acquire));
        Ok(())
    })
}

fn consumer(options: &Options, at: usize) -> Result<BaseConsumer> {
    let topic = format!("{}{at}", options.topic_prefix);
    let mut config = super::config(&options.kafka);
    config.set("group.id", &topic).set("auto.offset.reset", "earliest").set("isolation.level", "read_committed");
    let consumer: BaseConsumer = config.create().context("making a consumer")?;
    consumer.subscribe(&[&topic]).with_context(|| format!("subscribing to `{topic}`"))?;
    Ok(consumer)
}

fn drain(consumer: &BaseConsumer, read: &AtomicU64, stop: &AtomicBool) -> Result<()> {
    while !stop.load(Ordering::Acquire) {
        if let Some(message) = consumer.poll(Duration::from_millis(500)) {
            message.context("reading")?;
            read.fetch_add(1, Ordering::AcqRel);
        }
    }
    Ok(())
}
