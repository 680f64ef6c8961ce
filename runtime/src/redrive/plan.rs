//! Which letters are sent back, and why the others are not. Reads, and sends nothing.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::time::{Duration, SystemTime};

use super::RedriveError;
use super::filter::Filter;
use super::letter::Letter;
use super::memory::Memory;
use super::newer::{Places, overtaken};
use super::scan::Scan;
use crate::config::{Config, Format};
use crate::dead_letter::Stage;
use crate::topic_log::{LogError, Start, TopicLog, group_of};

/// Whose letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// Of a source. `as_is`: what it reads goes into its topic unchanged (no transform, no format that encodes).
    Source { as_is: bool },
    /// Of a sink of this group.
    Sink { group: String },
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub deployment: String,
    pub connector: String,
    pub side: Side,
    pub dead_letters: String,
    pub filter: Filter,
    /// Records that died more often stay where they are.
    pub max_attempts: u32,
    /// Also those that a newer record of their key has overtaken.
    pub send_overtaken: bool,
    /// Instead of the topic they came from.
    pub to: Option<String>,
}

impl Request {
    /// A request for a connector of the configuration, by its name.
    ///
    /// # Errors
    /// [`RedriveError::Refused`] where there is none, or where it has no dead letters.
    pub fn new(config: &Config, name: &str) -> Result<Self, RedriveError> {
        let connector = config.connector(name).map_err(RedriveError::Refused)?;
        let side = if config.sinks.iter().any(|sink| sink.connector.name == name) {
            Side::Sink { group: group_of(&config.name, name) }
        } else {
            let as_is = connector.transforms.is_empty() && matches!(connector.format, Format::Json | Format::Bytes);
            Side::Source { as_is }
        };
        let Some(topic) = &connector.dead_letter.topic else {
            return Err(RedriveError::Refused(format!("dead letters of `{name}` are switched off")));
        };
        Ok(Self {
            deployment: config.name.clone(),
            connector: name.to_owned(),
            side,
            dead_letters: topic.clone(),
            filter: Filter::default(),
            max_attempts: 3,
            send_overtaken: false,
            to: None,
        })
    }

    pub(super) fn group(&self) -> Option<&str> {
        match &self.side {
            Side::Sink { group } => Some(group),
            Side::Source { .. } => None,
        }
    }

    /// Whether it is a letter of this connector.
    #[must_use]
    pub fn is_of(&self, letter: &Letter<'_>) -> bool {
        letter.connector == self.connector && letter.is_of(&self.deployment)
    }
}

/// Why a letter is not sent back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    Already,
    Repeated,
    Attempts,
    Truncated,
    Omitted,
    Raw,
    NoTopic,
    Overtaken,
    Expires,
    Refused,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Already => "sent back before",
            Self::Repeated => "repetitions of another letter of the same record",
            Self::Attempts => "died more often than --max-attempts allows: mend the cause, then allow more",
            Self::Truncated => "cut when they died, as they were larger than `max-record-bytes`: read them again at their place",
            Self::Omitted => "without content (`dead-letter.value = \"omit\"`): read them again at their place",
            Self::Raw => {
                "raw input of a source, before its format and transforms: mend the input, and let the source read it again \
                 (`wharf offsets`)"
            }
            Self::NoTopic => "of a topic that does not exist, or that they do not name: --to names one",
            Self::Overtaken => {
                "overtaken: the topic holds a newer record of their key, behind which they would come; --overtaken sends them too"
            }
            Self::Expires => {
                "older than their topic keeps records (`retention.ms`), which the log may remove before they are read: give it a \
                 longer time for as long as this takes"
            }
            Self::Refused => "refused by the log (too large for the topic)",
        })
    }
}

/// A letter that could be sent.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) letter: (i32, i64),
    pub(super) topic: String,
    pub(super) place: Option<(i32, i64)>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) timestamp: i64,
}

/// What will be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Partition and offset of letters.
    pub send: BTreeSet<(i32, i64)>,
    /// By topic, how many.
    pub topics: BTreeMap<String, usize>,
    /// Those of the topics that are compacted: what is sent there is for every sink.
    pub compacted: BTreeSet<String>,
    pub held: BTreeMap<Held, usize>,
    /// Letters of the connector that the filter leaves out.
    pub passed: usize,
}

