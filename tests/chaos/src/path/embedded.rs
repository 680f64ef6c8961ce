//! csv files over the embedded log to a table of SQLite: no server at all, exactly once on both legs.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use rusqlite::Connection;
use wharf_runtime::topic_log::embedded::EmbeddedLog;
use wharf_runtime::topic_log::{LogError, Start, TopicLog as _};

use super::files::Files;
use super::{Ground, Role};
use crate::compare::{Arrival, Arrived};
use crate::fault::Fault;
use crate::numbered::{Numbered, number};

pub struct Embedded {
    ground: Ground,
    files: Files,
    table: Connection,
    known: u64,
}

impl Embedded {
    pub fn prepare(ground: Ground) -> Result<Self> {
        let files = Files::create(&ground.folder.join("in"))?;
        let table = Connection::open(ground.folder.join("arrived.sqlite"))?;
        table.busy_timeout(Duration::from_secs(5))?;
        table.execute_batch(
            "PRAGMA journal_mode = WAL; CREATE TABLE arrived (arrived INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER NOT NULL, \
             k TEXT NOT NULL, flag INTEGER NOT NULL CHECK (flag >= 0), pad TEXT)",
        )?;
        Ok(Self { ground, files, table, known: 0 })
    }
}

#[async_trait]
impl super::Path for Embedded {
    fn phases(&self) -> &'static [&'static str] {
        &["poll", "transaction", "committed", "write", "buried", "written"]
    }

    fn faults(&self) -> &'static [Fault] {
        &[Fault::WorkerStop, Fault::DiskFull]
    }

    fn refused(&self) -> u32 {
        10
    }

    fn config(&self, role: Role) -> String {
        let topic = self.ground.topic();
        format!(
            "{head}\n[topic.\"{topic}\"]\npartitions = 4\n\n[connection.db]\nurl = \"sqlite://arrived.sqlite\"\n\n\
             [[source]]\nname = \"main\"\ncomponent = \"csv\"\ntopic = \"{topic}\"\nallow.files = [\"in\"]\n{source}\
             config = {{ path = \"in\", pattern = \"*.csv\", key = [\"k\"], types = {{ n = \"int\", flag = \"int\" }}, interval = \"50ms\" }}\n\n\
             [[sink]]\nname = \"rows\"\ncomponent = \"sql\"\ntopics = [\"{topic}\"]\ntasks = 2\nallow.sql = [\"db\"]\n{sink}\
             config = {{ connection = \"db\", table = \"arrived\", schema = \"strict\" }}\n",
            head = self.ground.head(role),
            source = Ground::connector("10ms"),
            sink = Ground::connector("20ms"),
        )
    }

    async fn send(&mut self, records: &[Numbered], _role: Role) -> Result<bool> {
        self.files.append(records)?;
        Ok(true)
    }

    async fn count(&mut self) -> Result<u64> {
        match self.table.query_row("SELECT count(*) FROM arrived", [], |row| row.get::<_, i64>(0)) {
            Ok(count) => self.known = u64::try_from(count)?,
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.known)
    }

    async fn arrived(&mut self) -> Result<Arrived> {
        let records = {
            let mut query = self.table.prepare("SELECT n, k FROM arrived ORDER BY arrived")?;
            let rows = query.query_map([], |row| {
                let n: i64 = row.get(0)?;
                Ok(Arrival { n: n.unsigned_abs(), key: row.get(1)?, id: None })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()?
        };
        let state_dir = self.ground.folder.join("state-main");
        let dead_once = numbers(&state_dir, &self.ground.dead_letters("main")).await?;
        let dead = numbers(&state_dir, &self.ground.dead_letters("rows")).await?;
        Ok(Arrived { records, dead_once, dead })
    }
}

/// The numbers of a topic in the log; none while there is no log, or no such topic.
async fn numbers(state_dir: &Path, topic: &str) -> Result<Vec<u64>> {
    let log = match EmbeddedLog::open_read_only(state_dir) {
        Ok(log) => log,
        Err(LogError::Fatal(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    if !log.topics().await?.iter().any(|info| info.name == topic) {
        return Ok(Vec::new());
    }
    let mut reader = log.read(topic, Start::Earliest).await?;
    let mut numbers = Vec::new();
    loop {
        let batch = reader.next(Duration::ZERO).await?;
        if batch.is_empty() {
            return Ok(numbers);
        }
        numbers.extend(batch.records().filter_map(|record| number(record.value.unwrap_or_default())));
    }
}
