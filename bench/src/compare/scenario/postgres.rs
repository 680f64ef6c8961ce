//! Topic to PostgreSQL: orders of 890 B with 10 columns, a tenth of them updates, upserted by their id.

use std::path::Path;

use anyhow::Result;

use crate::compare::Options;
use crate::compare::destination::tables::Tables;
use crate::compare::measure::{Run, measure};
use crate::compare::orders::{BYTES, PARTITIONS};
use crate::compare::place::Place;
use crate::compare::results::Found;
use crate::compare::round::in_turn;
use crate::compare::system::{How, System, Values};
use crate::compare::topic;

/// Name of the topic that all read.
pub(super) const TOPIC: &str = "bench.orders";

const SYSTEMS: [System; 6] = [
    System { name: "Wharf, exactly once", how: How::Wharf("topic-to-postgres.toml"), set: &[("EXACTLY_ONCE", "true")] },
    System { name: "Wharf, at least once", how: How::Wharf("topic-to-postgres.toml"), set: &[("EXACTLY_ONCE", "false")] },
    System { name: "Kafka Connect", how: How::KafkaConnect("sink-postgres.properties"), set: &[] },
    System { name: "Redpanda Connect", how: How::RedpandaConnect("postgres.yaml"), set: &[] },
    System { name: "limit", how: How::Limit(LIMIT, ""), set: &[] },
    System { name: "limit, exactly once", how: How::Limit(LIMIT, "--exactly-once"), set: &[] },
];

/// Of the hand-written loader.
pub(super) const LIMIT: &str =
    "postgres --kafka ${KAFKA} --postgres ${POSTGRES} --topic ${TOPIC} --table ${TABLE} --group ${GROUP}";

/// # Errors
/// When a system cannot do it.
pub async fn run(options: &Options, place: &mut Place) -> Result<Found> {
    let (kafka, postgres) = (place.kafka.address.clone(), place.postgres.address.clone());
    fill(&kafka, options.rows()).await?;
    let found = in_turn(options, &SYSTEMS, async |system| {
        let (folder, name) = place.run()?;
        let table = Tables::make(&postgres, vec![name.clone()], options.rows(), PARTITIONS).await?;
        upserted(options, place, system, (&folder, &name), table).await
    })
    .await?;
    topic::delete(&kafka, TOPIC).await?;
    Ok(found)
}

/// One run into its table, which is removed after it.
pub(super) async fn upserted(
    options: &Options,
    place: &Place,
    system: &System,
    (folder, name): (&Path, &str),
    mut table: Tables,
) -> Result<Run> {
    let values: Values = vec![
        ("NAME", name.to_owned()),
        ("TOPIC", TOPIC.to_owned()),
        ("TABLE", name.to_owned()),
        ("GROUP", format!("bench.{name}")),
    ];
    let command = system.command(place, folder, &values)?;
    let run = measure(command, &folder.join("log"), options.rows(), &mut table, place.servers()).await;
    table.remove().await?;
    run
}

/// The topic that all read.
pub(super) async fn fill(kafka: &str, rows: u64) -> Result<()> {
    topic::orders(kafka, TOPIC, rows, PARTITIONS, BYTES).await
}
