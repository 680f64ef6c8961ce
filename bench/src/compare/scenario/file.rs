//! File to topic: lines of 900 B, as JSON Lines and as CSV, into a topic of four partitions.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::compare::Options;
use crate::compare::destination::Topic;
use crate::compare::measure::measure;
use crate::compare::orders::{Order, PARTITIONS, orders};
use crate::compare::place::Place;
use crate::compare::results::Found;
use crate::compare::round::in_turn;
use crate::compare::system::{How, System, Values};
use crate::compare::topic;

/// Bytes of a line with its end.
const LINE: usize = 900;

/// Of the hand-written loop.
const LIMIT: &str = "file --kafka ${KAFKA} --file ${FILE} --topic ${TOPIC}";

const SYSTEMS: [System; 7] = [
    System {
        name: "Wharf, exactly once",
        how: How::Wharf("file-to-topic.toml"),
        set: &[("EXACTLY_ONCE", "true"), ("FILES", "lines")],
    },
    System {
        name: "Wharf, at least once",
        how: How::Wharf("file-to-topic.toml"),
        set: &[("EXACTLY_ONCE", "false"), ("FILES", "lines")],
    },
    System {
        name: "Wharf, CSV, exactly once",
        how: How::Wharf("file-to-topic.toml"),
        set: &[("EXACTLY_ONCE", "true"), ("FILES", "columns")],
    },
    System { name: "Kafka Connect", how: How::KafkaConnect("source-file.properties"), set: &[] },
    System { name: "Redpanda Connect", how: How::RedpandaConnect("file.yaml"), set: &[] },
    System {
        name: "limit",
        // The next run is not to go on where this one ended, and Wharf reads all of the file's folder.
        how: How::Limit(LIMIT, "--state ${FOLDER}/place"),
        set: &[],
    },
    System { name: "limit, exactly once", how: How::Limit(LIMIT, "--transactional"), set: &[] },
];

/// # Errors
/// When a system cannot do it.
pub async fn run(options: &Options, place: &mut Place) -> Result<Found> {
    let kafka = place.kafka.address.clone();
    let files = place.folder.join("files");
    write(&files, options.rows()).with_context(|| files.display().to_string())?;
    let found = in_turn(options, &SYSTEMS, async |system| {
        let (folder, name) = place.run()?;
        // Wharf is granted a folder below its own.
        std::os::unix::fs::symlink(&files, folder.join("files"))?;
        let positions = format!("{name}.positions");
        topic::create(&kafka, &name, PARTITIONS).await?;
        topic::create(&kafka, &positions, 1).await?;
        let mut arrived = Topic::watch(&kafka, &name, options.rows())?;
        let values: Values = vec![
            ("NAME", name.clone()),
            ("TOPIC", name.clone()),
            ("FILE", files.join("lines/orders.jsonl").display().to_string()),
        ];
        let command = system.command(place, &folder, &values)?;
        let run = measure(command, &folder.join("log"), options.rows(), &mut arrived, place.servers()).await;
        topic::delete(&kafka, &name).await?;
        topic::delete(&kafka, &positions).await?;
        run
    })
    .await?;
    std::fs::remove_dir_all(&files)?;
    Ok(found)
}

/// The same orders as JSON Lines and as CSV, each in a folder of its own.
fn write(files: &Path, rows: u64) -> Result<()> {
    let (lines, columns) = (files.join("lines"), files.join("columns"));
    std::fs::create_dir_all(&lines)?;
    std::fs::create_dir_all(&columns)?;
    let mut json = BufWriter::new(File::create(lines.join("orders.jsonl"))?);
    let mut csv = BufWriter::new(File::create(columns.join("orders.csv"))?);
    writeln!(csv, "id,customer,email,status,channel,quantity,total,created,version,note")?;
    let mut line = String::new();
    for order in orders(rows) {
        order.value(LINE - 1, &mut line);
        writeln!(json, "{line}")?;
        writeln!(csv, "{}", columns_of(order, LINE - 1))?;
    }
    json.flush()?;
    Ok(csv.flush()?)
}

/// The fields of an order as CSV; no field holds a quote.
fn columns_of(order: Order, bytes: usize) -> String {
    let mut json = String::new();
    // As long as the JSON of a line less the names of its fields and their quotes.
    order.value(bytes, &mut json);
    let values = json.trim_matches(['{', '}']).split(",\"").map(|field| field.split_once("\":").map_or("", |(_, value)| value));
    values.collect::<Vec<_>>().join(",")
}
