//! What has arrived, held against the source: all rows of all tables, in PostgreSQL and in ClickHouse, and the places in ClickHouse
//! against the topic.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::tables::{Cells, Rows, Table, differences};
use super::{Day, TABLES, wms};
use crate::flow::deployment::{PATIENCE, Running};

/// All rows of the sources, as plain clients read them, by table.
pub struct Sources {
    pub of: BTreeMap<&'static str, Rows>,
    /// The last version of each count.
    pub latest: Rows,
}

/// A topic's records.
struct Topic {
    /// Partition and offset of each.
    places: BTreeSet<(i32, i64)>,
    /// Keys whose last record is a tombstone.
    deleted: BTreeSet<Cells>,
}

impl Day {
    /// Waits until everything has arrived, and what was deleted is gone.
    pub async fn when_arrived(&self, sources: &Sources, running: &Running) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut missing = Vec::new();
            for table in TABLES {
                let expected = &sources.of[table.name];
                missing.extend(differences(expected, &table.in_postgres(&self.postgres, table.key, None).await));
                missing.extend(differences(expected, &table.in_clickhouse(&self.clickhouse, table.key, "_offset DESC").await));
            }
            if missing.is_empty() {
                missing = self.under_way().await;
            }
            if missing.is_empty() {
                return;
            }
            let troubles =
                || running.telemetry.snapshot().tasks.into_iter().filter(|task| task.reason.is_some()).collect::<Vec<_>>();
            assert!(Instant::now() < deadline, "does not arrive: {missing:#?}; what waits or has failed: {:#?}", troubles());
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Topics of which ClickHouse has fewer records than they hold: rows that repeat others are seen by their number alone.
    async fn under_way(&self) -> Vec<String> {
        let mut topics = Vec::new();
        for table in TABLES {
            let rows: usize = self.clickhouse.query(&format!("SELECT count() FROM {}", table.name)).await[0].parse().unwrap();
            let records = self.topic(table).await.places.len();
            if rows < records {
                topics.push(format!("{}: {rows} of {records} records in ClickHouse", table.name));
            }
        }
        topics
    }

    /// Compares all of it; answers how many rows.
    pub async fn compare(&self, sources: &Sources) -> usize {
        let mut compared = 0;
        for table in TABLES {
            let (name, expected) = (table.name, &sources.of[table.name]);
            let found = table.in_postgres(&self.postgres, table.key, None).await;
            assert_eq!(differences(expected, &found), [""; 0], "{name} in PostgreSQL");
            let topic = self.topic(table).await;
            self.check_topic(table, &topic);
            self.compare_places(table, &topic).await;
            let last = table.in_clickhouse(&self.clickhouse, table.key, "_offset DESC").await;
            assert_eq!(differences(expected, &last), [""; 0], "{name} in ClickHouse");
            compared += found.len() + last.len();
        }
        let counts = TABLES[0];
        let found = counts.in_postgres(&self.postgres, 3, Some("version DESC")).await;
        assert_eq!(differences(&sources.latest, &found), [""; 0], "last versions in PostgreSQL");
        let found = counts.in_clickhouse(&self.clickhouse, 3, "version DESC, _offset DESC").await;
        assert_eq!(differences(&sources.latest, &found), [""; 0], "last versions in ClickHouse");
        compared + 2 * found.len()
    }

    /// The topic has each row of the files once, and tombstones of what was deleted alone.
    fn check_topic(&self, table: &Table, topic: &Topic) {
        match table.name {
            "counts" => assert_eq!(topic.places.len(), self.wms.figures.rows()),
            "orders" => {
                let others = topic.deleted.iter().filter(|key| !self.erp.deleted.contains(&key[0].parse().unwrap()));
                assert_eq!(others.count(), 0, "tombstones of what was not deleted: {:?}", topic.deleted);
                assert!(!topic.deleted.is_empty());
            }
            "lines" => assert!(!topic.deleted.is_empty()),
            _ => assert!(topic.deleted.is_empty()),
        }
    }

    /// Each record of the topic is in ClickHouse once: no place twice, and none missing.
    async fn compare_places(&self, table: &Table, topic: &Topic) {
        let lines = self.clickhouse.query(&format!("SELECT _partition, _offset FROM {}", table.name)).await;
        let place = |line: &String| line.split_once('|').map(|(p, o)| (p.parse().unwrap(), o.parse().unwrap())).unwrap();
        let places: BTreeSet<(i32, i64)> = lines.iter().map(place).collect();
        assert_eq!(places.len(), lines.len(), "{}: a place is in ClickHouse twice", table.name);
        let missing: Vec<_> = topic.places.difference(&places).take(10).collect();
        let more: Vec<_> = places.difference(&topic.places).take(10).collect();
        assert!(missing.is_empty() && more.is_empty(), "{}: missing {missing:?}, too many {more:?}", table.name);
    }

    async fn topic(&self, table: &Table) -> Topic {
        let mut topic = Topic { places: BTreeSet::new(), deleted: BTreeSet::new() };
        for row in self.deployment.read(table.name).await {
            let key: Value = serde_json::from_str(row.key.as_deref().unwrap()).unwrap();
            let cell = |name: &str| key[name].as_str().map_or_else(|| key[name].to_string(), ToOwned::to_owned);
            let key = table.fields()[..table.key].iter().map(|name| cell(name)).collect();
            topic.places.insert((row.partition, row.offset));
            if row.value.is_some() {
                topic.deleted.remove(&key);
            } else {
                topic.deleted.insert(key);
            }
        }
        topic
    }

    pub async fn sources(&self) -> Sources {
        let [counts, orders, lines, products, prices] = TABLES;
        let all = wms::read(&self.folder());
        let latest = wms::latest(&all);
        let of = [
            (counts.name, all),
            (orders.name, self.erp.read(orders).await),
            (lines.name, self.erp.read(lines).await),
            (products.name, self.sap.products().await),
            (prices.name, self.sap.prices().await),
        ];
        Sources { of: of.into(), latest }
    }
}
