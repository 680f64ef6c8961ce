//! What a worker on Kafka cannot do without, written by hand with rdkafka: take over a transactional id, read the positions to
//! their end, write the file's last line with its position in one transaction, join the sink's group, and write what arrives
//! to SQLite. No guests, no claims, no topics to create, no retries: the limit for a start.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::util::Timeout;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rusqlite::Connection;
use tokio::signal::unix::{SignalKind, signal};

const ASK: Duration = Duration::from_secs(10);

/// Where it runs.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[arg(long)]
    kafka: String,
    /// In topics, group and transactional id
    #[arg(long)]
    name: String,
}

/// Creates what a start finds: topics, and one position.
///
/// # Errors
/// When Kafka refuses.
pub fn prepare(kafka: &str, name: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = config(kafka).create()?;
    let topics = [topic(name), positions(name)];
    let new: Vec<_> = topics.iter().map(|topic| NewTopic::new(topic, 1, TopicReplication::Fixed(-1))).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for made in runtime.block_on(admin.create_topics(&new, &AdminOptions::new()))? {
        made.map_err(|(name, code)| anyhow::anyhow!("creating topic `{name}`: {code}"))?;
    }
    Ok(())
}

/// # Errors
/// When Kafka or the target refuses.
pub fn run(options: &Options) -> Result<()> {
    let Options { kafka, name } = options;
    let target = Connection::open("warehouse.sqlite")?;
    target.pragma_update(None, "journal_mode", "wal")?;
    target.execute_batch("create table if not exists stock (id text primary key, quantity text)")?;
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut asked = {
        let _inside = runtime.enter();
        signal(SignalKind::terminate())?
    };
    // As Wharf does: the source and the sink start side by side.
    let sink = {
        let (kafka, name, stop) = (kafka.clone(), name.clone(), Arc::clone(&stop));
        std::thread::spawn(move || consume(&kafka, &name, &target, &stop))
    };
    let produced = produce(kafka, name);
    if produced.is_ok() {
        runtime.block_on(asked.recv());
    }
    stop.store(true, Ordering::Release);
    match sink.join() {
        Ok(ended) => produced.and(ended),
        Err(_) => bail!("the consumer panicked"),
    }
}

fn config(kafka: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka).set("enable.metrics.push", "false");
    config
}

fn consumer(kafka: &str, group: &str) -> Result<BaseConsumer> {
    let mut config = config(kafka);
    config.set("group.id", group).set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
    config.set("enable.partition.eof", "true").set("isolation.level", "read_committed").set("fetch.queue.backoff.ms", "10");
    config.set("partition.assignment.strategy", "cooperative-sticky").set("auto.offset.reset", "earliest");
    Ok(config.create()?)
}

fn topic(name: &str) -> String {
    format!("{name}-stock")
}

fn positions(name: &str) -> String {
    format!("wharf.{name}.positions")
}

/// The source: init, position, one transaction.
fn produce(kafka: &str, name: &str) -> Result<()> {
    let mut config = config(kafka);
    config.set("transactional.id", name).set("transaction.timeout.ms", "60000");
    let producer: BaseProducer = config.create()?;
    producer.init_transactions(ASK)?;
    read_positions(kafka, name)?;
    let file = fs::read_to_string("in/stock.csv")?;
    let line = file.lines().last().context("no line")?;
    producer.begin_transaction()?;
    let records = [(topic(name), line), (positions(name), "position")];
    for (topic, value) in &records {
        let record = BaseRecord::to(topic).key(value.split(',').next().unwrap_or_default()).payload(*value);
        producer.send(record).map_err(|(error, _)| error)?;
    }
    while producer.in_flight_count() > 0 {
        producer.poll(Duration::from_millis(1));
    }
    producer.commit_transaction(Timeout::Never)?;
    Ok(())
}

/// To the end as it is now, committed records only.
fn read_positions(kafka: &str, name: &str) -> Result<()> {
    let topic = positions(name);
    let mut config = config(kafka);
    config.set("group.id", &topic).set("enable.auto.commit", "false").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.set("fetch.wait.max.ms", "10").create()?;
    if consumer.fetch_watermarks(&topic, 0, ASK)?.1 == 0 {
        return Ok(());
    }
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Beginning)?;
    consumer.assign(&list)?;
    let deadline = Instant::now() + ASK;
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
            Some(Err(error)) => return Err(error.into()),
            Some(Ok(_)) | None => {}
        }
    }
    bail!("the end of `{topic}` was not reached")
}

/// The sink: join, write, commit, until it is told to stop.
fn consume(kafka: &str, name: &str, target: &Connection, stop: &AtomicBool) -> Result<()> {
    let consumer = consumer(kafka, name)?;
    consumer.subscribe(&[&topic(name)])?;
    while !stop.load(Ordering::Acquire) {
        match consumer.poll(Duration::from_millis(100)) {
            None | Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Err(error)) => return Err(error.into()),
            Some(Ok(message)) => {
                let value = std::str::from_utf8(message.payload().unwrap_or_default())?;
                let (id, quantity) = value.split_once(',').context("not a line")?;
                target.execute("insert into stock values (?, ?) on conflict do nothing", [id, quantity])?;
                consumer.commit_message(&message, CommitMode::Sync)?;
            }
        }
    }
    Ok(())
}
