//! Topic to PostgreSQL through transforms: three built-in ones (rename, mask, set), and one in WebAssembly. Each system also runs plain,
//! in the same round.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::compare::Options;
use crate::compare::destination::tables::Tables;
use crate::compare::orders::PARTITIONS;
use crate::compare::place::Place;
use crate::compare::results::Found;
use crate::compare::round::in_turn;
use crate::compare::scenario::postgres::{TOPIC, fill, upserted};
use crate::compare::system::{How, System};
use crate::compare::topic;

/// Columns that the transforms fill.
const COLUMNS: [&str; 2] = ["buyer text", "origin text"];

const PLAIN: &str = "customer like 'C-%' and email like '%@example.com' and buyer is null and origin is null";
const STEPS: &str = "customer is null and email = 'masked' and buyer like 'C-%' and origin = 'bench'";
const WASM: &str = "customer like 'C-%' and email = 'masked' and buyer is null and origin is null";

/// A system, and what every row has to be like in the end.
const SYSTEMS: [(System, &str); 7] = [
    (System { name: "Wharf", how: How::Wharf("topic-to-postgres.toml"), set: &[("EXACTLY_ONCE", "true")] }, PLAIN),
    (System { name: "Wharf, three built-in", how: How::Wharf("topic-to-postgres-steps.toml"), set: &[] }, STEPS),
    (System { name: "Wharf, one in WebAssembly", how: How::Wharf("topic-to-postgres-wasm.toml"), set: &[] }, WASM),
    (System { name: "Kafka Connect", how: How::KafkaConnect("sink-postgres.properties"), set: &[] }, PLAIN),
    (System { name: "Kafka Connect, three", how: How::KafkaConnect("sink-postgres-steps.properties"), set: &[] }, STEPS),
    (System { name: "Redpanda Connect", how: How::RedpandaConnect("postgres.yaml"), set: &[] }, PLAIN),
    (System { name: "Redpanda Connect, mapping", how: How::RedpandaConnect("postgres-steps.yaml"), set: &[] }, STEPS),
];

/// # Errors
/// When a system cannot do it.
pub async fn run(options: &Options, place: &mut Place) -> Result<Found> {
    let (kafka, postgres) = (place.kafka.address.clone(), place.postgres.address.clone());
    fill(&kafka, options.rows()).await?;
    let systems = SYSTEMS.map(|(system, _)| system);
    let found = in_turn(options, &systems, async |system| {
        let (folder, name) = place.run()?;
        guest(&folder)?;
        let holds = SYSTEMS.iter().find(|(other, _)| other.name == system.name).map_or(PLAIN, |(_, holds)| holds);
        let tables = Tables::make(&postgres, vec![name.clone()], options.rows(), PARTITIONS).await?;
        let table = tables.with(&COLUMNS, holds).await?;
        upserted(options, place, system, (&folder, &name), table).await
    })
    .await?;
    topic::delete(&kafka, TOPIC).await?;
    Ok(found)
}

/// Puts the transform into the run's folder.
fn guest(folder: &Path) -> Result<()> {
    let bytes = wharf_guest_bundle::component("mask").context("no guest `mask`: is WHARF_BUNDLE=skip set?")?;
    std::fs::write(folder.join("mask.wasm"), bytes).context("writing mask.wasm")
}
