//! What a deployment has stored, looked at and moved from outside: its tables, its offsets, the topic of its positions.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use wharf_runtime::offsets::SourcePlaces;
use wharf_runtime::topic_log::places::OffsetChange;
use wharf_runtime::topic_log::{Position, TopicPartition, TopicSpec, open, positions_topic};

use super::{Deployment, PATIENCE, utf8};

impl Deployment {
    /// The rows of a query on `warehouse.sqlite`, their columns joined by `|`.
    pub fn query(&self, sql: &str) -> Vec<String> {
        query(&self.path("warehouse.sqlite"), sql)
    }

    pub fn execute(&self, sql: &str) {
        let db = rusqlite::Connection::open(self.path("warehouse.sqlite")).unwrap();
        db.busy_timeout(PATIENCE).unwrap();
        db.execute_batch(sql).unwrap();
    }

    /// Holds the embedded log so that nothing can be written to it, until it is dropped.
    pub fn locked_log(&self) -> rusqlite::Connection {
        let db = rusqlite::Connection::open(self.path("state/log.sqlite")).unwrap();
        db.busy_timeout(PATIENCE).unwrap();
        db.execute_batch("BEGIN IMMEDIATE").unwrap();
        db
    }

    /// Waits until a topic does not exist.
    pub async fn when_gone(&self, topic: &str) {
        let (log, name) = (self.log(), self.topic(topic));
        let deadline = Instant::now() + PATIENCE;
        while !log.find_topics(&[&name]).await.unwrap().is_empty() {
            assert!(Instant::now() < deadline, "{name} does not go");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::task::spawn_blocking(move || drop(log)).await.unwrap();
    }

    /// Deletes the topic of positions; `anew`: somebody, as a broker does, makes it again.
    pub async fn lose_positions(&self, anew: bool) {
        let (log, name) = (self.log(), positions_topic(&self.name));
        let before = log.find_topics(&[&name]).await.unwrap()[0].id.clone();
        let mut config = rdkafka::ClientConfig::new();
        let admin: AdminClient<DefaultClientContext> = config.set("bootstrap.servers", self.bootstrap()).create().unwrap();
        admin.delete_topics(&[&name], &AdminOptions::new()).await.unwrap()[0].clone().unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let there = log.find_topics(&[&name]).await.unwrap();
            match there.first() {
                Some(topic) if topic.id == before => {}
                _ => break,
            }
            assert!(Instant::now() < deadline, "{name} does not go");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::task::spawn_blocking(move || drop(log)).await.unwrap();
        if anew {
            self.remake_positions().await;
        }
    }

    /// Makes the topic of positions, where it is missing, as it should be but empty.
    pub async fn remake_positions(&self) {
        let log = self.log();
        let config = [("cleanup.policy".to_owned(), "compact".to_owned())].into();
        let spec = TopicSpec { name: positions_topic(&self.name), partitions: 1, replication: -1, config };
        log.create_topics(&[spec]).await.unwrap();
        tokio::task::spawn_blocking(move || drop(log)).await.unwrap();
    }

    /// Whether there is a topic of positions.
    pub async fn has_positions(&self) -> bool {
        let log = self.log();
        let found = log.find_topics(&[&positions_topic(&self.name)]).await.unwrap();
        tokio::task::spawn_blocking(move || drop(log)).await.unwrap();
        !found.is_empty()
    }

    /// Has a source read everything again, as `wharf offsets reset` does.
    pub async fn reset_source(&self, body: &str, source: &str) {
        let config = self.config(body);
        let log = open::open(&config).unwrap();
        let found = config.sources.iter().find(|s| s.connector.name == source).unwrap();
        let places = SourcePlaces::new(Arc::clone(&log), &config, found);
        let stored = places.list().await.unwrap().positions;
        let forgotten: Vec<_> = stored.into_iter().map(|p| Position { place: Vec::new(), ..p }).collect();
        places.store(&forgotten).await.unwrap();
        tokio::task::spawn_blocking(move || drop((places, log))).await.unwrap();
    }

    /// Puts a sink's group to an offset of partition 0, as `wharf offsets set` does where the log keeps it.
    pub async fn move_offset(&self, sink: &str, topic: &str, next: i64) {
        let (log, name) = (self.log(), self.topic(topic));
        let topic_id = log.find_topics(&[&name]).await.unwrap()[0].id.clone();
        let partition = TopicPartition { topic: name.into(), partition: 0 };
        let change = OffsetChange { partition, topic_id, next: Some(next) };
        log.move_group(&format!("wharf.{}.{sink}", self.name), &[change]).await.unwrap();
        tokio::task::spawn_blocking(move || drop(log)).await.unwrap();
    }

    /// Offsets that a sink's group has committed in the embedded log, as `partition|next`.
    pub fn offsets(&self, sink: &str) -> Vec<String> {
        let sql = format!("SELECT partition, next FROM offsets WHERE grp = 'wharf.flow.{sink}' ORDER BY topic, partition");
        query(&self.path("state/log.sqlite"), &sql)
    }

    /// Positions of a source in the embedded log.
    pub fn positions(&self, source: &str) -> Vec<String> {
        let sql = format!("SELECT slice, CAST(place AS TEXT) FROM positions WHERE source = '{source}' ORDER BY slice");
        query(&self.path("state/log.sqlite"), &sql)
    }
}

fn query(path: &Path, sql: &str) -> Vec<String> {
    let db = rusqlite::Connection::open(path).unwrap();
    db.busy_timeout(PATIENCE).unwrap();
    let mut statement = db.prepare(sql).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        let cell = |index| {
            Ok(match row.get_ref(index)? {
                rusqlite::types::ValueRef::Null => "NULL".to_owned(),
                rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                rusqlite::types::ValueRef::Real(number) => number.to_string(),
                rusqlite::types::ValueRef::Text(text) | rusqlite::types::ValueRef::Blob(text) => utf8(text),
            })
        };
        (0..columns).map(cell).collect::<Result<Vec<_>, rusqlite::Error>>()
    };
    statement.query_map([], row).unwrap().map(|cells| cells.unwrap().join("|")).collect()
}
