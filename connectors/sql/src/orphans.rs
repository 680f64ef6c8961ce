//! Records that the database refuses for a foreign key: they are asked for again for a while, as the row they refer to may come by
//! another topic, or the rows that refer to them may yet go. Owns how long each has waited.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use wharf_sdk::{Batch, Outcomes, Record, Rejection, log};

/// Since when records wait.
#[derive(Debug)]
pub struct Orphans {
    patience: Duration,
    /// Whether what stands behind a record that waits is written anew after it: rows without a key would be there twice.
    keyed: bool,
    /// By topic, partition and offset. Of each partition only what its last calls held.
    since: HashMap<String, HashMap<i32, BTreeMap<i64, Instant>>>,
}

impl Orphans {
    #[must_use]
    pub fn new(patience: Duration, keyed: bool) -> Self {
        Self { patience, keyed, since: HashMap::new() }
    }

    /// Says what becomes of the records of a call of which these were refused, by their index: asked for again, and with a key also what
    /// stands behind them in their partitions; or rejected, once they have waited long enough.
    pub fn judge(&mut self, records: &Batch, mut refused: BTreeMap<u32, Rejection>, now: Instant, outcomes: &mut Outcomes) {
        if self.patience.is_zero() {
            refused.into_iter().for_each(|(record, rejection)| outcomes.push(record, rejection));
            return;
        }
        if refused.is_empty() && self.since.is_empty() {
            return;
        }
        let (mut begun, mut first) = (0_usize, None);
        for ((topic, partition), records) in by_partition(records) {
            let since = self.since.entry(topic.to_owned()).or_default().entry(partition).or_default();
            // What a call of the partition begins behind is settled.
            *since = records.first().map_or_else(BTreeMap::new, |record| since.split_off(&record.offset));
            let mut waits = false;
            for record in records {
                let Some(mut rejection) = refused.remove(&record.index) else {
                    since.remove(&record.offset);
                    if waits && self.keyed && outcomes.get(record.index).is_none() {
                        outcomes.retry(record.index);
                    }
                    continue;
                };
                let began = *since.entry(record.offset).or_insert_with(|| {
                    begun += 1;
                    first.get_or_insert_with(|| format!("{topic}/{partition}/{}: {}", record.offset, rejection.message));
                    now
                });
                if now.saturating_duration_since(began) < self.patience {
                    waits = true;
                    outcomes.retry(record.index);
                } else {
                    rejection.message = format!("{}; it stayed so for {:?}", rejection.message, self.patience);
                    outcomes.push(record.index, rejection);
                }
            }
        }
        self.since.retain(|_, partitions| {
            partitions.retain(|_, since| !since.is_empty());
            !partitions.is_empty()
        });
        if let Some(first) = first {
            log::warn!(records = begun; "a foreign key refuses records, which are sent again for up to {:?}; first {first}", self.patience);
        }
    }
}

/// The records of each partition, in their order.
fn by_partition(records: &Batch) -> Vec<((&str, i32), Vec<Record<'_>>)> {
    let mut partitions: Vec<((&str, i32), Vec<Record<'_>>)> = Vec::new();
    let mut places: HashMap<(&str, i32), usize> = HashMap::new();
    for record in records {
        let key = (record.topic, record.partition);
        let at = *places.entry(key).or_insert_with(|| {
            partitions.push((key, Vec::new()));
            partitions.len() - 1
        });
        if let Some((_, of)) = partitions.get_mut(at) {
            of.push(record);
        }
    }
    partitions
}
