//! Records that their topic will not keep. Kafka counts `retention.ms` from a record's own time (`message.timestamp.type=CreateTime`,
//! its default): what is older than that when it is written goes at the broker's next look (`log.retention.check.interval.ms`, 5
//! minutes), read or not. This tells of it, and holds nothing up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::admin::Admin;
use crate::batch::Batch;

/// Younger records are not looked at.
const YOUNG: Duration = Duration::from_secs(60);
/// A topic is asked for its retention, and told of, once in this time.
const EVERY: Duration = Duration::from_secs(600);

/// What was told of, and when.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    looked: Mutex<BTreeMap<String, Instant>>,
}

impl Expiry {
    /// Tells of records that have just been written and whose topic does not keep them. Answers at once.
    pub(super) fn look(&self, admin: &Arc<Admin>, records: &Batch) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        for (topic, age) in self.due(ages(records, now), Instant::now()) {
            let admin = Arc::clone(admin);
            tokio::spawn(async move { tell(&admin, &topic, age).await });
        }
    }

    fn due(&self, ages: BTreeMap<&str, Duration>, now: Instant) -> Vec<(String, Duration)> {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        for (topic, age) in ages {
            if looked.get(topic).is_none_or(|last| now.duration_since(*last) >= EVERY) {
                looked.insert(topic.to_owned(), now);
                due.push((topic.to_owned(), age));
            }
        }
        due
    }
}

/// The age of each topic's oldest record, where that is no young one. A record without a time gets the time of its writing.
fn ages(records: &Batch, now: Duration) -> BTreeMap<&str, Duration> {
    let age = |timestamp: i64| u64::try_from(timestamp).ok().map(|ms| now.saturating_sub(Duration::from_millis(ms)));
    let is_old = |timestamp: i64| age(timestamp).filter(|age| *age >= YOUNG);
    let mut ages = BTreeMap::new();
    if records.timestamps.iter().any(|timestamp| is_old(*timestamp).is_some()) {
        for record in records.records() {
            if let Some(age) = is_old(record.timestamp) {
                let oldest: &mut Duration = ages.entry(record.topic).or_default();
                *oldest = age.max(*oldest);
            }
        }
    }
    ages
}

async fn tell(admin: &Admin, topic: &str, age: Duration) {
    match admin.age_limit(topic).await {
        Ok(Some(limit)) if age > limit => tracing::warn!(
            topic,
            oldest_seconds = age.as_secs(),
            retention_seconds = limit.as_secs(),
            "records are written that are older than this topic keeps records: the broker removes them within minutes, read or \
             not. Give the topic a longer `retention.ms` (-1: for ever), or `message.timestamp.type=LogAppendTime`"
        ),
        Ok(_) => {}
        Err(error) => tracing::debug!(topic, %error, "how long this topic keeps records is not known"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Record;

    const NOW: Duration = Duration::from_secs(1_000_000);

    fn batch(records: &[(&str, i64)]) -> Batch {
        let mut batch = Batch::default();
        for (topic, timestamp) in records {
            let (timestamp, headers) = (*timestamp, Vec::new());
            batch.push(&Record { topic, partition: -1, offset: -1, timestamp, key: None, value: None, headers, attempt: 1 });
        }
        batch
    }

    #[test]
    fn a_topics_age_is_that_of_its_oldest_record() {
        let found =
            batch(&[("a", 999_000_000), ("b", 999_999_000), ("a", 900_000_000), ("c", -1), ("d", 2_000_000_000), ("e", 0)]);
        let seconds: Vec<_> = ages(&found, NOW).into_iter().map(|(topic, age)| (topic, age.as_secs())).collect();
        assert_eq!(seconds, [("a", 100_000), ("e", 1_000_000)]);
    }

    #[test]
    fn a_topic_is_told_of_once_in_a_while() {
        let (expiry, old, start) = (Expiry::default(), batch(&[("a", 1), ("b", 1)]), Instant::now());
        assert_eq!(expiry.due(ages(&batch(&[("a", 1)]), NOW), start).len(), 1);
        let due = expiry.due(ages(&old, NOW), start + EVERY / 2);
        assert_eq!(due.iter().map(|(topic, _)| topic.as_str()).collect::<Vec<_>>(), ["b"]);
        assert_eq!(expiry.due(ages(&old, NOW), start + EVERY).len(), 1);
    }
}
