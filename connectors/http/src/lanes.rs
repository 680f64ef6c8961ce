//! What is sent beside each other and what after each other. A lane sends one request at a time, and a partition is in one lane: so
//! that its records arrive in their order, however many requests are under way. Sends nothing.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

use wharf_sdk::{Batch, Outcomes, Record};

use crate::config::Config;
use crate::element::{Element, element};

/// The records of some partitions, in order.
#[derive(Debug, Default)]
pub struct Lane<'a> {
    records: VecDeque<Record<'a>>,
    /// Read and not done; the first `sent` are under way.
    elements: VecDeque<Element<'a>>,
    sent: usize,
    /// So many from the first on go out one by one, as a request that held them all was refused.
    alone: usize,
    /// How long the receiver asked to wait when it last failed.
    pub after: Option<Duration>,
}

/// The lanes of a batch: no more than there are partitions, than `config.in-flight`, and than fill a request each.
#[must_use]
pub fn lanes<'a>(config: &Config, batch: &'a Batch) -> Vec<Lane<'a>> {
    let mut partitions: Vec<VecDeque<Record<'a>>> = Vec::new();
    let mut last = 0;
    for record in batch {
        let is = |records: &VecDeque<Record<'_>>| {
            let same = |first: &Record<'_>| std::ptr::eq(first.topic, record.topic) || first.topic == record.topic;
            records.front().is_some_and(|first| first.partition == record.partition && same(first))
        };
        // Records of a partition mostly stand together.
        if !partitions.get(last).is_some_and(is) {
            last = partitions.iter().position(is).unwrap_or(partitions.len());
        }
        match partitions.get_mut(last) {
            Some(records) => records.push_back(record),
            None => partitions.push(VecDeque::from([record])),
        }
    }
    let requests = batch.len().div_ceil(config.elements_per_request());
    let count = partitions.len().min(config.in_flight).min(requests);
    let mut lanes: Vec<Lane<'a>> = std::iter::repeat_with(Lane::default).take(count).collect();
    // The longest first, each to the lane that has least: lanes of like length.
    partitions.sort_by_key(|records| Reverse(records.len()));
    for records in partitions {
        if let Some(lane) = lanes.iter_mut().min_by_key(|lane| lane.records.len()) {
            lane.records.extend(records);
        }
    }
    lanes
}

impl<'a> Lane<'a> {
    /// What the next request holds; empty: all of the lane is sent. Records that have no place in a request are rejected.
    pub fn next(&mut self, config: &Config, outcomes: &mut Outcomes) -> &[Element<'a>] {
        self.sent = if self.alone > 0 {
            1
        } else {
            self.read(config, config.elements_per_request(), outcomes);
            self.elements.len().min(config.elements_per_request())
        };
        let sent = self.sent;
        self.elements.make_contiguous().get(..sent).unwrap_or_default()
    }

    /// Makes the next request ready as far as can be, while one is under way.
    pub fn prepare(&mut self, config: &Config, outcomes: &mut Outcomes) {
        if self.alone == 0 {
            self.read(config, self.sent + config.elements_per_request(), outcomes);
        }
    }

    /// Until so many elements are there, or no more records.
    fn read(&mut self, config: &Config, count: usize, outcomes: &mut Outcomes) {
        while self.elements.len() < count
            && let Some(record) = self.records.pop_front()
        {
            match element(config, &record) {
                Ok(found) => self.elements.extend(found),
                Err(rejection) => outcomes.push(record.index, rejection),
            }
        }
    }

    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        self.sent > 0
    }

    /// What is under way.
    pub fn under_way(&self) -> impl Iterator<Item = &Element<'a>> {
        self.elements.iter().take(self.sent)
    }

    /// What was under way is done with. Answers how many records that were.
    pub fn done(&mut self) -> usize {
        self.alone = self.alone.saturating_sub(self.sent);
        self.elements.drain(..self.sent.min(self.elements.len()));
        std::mem::take(&mut self.sent)
    }

    /// The receiver never takes what was under way: of several records each is sent by itself, the index of a single one is answered.
    pub fn refused(&mut self) -> Option<u32> {
        if self.sent > 1 {
            self.alone = std::mem::take(&mut self.sent);
            return None;
        }
        let index = self.elements.front().map(|element| element.index);
        self.done();
        index
    }

    /// What was under way is not done, and not to be sent again before that long.
    pub const fn failed(&mut self, after: Option<Duration>) {
        self.sent = 0;
        self.after = after;
    }

    /// The records that are not done, in order.
    pub fn rest(&self) -> impl Iterator<Item = u32> {
        let elements = self.elements.iter().map(|element| element.index);
        elements.chain(self.records.iter().map(|record| record.index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_sdk::{NewRecord, Records};

    fn config(more: &str) -> Config {
        serde_json::from_str(&format!(r#"{{"url": "https://h"{more}}}"#)).unwrap()
    }

    /// Records of these partitions.
    fn batch(partitions: &[&str]) -> Batch {
        let mut records = Records::new();
        for (at, partition) in partitions.iter().enumerate() {
            records.push(NewRecord::new().topic(partition).value(at.to_string().as_bytes()));
        }
        records.into_batch()
    }

    fn indices(lanes: &[Lane<'_>]) -> Vec<Vec<u32>> {
        lanes.iter().map(|lane| lane.rest().collect()).collect()
    }

    #[test]
    fn a_partition_is_in_one_lane_in_its_order() {
        let batch = batch(&["a", "b", "a", "c", "a", "b"]);
        assert_eq!(indices(&lanes(&config(r#", "max-batch": 1"#), &batch)), [vec![0, 2, 4], vec![1, 5], vec![3]]);
        let two = config(r#", "max-batch": 1, "in-flight": 2"#);
        assert_eq!(indices(&lanes(&two, &batch)), [vec![0, 2, 4], vec![1, 5, 3]]);
    }

    #[test]
    fn few_records_go_out_in_one_request_whatever_their_partitions() {
        let batch = batch(&["a", "b", "c", "d", "e"]);
        assert_eq!(lanes(&config(""), &batch).len(), 1);
        assert_eq!(lanes(&config(r#", "max-batch": 3"#), &batch).len(), 2);
    }

    #[test]
    fn a_refused_request_is_sent_again_one_by_one() {
        let (batch, config) = (batch(&["a"; 4]), config(r#", "max-batch": 3"#));
        let (mut lanes, mut outcomes) = (lanes(&config, &batch), Outcomes::accepted());
        let lane = lanes.first_mut().unwrap();
        assert_eq!(lane.next(&config, &mut outcomes).len(), 3);
        assert_eq!(lane.refused(), None);
        for index in 0..3 {
            assert_eq!(lane.next(&config, &mut outcomes).iter().map(|element| element.index).collect::<Vec<_>>(), [index]);
            assert_eq!(lane.refused(), Some(index));
        }
        assert_eq!(lane.next(&config, &mut outcomes).len(), 1);
        assert_eq!(lane.done(), 1);
        assert!(lane.next(&config, &mut outcomes).is_empty());
    }
}
