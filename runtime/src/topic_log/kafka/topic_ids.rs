//! Which topic of a name a consumer reads from: a topic that is deleted and created again keeps its name and gets another id.
//!
//! librdkafka (2.12) fetches by id and takes the new one over without a word, at the old one's offset ("FIXME" in its
//! `rd_kafka_topic_metadata_update`): what it then reads looks like the rest of the old topic. It tells of the change in a line
//! of its log alone, before it fetches by the new id. So this listens to that line.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The ids that the consumer fetches by, by topic. None is known of a broker that has no ids (before 2.8).
#[derive(Debug, Default)]
pub(super) struct TopicIds {
    by_name: Mutex<BTreeMap<String, String>>,
    changes: AtomicU64,
}

impl TopicIds {
    /// A line of librdkafka's log, on the thread that is about to change the id.
    pub(super) fn hear(&self, facility: &str, message: &str) {
        let Some((topic, id)) = change(facility, message) else { return };
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned(), id.to_owned());
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Grows with each change. Read after a record was taken: if it is as before, the record is of the topic as known before.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The consumer fetches by another id than this one.
    pub(super) fn differs(&self, topic: &str, id: &str) -> bool {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).get(topic).is_some_and(|now| now != id)
    }
}

/// `[thrd:main]: Topic orders changed id from X to Y`: the topic and its new id.
fn change<'a>(facility: &str, message: &'a str) -> Option<(&'a str, &'a str)> {
    let (_, told) = message.split_once("Topic ").filter(|_| facility == "METADATA")?;
    let (topic, ids) = told.split_once(" changed id from ")?;
    Some((topic, ids.split_once(" to ")?.1.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_id_is_heard_and_other_lines_are_not() {
        let ids = TopicIds::default();
        assert!(!ids.differs("orders", "X"), "nothing is known");
        ids.hear("METADATA", "[thrd:main]: Topic orders changed id from AAAAAAAAAAAAAAAAAAAAAA to X1_-");
        assert!((ids.changes(), ids.differs("orders", "X1_-"), ids.differs("orders", "X")) == (1, false, true));
        ids.hear("METADATA", "[thrd:main]: Topic orders [0] Leader 1 Epoch 3");
        ids.hear("TOPICPROP", "Topic orders changed id from X1_- to Y");
        assert_eq!(ids.changes(), 1);
        ids.hear("METADATA", "Topic orders changed id from X1_- to Y");
        assert!(ids.differs("orders", "X1_-") && !ids.differs("orders", "Y") && !ids.differs("other", "Z"));
    }
}
