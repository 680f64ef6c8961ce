//! Twenty connectors with nothing to do, then with 100 records a second altogether: memory, threads, CPU time.

pub mod trickle;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use self::trickle::Trickle;
use crate::compare::Options;
use crate::compare::destination::Destination as _;
use crate::compare::destination::tables::Tables;
use crate::compare::measure::{Measure, Run};
use crate::compare::place::Place;
use crate::compare::process::Process;
use crate::compare::results::Found;
use crate::compare::round::in_turn;
use crate::compare::system::{How, System, Values};
use crate::compare::topic::{self, Ends};

/// Connectors, each with a topic.
const COUNT: u32 = 20;
/// What was sent last has this long to arrive.
const PATIENCE: Duration = Duration::from_secs(20);

const LIMIT: &str = "idle --kafka ${KAFKA} --topic-prefix ${NAME}- --count 20";

const SYSTEMS: [System; 3] = [
    System { name: "Wharf", how: How::Wharf("idle.toml"), set: &[] },
    System { name: "Kafka Connect", how: How::KafkaConnect("idle.properties"), set: &[] },
    System { name: "limit, bare consumers", how: How::Limit(LIMIT, ""), set: &[] },
];

/// How long it takes.
struct Spans {
    /// From the start until load is measured.
    before: Duration,
    idle: Duration,
    work: Duration,
}

/// # Errors
/// When a system cannot do it.
pub async fn run(options: &Options, place: &mut Place) -> Result<Found> {
    let seconds = if options.quick { [10, 5, 5] } else { [30, 30, 30] };
    let [before, idle, work] = seconds.map(Duration::from_secs);
    let spans = Spans { before, idle, work };
    in_turn(options, &SYSTEMS, async |system| once(place, system, &spans).await).await
}

async fn once(place: &mut Place, system: &System, spans: &Spans) -> Result<Run> {
    let (folder, name) = place.run()?;
    let (kafka, postgres) = (place.kafka.address.clone(), place.postgres.address.clone());
    let topics: Vec<String> = (0..COUNT).map(|at| format!("{name}-{at}")).collect();
    let files = format!("{name}-files");
    topic::create_all(&kafka, &topics, 1).await?;
    topic::create(&kafka, &files, 1).await?;
    let mut tables = Tables::make(&postgres, topics.iter().map(|topic| topic.replace('-', "_")).collect(), 0, 1).await?;
    std::fs::create_dir(folder.join("in")).context("the folder of the file source")?;
    let trickle = match system.how {
        How::KafkaConnect(_) => Trickle::files(&folder, topics.len())?,
        _ => Trickle::topics(&kafka, &topics)?,
    };
    let copies: Vec<Values> = topics.iter().enumerate().map(|(at, topic)| copy(&folder, at, topic)).collect();
    let values = vec![("NAME", name.clone()), ("FILES", files.clone())];
    let log = folder.join("log");
    let mut process = Process::start(system.with_copies(place, &folder, &values, &copies)?, &log)?;
    let (run, sent) = look(&mut process, trickle, spans).await.with_context(|| process.tail())?;
    let until = Instant::now() + PATIENCE;
    loop {
        let counted = match system.how {
            How::Wharf(_) => tables.arrived().await?,
            How::KafkaConnect(_) => written(&kafka, &topics)?,
            _ => told(&mut process, &log).with_context(|| process.tail())?,
        };
        if counted == sent {
            break;
        }
        if Instant::now() > until {
            bail!("{counted} records have arrived in place of {sent}; {}", process.tail());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    process.stop()?;
    tables.remove().await?;
    topic::delete_all(&kafka, &topics).await?;
    topic::delete(&kafka, &files).await?;
    Ok(run)
}

/// Waits, and looks at the process. The figures, and how many records were sent.
async fn look(process: &mut Process, mut trickle: Trickle, spans: &Spans) -> Result<(Run, u64)> {
    tokio::time::sleep(spans.before).await;
    let began = process.cpu_of_threads()?;
    tokio::time::sleep(spans.idle).await;
    let idle = process.cpu_of_threads()?;
    let mut run = Run::from([
        (Measure::Load, share(idle.saturating_sub(began), spans.idle)),
        (Measure::Memory, process.memory()? as f64 / 1e6),
        (Measure::Threads, process.threads()? as f64),
    ]);
    let sent = trickle.run(spans.work).await?;
    let work = process.cpu_of_threads()?;
    run.insert(Measure::BusyLoad, share(work.saturating_sub(idle), spans.work));
    run.insert(Measure::BusyMemory, process.memory()? as f64 / 1e6);
    if !process.runs()? {
        bail!("it has ended by itself");
    }
    Ok((run, sent))
}

/// What the bare clients have counted: they say it at their end.
fn told(process: &mut Process, log: &Path) -> Result<u64> {
    process.stop()?;
    let text = std::fs::read_to_string(log)?;
    text.lines().last().unwrap_or_default().parse().context("no count at the end of its log")
}

/// Values of one connector.
fn copy(folder: &Path, at: usize, topic: &str) -> Values {
    let table = topic.replace('-', "_");
    let file = trickle::file(folder, at).display().to_string();
    vec![
        ("SINK", format!("sink-{at}")),
        ("NAME", format!("idle-{at}")),
        ("FILE", file),
        ("TOPIC", topic.to_owned()),
        ("TABLE", table),
        ("TASKS", "1".to_owned()),
        ("BATCH", "1000".to_owned()),
    ]
}

/// Records of all topics.
fn written(kafka: &str, topics: &[String]) -> Result<u64> {
    let end = |topic: &String| tokio::task::block_in_place(|| Ends::new(kafka, topic, 1)?.sum());
    Ok(topics.iter().map(end).collect::<Result<Vec<_>>>()?.iter().sum())
}

/// In per cent.
fn share(cpu: Duration, of: Duration) -> f64 {
    cpu.as_secs_f64() / of.as_secs_f64() * 100.0
}
