//! Which records a failed shipment names as those that can never be written, and what the shipment means otherwise.

use std::collections::BTreeMap;

use rdkafka::error::RDKafkaErrorCode as Code;

use super::admin::Admin;
use super::fault::{code_fault, is_unknown_topic, unknown_topic};
use super::produce::{Failure, Refusal, refusal, size};
use super::times::at_fault;
use crate::batch::{Batch, Record};
use crate::dead_letter::{OVERSIZE, REFUSED};
use crate::topic_log::{LogError, Refused};

/// Answers the records at fault. Empty: none of them, the failures tell of something that may pass.
///
/// # Errors
/// [`LogError::Fatal`] where someone has to change something (a topic that is not there, rights, a batch too large).
pub(super) async fn refused(admin: &Admin, records: &Batch, failures: &[Failure]) -> Result<Vec<Refused>, LogError> {
    let all: Vec<_> = records.records().collect();
    let mut limits: BTreeMap<&str, Option<usize>> = BTreeMap::new();
    let mut refused = Vec::new();
    let mut too_large = None;
    let mut timed: BTreeMap<&str, Vec<(usize, i64)>> = BTreeMap::new();
    for failure in failures {
        let (index, code) = (failure.index, failure.code);
        let Some(record) = all.get(index) else { continue };
        match refusal(code) {
            Refusal::Record => {
                refused.push(Refused { index, code: REFUSED, reason: format!("topic `{}`: {code}", record.topic) });
            }
            Refusal::Size => {
                too_large = Some(record.topic);
                if !failure.at_once && !limits.contains_key(record.topic) {
                    limits.insert(record.topic, admin.max_message_bytes(record.topic).await?);
                }
                refused.extend(oversize(failure, record, limits.get(record.topic).copied().flatten()));
            }
            Refusal::Time => timed.entry(record.topic).or_default().push((index, record.timestamp)),
            Refusal::Companion => {}
            // One that was created anew with fewer partitions than the producer knows of is there.
            Refusal::Other if is_unknown_topic(code) && !admin.exists(record.topic).await? => {
                return Err(unknown_topic(record.topic));
            }
            Refusal::Other => match code_fault(&format!("writing to topic `{}`", record.topic), code) {
                LogError::Retry(_) => {}
                fatal => return Err(fatal),
            },
        }
    }
    for (topic, records) in timed {
        let times = admin.times(topic).await?;
        let at_fault = at_fault(&records, times, jiff::Timestamp::now().as_millisecond());
        let reason = || format!("topic `{topic}` does not take its time: {} (`message.timestamp.*`)", Code::InvalidTimestamp);
        refused.extend(at_fault.into_iter().map(|index| Refused { index, code: REFUSED, reason: reason() }));
    }
    match too_large {
        Some(topic) if refused.is_empty() => Err(LogError::Fatal(format!(
            "topic `{topic}` refuses a batch of records that it takes one by one: set `batch.size` under [kafka] to at most the \
             topic's `max.message.bytes`"
        ))),
        _ => Ok(refused),
    }
}

/// A broker refuses whole batches: only the records above the topic's limit are at fault.
fn oversize(failure: &Failure, record: &Record<'_>, limit: Option<usize>) -> Option<Refused> {
    let (bytes, topic) = (size(record), record.topic);
    let reason = if failure.at_once {
        format!(
            "{bytes} bytes for topic `{topic}`; the producer sends at most its `message.max.bytes` ([kafka], default 1000000)"
        )
    } else {
        let limit = limit.filter(|limit| bytes > *limit)?;
        format!("{bytes} bytes; topic `{topic}` takes at most {limit} (`max.message.bytes`)")
    };
    Some(Refused { index: failure.index, code: OVERSIZE, reason })
}