impl Plan {
    pub(super) async fn new(log: &dyn TopicLog, request: &Request, memory: &Memory) -> Result<Self, RedriveError> {
        let mut plan = Self::default();
        let there: BTreeMap<String, String> = log.topics().await?.into_iter().map(|topic| (topic.name, topic.id)).collect();
        let (mut candidates, mut undelivered, mut settled) = (Vec::new(), Places::new(), HashSet::new());
        let Some((mut scan, _)) = Scan::open(log, &request.dead_letters, Start::Earliest).await? else { return Ok(plan) };
        while let Some(batch) = scan.next().await? {
            for record in batch.records() {
                let Some(letter) = Letter::of(&record).filter(|letter| request.is_of(letter)) else { continue };
                let done = memory.contains(record.partition, record.offset);
                // A place in a topic that was made anew since is none in the topic that is there.
                let is_gone = !letter.topic_id.is_empty() && there.get(letter.topic).is_some_and(|id| id != letter.topic_id);
                let place = letter.partition.zip(letter.offset).filter(|_| !is_gone);
                let origin = (letter.partition.zip(letter.offset)).map(|_| (letter.topic_id.to_owned(), letter.origin()));
                if let (true, Some(origin)) = (done, &origin) {
                    settled.insert(origin.clone());
                }
                match place {
                    Some(_) if done => {}
                    Some(place) => drop(undelivered.entry(letter.topic.to_owned()).or_default().insert(place)),
                    None => {}
                }
                if !request.filter.takes(&letter) {
                    plan.passed += 1;
                    continue;
                }
                let mut held = request.held(&letter, done, &there);
                // A batch that was rolled back, or read again, buries a record twice: it goes back once.
                if held.is_none() && origin.is_some_and(|origin| !settled.insert(origin)) {
                    held = Some(Held::Repeated);
                }
                match held {
                    Some(held) => *plan.held.entry(held).or_default() += 1,
                    None => candidates.push(request.candidate(&letter, place)),
                }
            }
        }
        let expire = expired(log, &candidates).await?;
        for topic in candidates.iter().map(|candidate| candidate.topic.clone()).collect::<BTreeSet<_>>() {
            if log.is_compacted(&topic).await? {
                plan.compacted.insert(topic);
            }
        }
        let mut late = Default::default();
        if !request.send_overtaken && request.to.is_none() {
            late = overtaken(log, &candidates, &undelivered, request.group(), &plan.compacted).await?;
        }
        for (index, candidate) in candidates.into_iter().enumerate() {
            let stays = [(&expire, Held::Expires), (&late, Held::Overtaken)];
            if let Some((_, why)) = stays.into_iter().find(|(those, _)| those.contains(&index)) {
                *plan.held.entry(why).or_default() += 1;
                continue;
            }
            *plan.topics.entry(candidate.topic).or_default() += 1;
            plan.send.insert(candidate.letter);
        }
        Ok(plan)
    }
}

/// The candidates, by index, that the log would remove from their topic at its next look, read or not.
async fn expired(log: &dyn TopicLog, candidates: &[Candidate]) -> Result<HashSet<usize>, LogError> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut limits = BTreeMap::new();
    for candidate in candidates {
        if !limits.contains_key(&candidate.topic) {
            limits.insert(&candidate.topic, log.age_limit(&candidate.topic).await?);
        }
    }
    let expires = |candidate: &Candidate| {
        let limit = limits.get(&candidate.topic).copied().flatten();
        limit.zip(u64::try_from(candidate.timestamp).ok()).is_some_and(|(limit, ms)| Duration::from_millis(ms) + limit < now)
    };
    Ok(candidates.iter().enumerate().filter(|(_, candidate)| expires(candidate)).map(|(index, _)| index).collect())
}

impl Request {
    fn held(&self, letter: &Letter<'_>, done: bool, there: &BTreeMap<String, String>) -> Option<Held> {
        let raw = matches!(self.side, Side::Source { as_is } if !as_is || letter.stage != Stage::KafkaProduce.as_str());
        let checks = [
            (done, Held::Already),
            (!letter.truncated.is_empty(), Held::Truncated),
            (!letter.omitted.is_empty(), Held::Omitted),
            (raw, Held::Raw),
            (letter.attempt > self.max_attempts, Held::Attempts),
            (!there.contains_key(self.target(letter)), Held::NoTopic),
        ];
        checks.into_iter().find(|(holds, _)| *holds).map(|(_, held)| held)
    }

    pub(super) fn target<'a>(&'a self, letter: &'a Letter<'_>) -> &'a str {
        self.to.as_deref().unwrap_or(letter.topic)
    }

    fn candidate(&self, letter: &Letter<'_>, place: Option<(i32, i64)>) -> Candidate {
        Candidate {
            letter: (letter.record.partition, letter.record.offset),
            topic: self.target(letter).to_owned(),
            place,
            key: letter.record.key.map(<[u8]>::to_vec),
            timestamp: letter.timestamp,
        }
    }
}
