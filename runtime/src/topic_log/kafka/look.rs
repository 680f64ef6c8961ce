//! Whether Kafka answers, and where partitions end: a question that nobody's records wait for.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};

use super::admin::Admin;
use super::fault::fault;
use super::native;
use crate::topic_log::{LogError, TopicPartition};

/// Longest wait for each of the two answers.
const WAIT: Duration = Duration::from_secs(4);

/// Uncommitted records count: they come, or they are what keeps others from coming. Blocks.
pub(super) fn look(admin: &Admin, partitions: &[TopicPartition]) -> Result<BTreeMap<TopicPartition, i64>, LogError> {
    native::ask_anyone(admin.client(), WAIT).map_err(|e| fault("asking whether Kafka answers", &e))?;
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for at in partitions {
        let added = list.add_partition_offset(&at.topic, at.partition, Offset::End);
        added.map_err(|e| fault(&format!("asking for the end of {at}"), &e))?;
    }
    let mut ends = BTreeMap::new();
    if partitions.is_empty() {
        return Ok(ends);
    }
    // That one partition has no leader just now does not hide the others, and Kafka has answered.
    match admin.consumer().offsets_for_times(list, WAIT) {
        Ok(answer) => {
            for element in answer.elements().iter().filter(|element| element.error().is_ok()) {
                if let Some(end) = element.offset().to_raw().filter(|end| *end >= 0) {
                    ends.insert(TopicPartition { topic: element.topic().into(), partition: element.partition() }, end);
                }
            }
        }
        Err(error) => tracing::debug!(%error, "the ends of partitions are not known just now"),
    }
    Ok(ends)
}
