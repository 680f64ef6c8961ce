//! What arrived against what was sent. Pure; the rules of what counts as what stand here alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::numbered::Numbered;

/// A record at its destination, in the order of arrival (per key).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    pub n: u64,
    pub key: String,
    /// The idempotency key that it came with, where the target is at least once.
    pub id: Option<String>,
}

/// Everything at the destinations.
#[derive(Debug, Default)]
pub struct Arrived {
    pub records: Vec<Arrival>,
    /// Numbers of dead letters that are written exactly once.
    pub dead_once: Vec<u64>,
    /// Numbers of dead letters that a rollback may repeat.
    pub dead: Vec<u64>,
}

/// The result.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Neither at the destination nor among the dead letters, or at the wrong one of the two.
    pub lost: u64,
    /// Twice where exactly once is promised, or again with another idempotency key.
    pub duplicated: u64,
    /// Its first appearance came after that of a later record of its key.
    pub reordered: u64,
    /// Again, with the same idempotency key, where at least once is promised.
    pub redelivered: u64,
    /// Dead letters that came again after a rollback.
    pub dlq_repeated: u64,
}

impl Tally {
    pub const fn is_clean(self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.reordered == 0
    }

    pub const fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.redelivered += other.redelivered;
        self.dlq_repeated += other.dlq_repeated;
    }
}

/// A tally, and in words the first records of each finding.
#[derive(Debug, Default)]
pub struct Verdict {
    pub tally: Tally,
    pub findings: Vec<String>,
}

impl Verdict {
    fn find(&mut self, what: &str, n: u64, more: &str) {
        if self.findings.len() < 20 {
            self.findings.push(format!("{what}: record {n} {more}"));
        }
    }
}

/// Compares. Each number of `sent` has to be at exactly one of the two destinations.
pub fn compare(sent: &[Numbered], arrived: &Arrived) -> Verdict {
    let mut verdict = Verdict::default();
    let mut first: BTreeMap<u64, &Arrival> = BTreeMap::new();
    let mut last_of_key: BTreeMap<&str, u64> = BTreeMap::new();
    for arrival in &arrived.records {
        if let Some(before) = first.get(&arrival.n) {
            if arrival.id.is_some() && arrival.id == before.id {
                verdict.tally.redelivered += 1;
            } else {
                verdict.tally.duplicated += 1;
                verdict.find("duplicated", arrival.n, &format!("of key {}, ids {:?} {:?}", arrival.key, before.id, arrival.id));
            }
            continue;
        }
        first.insert(arrival.n, arrival);
        let last = last_of_key.entry(&arrival.key).or_insert(arrival.n);
        if arrival.n < *last {
            verdict.tally.reordered += 1;
            verdict.find("reordered", arrival.n, &format!("of key {} came after {last}", arrival.key));
        }
        *last = (*last).max(arrival.n);
    }
    let mut dead: BTreeMap<u64, u64> = BTreeMap::new();
    for n in &arrived.dead_once {
        if *dead.entry(*n).and_modify(|count| *count += 1).or_insert(1) > 1 {
            verdict.tally.duplicated += 1;
            verdict.find("duplicated", *n, "as a dead letter of a source");
        }
    }
    for n in &arrived.dead {
        if *dead.entry(*n).and_modify(|count| *count += 1).or_insert(1) > 1 {
            verdict.tally.dlq_repeated += 1;
        }
    }
    for record in sent {
        let (here, there) = (first.contains_key(&record.n), dead.contains_key(&record.n));
        if (here, there) != (record.kind.is_good(), !record.kind.is_good()) {
            verdict.tally.lost += 1;
            let more = format!("of key {} ({:?}): arrived {here}, dead letter {there}", record.key(), record.kind);
            verdict.find("lost", record.n, &more);
        }
    }
    let strangers = first.keys().chain(dead.keys()).filter(|n| **n >= sent.len() as u64).count() as u64;
    if strangers > 0 {
        verdict.tally.duplicated += strangers;
        verdict.findings.push(format!("{strangers} records arrived that were never sent"));
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbered::Kind;

    fn sent(kinds: &[Kind]) -> Vec<Numbered> {
        kinds.iter().zip(0..).map(|(kind, n)| Numbered { n, key: 0, kind: *kind }).collect()
    }

    fn arrival(n: u64, id: Option<&str>) -> Arrival {
        Arrival { n, key: "k0".to_owned(), id: id.map(ToOwned::to_owned) }
    }

    fn tally(records: Vec<Arrival>, dead_once: &[u64], dead: &[u64]) -> Tally {
        let arrived = Arrived { records, dead_once: dead_once.to_vec(), dead: dead.to_vec() };
        compare(&sent(&[Kind::Good, Kind::Good, Kind::Malformed]), &arrived).tally
    }

    #[test]
    fn each_record_at_its_destination_once_is_clean() {
        assert_eq!(tally(vec![arrival(0, None), arrival(1, None)], &[2], &[]), Tally::default());
    }

    #[test]
    fn a_record_that_is_nowhere_or_at_the_wrong_destination_is_lost() {
        assert_eq!(tally(vec![arrival(0, None)], &[2], &[]).lost, 1);
        assert_eq!(tally(vec![arrival(0, None)], &[1, 2], &[]).lost, 1);
        assert_eq!(tally(vec![arrival(0, None), arrival(1, None)], &[], &[]).lost, 1);
    }

    #[test]
    fn what_comes_again_is_redelivered_only_with_the_key_it_had() {
        let again = |id| tally(vec![arrival(0, Some("a")), arrival(1, Some("b")), arrival(0, id)], &[2], &[]);
        assert_eq!((again(Some("a")).redelivered, again(Some("a")).duplicated), (1, 0));
        assert_eq!((again(Some("b")).redelivered, again(Some("b")).duplicated), (0, 1));
        assert_eq!((again(None).redelivered, again(None).duplicated), (0, 1));
    }

    #[test]
    fn order_is_that_of_first_appearances() {
        assert_eq!(tally(vec![arrival(1, None), arrival(0, None)], &[2], &[]).reordered, 1);
        let again = vec![arrival(0, Some("a")), arrival(1, Some("b")), arrival(0, Some("a"))];
        assert_eq!(tally(again, &[2], &[]).reordered, 0);
    }

    #[test]
    fn a_dead_letter_may_come_again_after_a_rollback_only() {
        let good = || vec![arrival(0, None), arrival(1, None)];
        assert_eq!(tally(good(), &[], &[2, 2]), Tally { dlq_repeated: 1, ..Tally::default() });
        assert_eq!(tally(good(), &[2, 2], &[]), Tally { duplicated: 1, ..Tally::default() });
    }
}
