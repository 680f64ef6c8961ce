//! A topic of Kafka to a table of PostgreSQL: exactly once, by offsets in the database. The table has no unique key, so that
//! a duplicate shows; a serial column keeps the order of arrival.

use std::time::Duration;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use tokio_postgres::{Client, NoTls};

use super::topics::{self, PARTITIONS, Reader, Writer};
use super::{Ground, Path, Role};
use crate::compare::{Arrival, Arrived};
use crate::fault::Fault;
use crate::numbered::Numbered;

/// A question to a server that is down is given up after this.
const ASK: Duration = Duration::from_secs(2);

pub struct Sink {
    ground: Ground,
    writer: Writer,
    dead: Reader,
    client: Option<Client>,
    table: String,
    known: u64,
}

impl Sink {
    pub async fn prepare(ground: Ground) -> Result<Self> {
        let (topic, dead) = (ground.topic(), ground.dead_letters("rows"));
        topics::create(&ground.kafka, &[(&topic, PARTITIONS), (&dead, 1)]).await?;
        let table = ground.name.replace('-', "_");
        let client = connect(&ground.postgres).await?;
        let create = format!(
            "CREATE TABLE {table} (arrived bigserial, n int8 NOT NULL, k text NOT NULL, flag int8 NOT NULL CHECK (flag >= 0))"
        );
        client.batch_execute(&create).await?;
        let writer = Writer::start(&ground.kafka, topic)?;
        Ok(Self { writer, dead: Reader::open(&ground.kafka, &[(&dead, 1)])?, client: Some(client), table, known: 0, ground })
    }

    async fn client(&mut self) -> Result<&Client> {
        if self.client.as_ref().is_none_or(Client::is_closed) {
            self.client = Some(connect(&self.ground.postgres).await?);
        }
        self.client.as_ref().context("a connection")
    }

    async fn rows(&mut self) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM {}", self.table);
        let count: i64 = self.client().await?.query_one(&sql, &[]).await?.get(0);
        Ok(u64::try_from(count)?)
    }
}

async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio::time::timeout(ASK, tokio_postgres::connect(url, NoTls)).await??;
    // It ends with its client.
    tokio::spawn(connection);
    Ok(client)
}

#[async_trait]
impl Path for Sink {
    fn phases(&self) -> &'static [&'static str] {
        &["write", "buried", "written"]
    }

    fn faults(&self) -> &'static [Fault] {
        &[
            Fault::BrokerRestart,
            Fault::BrokerPause,
            Fault::BrokerPauseLong,
            Fault::DatabaseRestart,
            Fault::WorkerStop,
            Fault::Zombie,
            Fault::Twin,
        ]
    }

    fn refused(&self) -> u32 {
        10
    }

    fn config(&self, role: Role) -> String {
        format!(
            "{head}{kafka}\n[connection.db]\nurl = \"{url}?options=-c%20synchronous_commit%3Don\"\n\n[[sink]]\nname = \"rows\"\n\
             component = \"sql\"\ntopics = [\"{topic}\"]\ntasks = 2\nallow.sql = [\"db\"]\n{connector}\
             config = {{ connection = \"db\", table = \"{table}\", schema = \"strict\" }}\n[sink.kafka]\n{member}",
            head = self.ground.head(role),
            kafka = self.ground.kafka(),
            url = self.ground.postgres,
            topic = self.ground.topic(),
            connector = Ground::connector("20ms"),
            table = self.table,
            member = Ground::member(role),
        )
    }

    async fn send(&mut self, records: &[Numbered], _role: Role) -> Result<bool> {
        self.writer.send(records)
    }

    async fn count(&mut self) -> Result<u64> {
        if let Ok(Ok(rows)) = tokio::time::timeout(ASK, self.rows()).await {
            self.known = rows;
        } else {
            self.client = None;
        }
        Ok(self.known)
    }

    async fn arrived(&mut self) -> Result<Arrived> {
        let sql = format!("SELECT n, k FROM {} ORDER BY arrived", self.table);
        let rows = self.client().await?.query(&sql, &[]).await?;
        let arrival = |row: &tokio_postgres::Row| -> Result<Arrival> {
            Ok(Arrival { n: u64::try_from(row.get::<_, i64>(0))?, key: row.get(1), id: None })
        };
        self.dead.read();
        Ok(Arrived {
            records: rows.iter().map(arrival).collect::<Result<_>>()?,
            dead: self.dead.numbers(&self.ground.dead_letters("rows")),
            dead_once: Vec::new(),
        })
    }
}
