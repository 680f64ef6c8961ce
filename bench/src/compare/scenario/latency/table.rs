//! From a topic into a table of PostgreSQL.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tokio_postgres::{Client, Statement};

use super::topic::value;
use super::{PATIENCE, PAUSE, WARM_UP};
use crate::compare::destination::tables::{Tables, connect};
use crate::compare::orders::{Order, PARTITIONS};
use crate::compare::place::Place;
use crate::compare::process::Process;
use crate::compare::system::{System, Values};
use crate::compare::topic::{self, client};

/// Between two looks for a row.
const LOOK: Duration = Duration::from_micros(500);

/// From the sending of a record until its row is seen.
///
/// # Errors
/// When a server refuses, or a row does not come.
pub async fn upserted(place: &mut Place, system: &System, records: usize) -> Result<Vec<Duration>> {
    let (folder, name) = place.run()?;
    let (kafka, postgres) = (place.kafka.address.clone(), place.postgres.address.clone());
    topic::create(&kafka, &name, PARTITIONS).await?;
    let table = Tables::make(&postgres, vec![name.clone()], 0, PARTITIONS).await?;
    let values: Values =
        vec![("NAME", name.clone()), ("TOPIC", name.clone()), ("TABLE", name.clone()), ("GROUP", format!("bench.{name}"))];
    let mut process = Process::start(system.command(place, &folder, &values)?, &folder.join("log"))?;
    let producer: BaseProducer = client(&kafka).set("acks", "all").set("linger.ms", "0").create()?;
    let rows = Rows::of(connect(&postgres).await?, &name).await?;
    let mut times = Vec::new();
    for id in (0..).take(WARM_UP + records) {
        let (order, value) = (Order { id, version: 1 }, value(id));
        let key = order.key();
        let sent = Instant::now();
        let record = BaseRecord::<str, str>::to(&name).partition(order.partition(PARTITIONS)).key(&key).payload(&value);
        producer.send(record).map_err(|(error, _)| error)?;
        producer.poll(Duration::ZERO);
        // The first ones also wait for the start of the system.
        times.push(rows.wait(id, sent).await.with_context(|| process.tail())?);
        if !process.runs()? {
            bail!("it has ended; {}", process.tail());
        }
        tokio::time::sleep(PAUSE).await;
    }
    producer.flush(PATIENCE)?;
    process.stop()?;
    table.remove().await?;
    topic::delete(&kafka, &name).await?;
    Ok(times.split_off(WARM_UP))
}

/// Looks for rows.
struct Rows {
    client: Client,
    one: Statement,
}

impl Rows {
    async fn of(client: Client, table: &str) -> Result<Self> {
        let one = client.prepare(&format!("select from {table} where id = $1")).await?;
        Ok(Self { client, one })
    }

    /// How long it took until the row was there.
    async fn wait(&self, id: u64, sent: Instant) -> Result<Duration> {
        let id = i64::try_from(id)?;
        while self.client.query_opt(&self.one, &[&id]).await?.is_none() {
            if sent.elapsed() > PATIENCE {
                bail!("row {id} has not come after {PATIENCE:?}");
            }
            // The runtime's own clock goes in steps of 1 ms.
            tokio::task::block_in_place(|| std::thread::sleep(LOOK));
        }
        Ok(sent.elapsed())
    }
}
