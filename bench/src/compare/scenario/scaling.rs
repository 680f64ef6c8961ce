//! Wharf alone, topic to PostgreSQL: the same records over more connectors, over more tasks of one, as smaller and larger
//! values, and in smaller batches.

use anyhow::{Context as _, Result};

use crate::compare::Options;
use crate::compare::destination::tables::Tables;
use crate::compare::measure::{Measure, Run, measure};
use crate::compare::orders::{BYTES, PARTITIONS};
use crate::compare::place::Place;
use crate::compare::results::Found;
use crate::compare::round::in_turn;
use crate::compare::system::{How, System, Values};
use crate::compare::topic;

/// Records of 1 KB in a run, and of other sizes as many as make the same bytes.
const ROWS: u64 = 200_000;
/// The same with `--quick`.
const QUICK: u64 = 100_000;
/// Small values are no more than this many times as many records.
const MOST: u64 = 2;

/// How the records are spread.
#[derive(Debug, Clone, Copy)]
struct Shape {
    name: &'static str,
    /// Sinks, each with a topic and a table.
    sinks: u64,
    tasks: u64,
    partitions: i32,
    /// Of a value.
    bytes: usize,
    /// Most records of a batch.
    batch: u64,
}

/// What a sink has by default.
const BATCH: u64 = 1_000;

const fn sinks(name: &'static str, sinks: u64) -> Shape {
    Shape { name, sinks, tasks: 1, partitions: PARTITIONS, bytes: BYTES, batch: BATCH }
}

const fn tasks(name: &'static str, tasks: u64) -> Shape {
    Shape { name, sinks: 1, tasks, partitions: 16, bytes: BYTES, batch: BATCH }
}

const fn bytes(name: &'static str, bytes: usize) -> Shape {
    Shape { name, sinks: 1, tasks: 1, partitions: PARTITIONS, bytes, batch: BATCH }
}

const fn batches(name: &'static str, batch: u64) -> Shape {
    Shape { name, sinks: 1, tasks: 1, partitions: PARTITIONS, bytes: BYTES, batch }
}

const SHAPES: [Shape; 13] = [
    sinks("Wharf, 1 sink", 1),
    sinks("Wharf, 4 sinks", 4),
    sinks("Wharf, 16 sinks", 16),
    sinks("Wharf, 64 sinks", 64),
    tasks("Wharf, 16 partitions, 1 task", 1),
    tasks("Wharf, 16 partitions, 4 tasks", 4),
    tasks("Wharf, 16 partitions, 16 tasks", 16),
    bytes("Wharf, values of 100 B", 100),
    bytes("Wharf, values of 1 KB", 1_000),
    bytes("Wharf, values of 100 KB", 100_000),
    batches("Wharf, batches of 1", 1),
    batches("Wharf, batches of 100", 100),
    batches("Wharf, batches of 1,000", 1_000),
];

/// What the table shows of a run.
const SHOWN: [Measure; 6] =
    [Measure::Rate, Measure::RateWithStart, Measure::Cpu, Measure::PostgresCpu, Measure::Peak, Measure::First];

impl Shape {
    /// Records of one topic.
    fn rows(&self, options: &Options) -> u64 {
        let all = options.rows().min(if options.quick { QUICK } else { ROWS });
        let rows = match self.bytes {
            BYTES => all,
            // A run of few records says nothing.
            bytes => (all * 1_000 / bytes as u64).clamp(1_000, all * MOST),
        };
        rows / self.sinks
    }

    /// Shapes that spread the records alike read the same topics.
    fn topics(&self) -> Vec<String> {
        (0..self.sinks).map(|at| format!("bench.scaling-{}-{}-{}-{at}", self.bytes, self.partitions, self.sinks)).collect()
    }
}

/// # Errors
/// When Wharf cannot do it.
pub async fn run(options: &Options, place: &mut Place) -> Result<Found> {
    let kafka = place.kafka.address.clone();
    let systems = SHAPES.map(|shape| System { name: shape.name, how: How::Wharf("scaling.toml"), set: &[] });
    let mut topics: Vec<String> = Vec::new();
    for shape in SHAPES.iter().filter(|shape| options.wants(shape.name)) {
        for topic in shape.topics() {
            if !topics.contains(&topic) {
                topic::orders(&kafka, &topic, shape.rows(options), shape.partitions, shape.bytes).await?;
                topics.push(topic);
            }
        }
    }
    let found = in_turn(options, &systems, async |system| {
        let shape = SHAPES.iter().find(|shape| shape.name == system.name).context("a shape of this name")?;
        once(options, place, system, shape).await
    })
    .await?;
    topic::delete_all(&kafka, &topics).await?;
    Ok(found)
}

async fn once(options: &Options, place: &mut Place, system: &System, shape: &Shape) -> Result<Run> {
    let (folder, name) = place.run()?;
    let tables: Vec<String> = (0..shape.sinks).map(|at| format!("{name}_{at}")).collect();
    let copies: Vec<Values> = tables
        .iter()
        .zip(shape.topics())
        .map(|(table, topic)| {
            vec![
                ("SINK", table.replace('_', "-")),
                ("TOPIC", topic),
                ("TABLE", table.clone()),
                ("TASKS", shape.tasks.to_string()),
                ("BATCH", shape.batch.to_string()),
            ]
        })
        .collect();
    let mut destination = Tables::make(&place.postgres.address, tables, shape.rows(options), shape.partitions).await?;
    let command = system.with_copies(place, &folder, &vec![("NAME", name)], &copies)?;
    let rows = shape.rows(options) * shape.sinks;
    let run = measure(command, &folder.join("log"), rows, &mut destination, place.servers()).await;
    destination.remove().await?;
    let mut run = run?;
    run.retain(|measure, _| SHOWN.contains(measure));
    if let Some(rate) = run.get(&Measure::Rate) {
        run.insert(Measure::Megabytes, rate * shape.bytes as f64 / 1e6);
    }
    Ok(run)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::SHAPES;
    use crate::compare::Options;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn every_shape_has_about_the_same_bytes() {
        let options = Line::parse_from(["compare"]).options;
        for shape in SHAPES {
            let rows = shape.rows(&options) * shape.sinks;
            let megabytes = rows * shape.bytes as u64 / 1_000_000;
            let expected = if shape.bytes == 100 { 40..=40 } else { 178..=200 };
            assert!(expected.contains(&megabytes), "{}: {rows} records, {megabytes} MB", shape.name);
            assert_eq!(shape.topics().len() as u64, shape.sinks);
        }
    }
}
