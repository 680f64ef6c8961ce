//! Which of the topics that records name exist. A name can come out of a record (a route by field), and whoever wrote that
//! record must not stop the source with it. Owns what was found; the source's own topic is taken for granted.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};

use crate::batch::Batch;
use crate::topic_log::{LogError, Refused, TopicLog};

/// A topic that was not there is looked for again after this long.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// Names of missing topics that are remembered.
const MISSING: usize = 1_000;

/// What one task knows of topics.
#[derive(Debug)]
pub struct Destinations {
    known: HashSet<String>,
    missing: BTreeMap<String, Instant>,
}

impl Destinations {
    /// `own`: the source's topic. Where that is missing nothing can be delivered, and the log says so.
    #[must_use]
    pub fn new(own: &str) -> Self {
        Self { known: HashSet::from([own.to_owned()]), missing: BTreeMap::new() }
    }

    /// The records whose topic does not exist.
    ///
    /// # Errors
    /// The log's, where it does not tell its topics.
    pub async fn refused(&mut self, records: &Batch, log: &dyn TopicLog) -> Result<Vec<Refused>, LogError> {
        if records.topics.iter().all(|topic| self.known.contains(topic)) {
            return Ok(Vec::new());
        }
        let named: BTreeSet<&str> = records.records().map(|r| r.topic).filter(|topic| !self.known.contains(*topic)).collect();
        let fresh = |topic: &&str| self.missing.get(*topic).is_none_or(|seen| seen.elapsed() > LOOK_AGAIN);
        if named.iter().any(fresh) {
            self.look(&named, log).await?;
        }
        let missing = records.records().enumerate().filter(|(_, record)| self.missing.contains_key(record.topic));
        Ok(missing.map(|(index, record)| Refused { index, code: "topic.unknown", reason: reason(record.topic) }).collect())
    }

    async fn look(&mut self, named: &BTreeSet<&str>, log: &dyn TopicLog) -> Result<(), LogError> {
        let names: Vec<&str> = named.iter().copied().collect();
        let there: HashSet<String> = log.find_topics(&names).await?.into_iter().map(|topic| topic.name).collect();
        if self.missing.len() + named.len() > MISSING {
            self.missing.clear();
        }
        for topic in named {
            if there.contains(*topic) {
                self.missing.remove(*topic);
                self.known.insert((*topic).to_owned());
            } else {
                self.missing.insert((*topic).to_owned(), Instant::now());
            }
        }
        Ok(())
    }
}

fn reason(topic: &str) -> String {
    format!(
        "there is no topic `{topic}`: the record names it by its route or its source; add `[topic.\"{topic}\"]` if it is meant"
    )
}
