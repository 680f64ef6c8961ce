//! A topic of Kafka to an HTTP target that fails often: at least once, and what comes again comes with the same idempotency key.

use anyhow::Result;
use async_trait::async_trait;

use super::target::{TIMEOUT, Target};
use super::topics::{self, PARTITIONS, Reader, Writer};
use super::{Ground, Path, Role};
use crate::compare::Arrived;
use crate::fault::Fault;
use crate::numbered::Numbered;

pub struct Http {
    ground: Ground,
    writer: Writer,
    dead: Reader,
    target: Target,
}

impl Http {
    pub async fn prepare(ground: Ground, seed: u64) -> Result<Self> {
        let (topic, dead) = (ground.topic(), ground.dead_letters("lines"));
        topics::create(&ground.kafka, &[(&topic, PARTITIONS), (&dead, 1)]).await?;
        Ok(Self {
            writer: Writer::start(&ground.kafka, topic)?,
            dead: Reader::open(&ground.kafka, &[(&dead, 1)])?,
            target: Target::start(seed).await?,
            ground,
        })
    }
}

#[async_trait]
impl Path for Http {
    fn phases(&self) -> &'static [&'static str] {
        &["write", "buried", "written"]
    }

    fn faults(&self) -> &'static [Fault] {
        &[Fault::BrokerRestart, Fault::BrokerPause, Fault::BrokerPauseLong, Fault::TargetResets, Fault::WorkerStop, Fault::Zombie]
    }

    fn refused(&self) -> u32 {
        // Each costs a batch that is sent again record by record.
        1
    }

    fn config(&self, role: Role) -> String {
        format!(
            "{head}{kafka}\n[[sink]]\nname = \"lines\"\ncomponent = \"http\"\ntopics = [\"{topic}\"]\ntasks = 2\n\
             allow.http = [\"http://{address}\"]\n{connector}\
             config = {{ url = \"http://{address}/numbers\", id-field = \"id\", timeout = \"{TIMEOUT}\" }}\n[sink.kafka]\n{member}",
            head = self.ground.head(role),
            kafka = self.ground.kafka(),
            topic = self.ground.topic(),
            address = self.target.address,
            connector = Ground::connector("20ms"),
            member = Ground::member(role),
        )
    }

    async fn send(&mut self, records: &[Numbered], _role: Role) -> Result<bool> {
        self.writer.send(records)
    }

    async fn count(&mut self) -> Result<u64> {
        Ok(self.target.count())
    }

    async fn arrived(&mut self) -> Result<Arrived> {
        self.dead.read();
        let dead = self.dead.numbers(&self.ground.dead_letters("lines"));
        Ok(Arrived { records: self.target.taken(), dead, dead_once: Vec::new() })
    }

    fn reset_connections(&mut self, on: bool) {
        self.target.reset_connections(on);
    }
}
