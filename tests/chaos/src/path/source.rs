//! csv files to a topic of Kafka: exactly once, dead letters too, as they stand in the same transactions.

use anyhow::Result;
use async_trait::async_trait;

use super::files::Files;
use super::topics::{self, PARTITIONS, Reader};
use super::{Ground, Path, Role, timeouts};
use crate::compare::Arrived;
use crate::fault::Fault;
use crate::numbered::Numbered;

pub struct Source {
    ground: Ground,
    main: Files,
    neighbour: Files,
    reader: Reader,
}

impl Source {
    pub async fn prepare(ground: Ground) -> Result<Self> {
        let (topic, main, neighbour) = (ground.topic(), ground.dead_letters("main"), ground.dead_letters("neighbour"));
        let list = [(topic.as_str(), PARTITIONS), (main.as_str(), 1), (neighbour.as_str(), 1)];
        topics::create(&ground.kafka, &list).await?;
        Ok(Self {
            main: Files::create(&ground.folder.join("in-main"))?,
            neighbour: Files::create(&ground.folder.join("in-neighbour"))?,
            reader: Reader::open(&ground.kafka, &list)?,
            ground,
        })
    }
}

#[async_trait]
impl Path for Source {
    fn phases(&self) -> &'static [&'static str] {
        &["poll", "transaction", "committed"]
    }

    fn faults(&self) -> &'static [Fault] {
        &[Fault::BrokerRestart, Fault::BrokerPause, Fault::BrokerPauseLong, Fault::WorkerStop, Fault::Zombie, Fault::Neighbour]
    }

    fn refused(&self) -> u32 {
        // Nobody refuses what goes into a topic.
        0
    }

    /// The second worker has the same source, the neighbour another one whose positions lie in the same partition.
    fn config(&self, role: Role) -> String {
        let name = if role == Role::Neighbour { "neighbour" } else { "main" };
        format!(
            "{head}{kafka}\n[topic.\"{topic}\"]\npartitions = {PARTITIONS}\n\n[[source]]\nname = \"{name}\"\ncomponent = \"csv\"\n\
             topic = \"{topic}\"\nallow.files = [\"in-{name}\"]\n{connector}\
             config = {{ path = \"in-{name}\", pattern = \"*.csv\", key = [\"k\"], types = {{ n = \"int\" }}, interval = \"50ms\" }}\n\
             [source.kafka]\ntransaction.timeout.ms = {timeout}\n",
            head = self.ground.head(role),
            kafka = self.ground.kafka(),
            topic = self.ground.topic(),
            connector = Ground::connector("10ms"),
            timeout = timeouts::TRANSACTION_MS,
        )
    }

    async fn send(&mut self, records: &[Numbered], role: Role) -> Result<bool> {
        let files = if role == Role::Neighbour { &mut self.neighbour } else { &mut self.main };
        files.append(records)?;
        Ok(true)
    }

    async fn count(&mut self) -> Result<u64> {
        Ok(self.reader.count())
    }

    async fn arrived(&mut self) -> Result<Arrived> {
        // The two sources have keys of their own.
        let mut arrived = Arrived { records: self.reader.arrivals(&self.ground.topic()), ..Arrived::default() };
        for connector in ["main", "neighbour"] {
            arrived.dead_once.extend(self.reader.numbers(&self.ground.dead_letters(connector)));
        }
        Ok(arrived)
    }
}
