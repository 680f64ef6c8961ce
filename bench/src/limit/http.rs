//! A topic into an HTTP service: bodies of lines, several requests in flight, of each partition acknowledged in order.

pub mod post;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::{BufMut as _, Bytes, BytesMut};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::message::{BorrowedMessage, Message};
use tokio::runtime::Runtime;

use self::post::{Body, Posts};
use super::group::{Member, Places, Rebalance};

const WAIT: Duration = Duration::from_millis(50);

/// Where it runs.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[arg(long)]
    kafka: String,
    #[arg(long)]
    url: hyper::Uri,
    #[arg(long)]
    topic: String,
    #[arg(long)]
    group: String,
    /// Requests in flight, over all partitions
    #[arg(long, default_value_t = 8)]
    in_flight: usize,
    /// At most one request in flight of each partition, so that they also arrive in order
    #[arg(long)]
    ordered: bool,
    /// Records in a body
    #[arg(long, default_value_t = 500)]
    records: usize,
}

/// A partition's records on their way.
struct Way {
    filling: BytesMut,
    records: usize,
    next: i64,
    first: Instant,
    bodies: tokio::sync::mpsc::Sender<Body>,
    in_flight: usize,
}

struct Pump<'a> {
    options: &'a Options,
    member: Member,
    posts: Posts,
    runtime: Runtime,
    ways: HashMap<i32, Way>,
    tell: Sender<Result<Body>>,
    done: Receiver<Result<Body>>,
    /// Answered, and not committed yet.
    answered: Places,
    committed: Instant,
}

/// # Errors
/// When Kafka or the service refuses.
pub fn run(options: &Options, stop: &AtomicBool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let posts = Posts::new(&options.url, options.in_flight);
    let member = Member::join(&options.kafka, &options.group, &options.topic)?;
    let (tell, done) = channel();
    let (ways, answered, committed) = (HashMap::new(), Places::new(), Instant::now());
    let mut pump = Pump { options, member, posts, runtime, ways, tell, done, answered, committed };
    let ended = pump.run(stop);
    // Why a request failed says more than that its way has ended.
    pump.done.try_iter().find_map(Result::err).map_or(ended, Err)
}

impl Pump<'_> {
    fn run(&mut self, stop: &AtomicBool) -> Result<()> {
        while !stop.load(Ordering::Acquire) {
            for rebalance in self.member.consumer.context().take() {
                self.rebalance(rebalance)?;
            }
            self.read()?;
            while let Ok(body) = self.done.try_recv() {
                self.answer(body)?;
            }
            self.send_due(WAIT)?;
            if self.committed.elapsed() > WAIT {
                self.member.commit(&std::mem::take(&mut self.answered), CommitMode::Async)?;
                self.committed = Instant::now();
            }
        }
        self.settle()
    }

    fn read(&mut self) -> Result<()> {
        let busy = self.ways.values().any(|way| way.records > 0 || way.in_flight > 0);
        let mut patience = Duration::from_millis(if busy { 2 } else { 50 });
        for _ in 0..256 {
            let Some(message) = self.member.consumer.poll(patience) else { return Ok(()) };
            let message = message.with_context(|| format!("reading `{}`", self.options.topic))?;
            patience = Duration::ZERO;
            let partition = message.partition();
            let way = self.ways.entry(partition).or_insert_with(|| {
                let at_once = if self.options.ordered { 1 } else { self.options.in_flight };
                let bodies = self.posts.partition(self.runtime.handle(), at_once, self.tell.clone());
                Way { filling: BytesMut::new(), records: 0, next: 0, first: Instant::now(), bodies, in_flight: 0 }
            });
            way.push(&message);
            if way.records >= self.options.records {
                way.send(partition)?;
            }
        }
        Ok(())
    }

    fn send_due(&mut self, age: Duration) -> Result<()> {
        for (partition, way) in &mut self.ways {
            if way.records > 0 && way.first.elapsed() >= age {
                way.send(*partition)?;
            }
        }
        Ok(())
    }

    fn answer(&mut self, body: Result<Body>) -> Result<()> {
        let body = body?;
        self.answered.insert(body.partition, body.next);
        if let Some(way) = self.ways.get_mut(&body.partition) {
            way.in_flight -= 1;
        }
        Ok(())
    }

    /// Sends and commits all that was read.
    fn settle(&mut self) -> Result<()> {
        self.send_due(Duration::ZERO)?;
        while self.ways.values().any(|way| way.in_flight > 0) {
            let body = self.done.recv().context("the requests have ended")?;
            self.answer(body)?;
        }
        self.member.commit(&std::mem::take(&mut self.answered), CommitMode::Sync)
    }

    fn rebalance(&mut self, rebalance: Rebalance) -> Result<()> {
        match rebalance {
            Rebalance::Assigned(list) => self.member.take(&list, &Places::new()),
            Rebalance::Revoked(list) => {
                if let Err(error) = self.settle() {
                    // Partitions that are lost belong to another one already.
                    if !self.member.consumer.assignment_lost() {
                        return Err(error);
                    }
                    eprintln!("{error:#}");
                }
                self.member.give_back(&list)
            }
        }
    }
}

impl Way {
    /// A record without a value is the line `null`.
    fn push(&mut self, message: &BorrowedMessage<'_>) {
        if self.records == 0 {
            self.first = Instant::now();
        }
        self.filling.put_slice(message.payload().unwrap_or(b"null"));
        self.filling.put_u8(b'\n');
        self.records += 1;
        self.next = message.offset() + 1;
    }

    /// Waits while the partition has enough bodies waiting.
    fn send(&mut self, partition: i32) -> Result<()> {
        let lines: Bytes = self.filling.split().freeze();
        self.records = 0;
        self.in_flight += 1;
        if self.bodies.blocking_send(Body { partition, next: self.next, lines }).is_err() {
            bail!("the requests of partition {partition} have ended");
        }
        Ok(())
    }
}
