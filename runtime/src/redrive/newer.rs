//! Which letters a newer record of their key has overtaken: sent back now, they would come behind it, and an upsert would go
//! back in time. Reads the topics from the oldest letter's time on.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::plan::Candidate;
use super::scan::Scan;
use crate::batch::Record;
use crate::pipeline::addressed::takes;
use crate::topic_log::{LogError, Start, TopicLog};

/// Places of records, by topic.
pub(super) type Places = HashMap<String, HashSet<(i32, i64)>>;

/// The candidates, by index, that were overtaken. `undelivered`: places of records that lie in dead letters themselves and were
/// not sent back; `group`: the sink's, where it is one. Neither counts in topics that are `compacted`: what is sent there is for all.
pub(super) async fn overtaken(
    log: &dyn TopicLog,
    candidates: &[Candidate],
    undelivered: &Places,
    group: Option<&str>,
    compacted: &BTreeSet<String>,
) -> Result<HashSet<usize>, LogError> {
    let mut by_topic: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, candidate) in candidates.iter().enumerate().filter(|(_, c)| c.key.is_some()) {
        by_topic.entry(&candidate.topic).or_default().push(index);
    }
    let mut overtaken = HashSet::new();
    for (topic, indices) in by_topic {
        let chosen = || indices.iter().filter_map(|&index| Some((index, candidates.get(index)?)));
        let oldest = chosen().map(|(_, c)| c.timestamp).min().unwrap_or(-1);
        let from = if oldest < 0 { Start::Earliest } else { Start::At(oldest) };
        let mut keys: HashMap<&[u8], Vec<(usize, &Candidate)>> = HashMap::new();
        for (index, candidate) in chosen() {
            keys.entry(candidate.key.as_deref().unwrap_or_default()).or_default().push((index, candidate));
        }
        let (buried, for_all) = (undelivered.get(topic), compacted.contains(topic));
        let Some((mut scan, _)) = Scan::open(log, topic, from).await? else { continue };
        while let Some(batch) = scan.next().await? {
            for record in batch.records() {
                let Some(same_key) = record.key.and_then(|key| keys.get(key)) else { continue };
                let dead = buried.is_some_and(|places| places.contains(&(record.partition, record.offset)));
                if !for_all && (dead || group.is_some_and(|group| !takes(group, &record))) {
                    continue;
                }
                overtaken.extend(same_key.iter().filter(|(_, c)| is_newer(&record, c)).map(|(index, _)| *index));
            }
        }
    }
    Ok(overtaken)
}

/// In another partition (their number has changed, or a source's record had no place yet) only time tells.
fn is_newer(record: &Record<'_>, candidate: &Candidate) -> bool {
    match candidate.place {
        Some((partition, offset)) if partition == record.partition => record.offset > offset,
        _ => record.timestamp > candidate.timestamp,
    }
}
