//! An OData service that fails often to a topic of Kafka: exactly once, dead letters too.

use anyhow::Result;
use async_trait::async_trait;

use super::service::Service;
use super::topics::{self, PARTITIONS, Reader};
use super::{Ground, Path, Role, timeouts};
use crate::compare::Arrived;
use crate::fault::Fault;
use crate::numbered::Numbered;

pub struct Odata {
    ground: Ground,
    service: Service,
    reader: Reader,
}

impl Odata {
    pub async fn prepare(ground: Ground, seed: u64) -> Result<Self> {
        let (topic, dead) = (ground.topic(), ground.dead_letters("main"));
        let list = [(topic.as_str(), PARTITIONS), (dead.as_str(), 1)];
        topics::create(&ground.kafka, &list).await?;
        let reader = Reader::open(&ground.kafka, &list)?;
        Ok(Self { service: Service::start(seed).await?, reader, ground })
    }
}

#[async_trait]
impl Path for Odata {
    fn phases(&self) -> &'static [&'static str] {
        &["poll", "transaction", "committed"]
    }

    fn faults(&self) -> &'static [Fault] {
        &[Fault::BrokerRestart, Fault::BrokerPause, Fault::BrokerPauseLong, Fault::TargetResets, Fault::WorkerStop, Fault::Zombie]
    }

    fn refused(&self) -> u32 {
        // By a transform: nobody refuses what goes into a topic.
        5
    }

    fn config(&self, role: Role) -> String {
        format!(
            "{head}{kafka}\n[topic.\"{topic}\"]\npartitions = {PARTITIONS}\n\n[[source]]\nname = \"main\"\ncomponent = \"odata\"\n\
             topic = \"{topic}\"\nallow.http = [\"http://{address}\"]\ntransform = [{{ cast = {{ flag = \"bool\" }} }}]\n{connector}\
             config = {{ service = \"http://{address}\", entity = \"Numbers\", version = \"v4\", key = [\"k\"], cursor = \"N\", \
             interval = \"50ms\", timeout = \"500ms\" }}\n[source.kafka]\ntransaction.timeout.ms = {timeout}\n",
            head = self.ground.head(role),
            kafka = self.ground.kafka(),
            topic = self.ground.topic(),
            address = self.service.address,
            connector = Ground::connector("10ms"),
            timeout = timeouts::TRANSACTION_MS,
        )
    }

    async fn send(&mut self, records: &[Numbered], _role: Role) -> Result<bool> {
        self.service.add(records);
        Ok(true)
    }

    async fn count(&mut self) -> Result<u64> {
        Ok(self.reader.count())
    }

    async fn arrived(&mut self) -> Result<Arrived> {
        let dead_once = self.reader.numbers(&self.ground.dead_letters("main"));
        Ok(Arrived { records: self.reader.arrivals(&self.ground.topic()), dead_once, dead: Vec::new() })
    }

    fn reset_connections(&mut self, on: bool) {
        self.service.reset_connections(on);
    }
}
