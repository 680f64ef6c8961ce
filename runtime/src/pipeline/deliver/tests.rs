//! Pieces of a batch: what is done when one of them is delivered.
use proptest::prelude::*;

use super::*;
use crate::batch::Record;

/// What the transforms made of one input: how many records it became, and how often a step rejected one of them.
pub type Fate = (usize, usize);

pub fn delivery(fates: &[Fate]) -> Delivery {
    let (mut input, mut applied) = (Batch::default(), Applied::default());
    let mut next = [100i64, 7];
    for (index, (outputs, rejects)) in fates.iter().enumerate() {
        // Two partitions, the second with gaps.
        let partition = usize::from(index % 3 == 2);
        let (offset, value) = (next[partition], index.to_string());
        next[partition] += 1 + i64::try_from(partition).unwrap() * 4;
        let record = Record {
            topic: "t",
            partition: i32::try_from(partition).unwrap(),
            offset,
            timestamp: 0,
            key: None,
            value: Some(value.as_bytes()),
            headers: Vec::new(),
            attempt: 1,
        };
        input.push(&record);
        let origin = u32::try_from(index).unwrap();
        for _ in 0..*outputs {
            applied.records.push(&record);
            applied.origin.push(origin);
        }
        let reject = Reject { index: origin, stage: Stage::Transformation, rejection: Rejection::new("c", "m") };
        applied.rejects.extend(vec![reject; *rejects]);
    }
    Delivery::new(input, applied)
}

/// All pieces down to the smallest, in order.
pub fn leaves(delivery: &Delivery, piece: Piece) -> Vec<Piece> {
    match delivery.halves(&piece) {
        None => vec![piece],
        Some((first, second)) => [leaves(delivery, first), leaves(delivery, second)].concat(),
    }
}

pub fn adds_up(tally: &Tally) -> bool {
    tally.read + tally.split == tally.delivered + tally.filtered + tally.dead_lettered
}

pub fn fates() -> impl Strategy<Value = Vec<Fate>> {
    proptest::collection::vec((0usize..4, 0usize..3), 1..40)
}

proptest! {
    #[test]
    fn every_output_is_in_exactly_one_leaf_and_inputs_are_contiguous(fates in fates()) {
        let delivery = delivery(&fates);
        let (mut outputs, mut inputs) = (0, 0);
        for leaf in leaves(&delivery, delivery.whole()) {
            prop_assert_eq!((leaf.outputs.start, leaf.inputs.start), (outputs, inputs));
            (outputs, inputs) = (leaf.outputs.end, leaf.inputs.end);
        }
        prop_assert_eq!((outputs, inputs), (delivery.output().len(), delivery.input.len()));
    }

    #[test]
    fn an_offset_never_stands_for_a_part_of_a_split(fates in fates()) {
        let delivery = delivery(&fates);
        for leaf in leaves(&delivery, delivery.whole()) {
            let own: Vec<_> = delivery.origin.iter().enumerate().filter(|(_, o)| leaf.inputs.contains(&(**o as usize))).collect();
            prop_assert!(own.iter().all(|(output, _)| leaf.outputs.contains(output)));
            prop_assert_eq!(own.len(), leaf.outputs.len());
        }
    }

    #[test]
    fn a_leaf_holds_the_records_of_one_input(fates in fates()) {
        let delivery = delivery(&fates);
        for leaf in leaves(&delivery, delivery.whole()) {
            let mut origin = delivery.origin[leaf.outputs.clone()].to_vec();
            origin.dedup();
            prop_assert!(origin.len() <= 1, "{:?}", origin);
        }
    }

    #[test]
    fn offsets_of_the_leaves_rise_to_those_of_the_whole(fates in fates()) {
        let delivery = delivery(&fates);
        let mut reached = BTreeMap::new();
        for leaf in leaves(&delivery, delivery.whole()) {
            let first = delivery.first_offsets(&leaf);
            for (partition, next) in delivery.next_offsets(&leaf) {
                prop_assert!(first[&partition] < next);
                // Where the last leaf of this partition ended, nothing of it lies before this one.
                let before = reached.insert(partition.clone(), next).unwrap_or(i64::MIN);
                let between = delivery.input.records().filter(|r| r.partition == partition.partition && r.offset >= before);
                prop_assert_eq!(between.map(|r| r.offset).next(), Some(first[&partition]));
            }
        }
        prop_assert_eq!(reached, delivery.next_offsets(&delivery.whole()));
    }

    #[test]
    fn counters_of_the_leaves_add_up_to_those_of_the_whole(fates in fates(), dead in 0usize..4) {
        let delivery = delivery(&fates);
        let mut sum = Tally::default();
        let mut refused = 0;
        for leaf in leaves(&delivery, delivery.whole()) {
            let dead = dead.min(leaf.outputs.len());
            refused += dead;
            let tally = delivery.tally(&leaf, dead);
            prop_assert!(adds_up(&tally), "{:?}", tally);
            prop_assert!(adds_up(&delivery.tally_buried(&leaf)));
            sum += tally;
        }
        prop_assert_eq!(sum, delivery.tally(&delivery.whole(), refused));
    }

    #[test]
    fn each_rejection_is_buried_with_exactly_one_leaf(fates in fates()) {
        let delivery = delivery(&fates);
        let buried: Vec<_> = leaves(&delivery, delivery.whole()).iter().flat_map(|l| delivery.rejected(l).map(|b| b.input).collect::<Vec<_>>()).collect();
        prop_assert_eq!(buried, delivery.rejects.iter().map(|r| r.index as usize).collect::<Vec<_>>());
    }
}

#[test]
fn a_split_record_whose_children_end_apart_is_counted_once_for_each_child() {
    let delivery = delivery(&[(2, 1), (0, 0), (0, 2)]);
    let tally = delivery.tally(&delivery.whole(), 1);
    assert_eq!(tally, Tally { read: 3, split: 3, delivered: 1, filtered: 1, dead_lettered: 4 });
}

#[test]
fn a_split_record_that_is_buried_whole_counts_as_one_dead_letter() {
    let delivery = delivery(&[(3, 0)]);
    assert!(delivery.halves(&delivery.whole()).is_none());
    assert_eq!(delivery.tally_buried(&delivery.whole()), Tally { read: 1, dead_lettered: 1, ..Tally::default() });
}

#[test]
fn a_batch_that_was_filtered_whole_still_moves_its_offsets() {
    let delivery = delivery(&[(0, 0), (0, 0)]);
    let whole = delivery.whole();
    assert!(delivery.halves(&whole).is_none());
    assert_eq!(delivery.next_offsets(&whole).into_values().collect::<Vec<_>>(), [102]);
    assert_eq!(delivery.tally(&whole, 0), Tally { read: 2, filtered: 2, ..Tally::default() });
}
