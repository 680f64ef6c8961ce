//! Reading a topic from a start up to what its end was when the reading began: what is written meanwhile, by a redrive for
//! example, is not met.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::batch::Batch;
use crate::topic_log::{LogError, Start, TopicLog, TopicPartition, TopicReader};

/// The reader says by itself where the end is: nothing is to be waited for there.
const WAIT: Duration = Duration::ZERO;

/// A reading with an end.
pub struct Scan {
    reader: Box<dyn TopicReader>,
    /// By partition: the end, where it is not reached yet.
    left: BTreeMap<i32, i64>,
    ends: BTreeMap<i32, i64>,
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan").field("left", &self.left).finish_non_exhaustive()
    }
}

impl Scan {
    /// `None`: there is no such topic. Otherwise also the topic's id.
    ///
    /// # Errors
    /// [`LogError`] of the log.
    pub async fn open(log: &dyn TopicLog, topic: &str, from: Start) -> Result<Option<(Self, String)>, LogError> {
        let Some(info) = log.find_topics(&[topic]).await?.pop() else { return Ok(None) };
        let at: Vec<_> = info.partitions.iter().map(|p| TopicPartition { topic: topic.into(), partition: p.partition }).collect();
        let starts = log.offsets_at(&at, from).await?;
        let ends: BTreeMap<_, _> = info.partitions.iter().map(|p| (p.partition, p.high)).collect();
        let open = info.partitions.iter().zip(starts).filter(|(p, start)| *start < p.high);
        let left = open.map(|(p, _)| (p.partition, p.high)).collect();
        let reader = log.read(topic, from).await?;
        Ok(Some((Self { reader, left, ends }, info.id)))
    }

    /// The next records; `None` at the end.
    ///
    /// # Errors
    /// [`LogError`] of the log.
    pub async fn next(&mut self) -> Result<Option<Batch>, LogError> {
        while !self.left.is_empty() {
            let batch = self.reader.next(WAIT).await?;
            // What lies before an end may be no record: markers of transactions, what was compacted away.
            if batch.is_empty() {
                break;
            }
            let mut within = Vec::with_capacity(batch.len());
            for (partition, offset) in batch.partitions.iter().zip(&batch.offsets) {
                let end = self.ends.get(partition).copied().unwrap_or(0);
                within.push(*offset < end);
                if *offset + 1 >= end {
                    self.left.remove(partition);
                }
            }
            if within.iter().any(|within| *within) {
                return Ok(Some(batch.select(|index| within.get(index).copied().unwrap_or(false))));
            }
        }
        Ok(None)
    }
}
